"""Solutions against an independent program's table; the search for better points against known answers."""

import numpy as np
import pytest
from scipy import optimize

from anytime_core.weighting import static
from anytime_study.theory.linear_residual import linear_residual
from anytime_study.theory.losses_of_different_size import (
    average_relative_loss,
    dominating_point,
    fixed_weights,
    relative_increases,
    solutions,
)
from anytime_study.theory.quadratics import two_targets

# Six exits, ρ = 0.8: σ² -> name -> (mean of loss / OPT - 1, that of the last exit, mean ln ratio), as printed, computed
# apart from this code
SIX = {
    0.01: {
        "CONST": ("23.6", "136", "1.33"), "LINEAR": ("12.5", "71", "1.15"), "SIEVE": ("10.5", "58", "1.19"),
        "AdaLoss": ("0.915", "0.027", "0.608"), "AdaLoss with floor": ("3.91", "19.9", "0.956"),
        "OPT, last exit": ("0.933", "0", "0.613"),
    },
    1.0: {
        "CONST": ("0.625", "1.36", "0.457"), "LINEAR": ("0.456", "0.713", "0.372"),
        "SIEVE": ("0.508", "0.581", "0.406"), "AdaLoss": ("0.413", "0.297", "0.341"),
        "AdaLoss with floor": ("0.416", "0.413", "0.346"), "OPT, last exit": ("0.572", "0", "0.433"),
    },
    10.0: {
        "CONST": ("0.130", "0.136", "0.122"), "LINEAR": ("0.127", "0.071", "0.118"),
        "SIEVE": ("0.138", "0.058", "0.128"), "AdaLoss": ("0.125", "0.090", "0.117"),
    },
}  # fmt: skip

# σ² = 0.01: loss / OPT - 1 of every exit


def increases(sigma2, **arguments):
    problem = linear_residual(6, sigma2=sigma2)
    return {name: relative_increases(problem, theta) for name, theta in solutions(problem, **arguments).items()}


def agree(values, printed):
    """All printed digits are right."""
    return [
        value == pytest.approx(float(text), abs=0.51 * 10.0 ** -len(text.partition(".")[2]))
        for value, text in zip(values, printed, strict=True)
    ]


@pytest.mark.parametrize("num_exits", [2, 3, 6, 8, 15])
def test_the_fixed_weights_are_those_of_the_training_loop(num_exits):
    weights = fixed_weights(num_exits)
    for name, module in static.SCHEMES.items():
        if name.upper() in weights:
            trained_with = module(num_exits).weights.numpy()
            np.testing.assert_allclose(weights.pop(name.upper()), trained_with, rtol=1e-6)
    assert not weights  # each was compared


@pytest.mark.parametrize("sigma2", SIX)
def test_six_exits_are_as_in_the_table(sigma2):
    found = increases(sigma2)
    for name, printed in SIX[sigma2].items():
        increase = found[name]
        assert all(agree([increase.mean(), increase[-1], np.log1p(increase).mean()], printed)), name


PROBLEM = linear_residual(6)
POINTS = solutions(PROBLEM)
ANYTIME = [name for name in POINTS if not name.startswith("OPT")]
FOUND = 1e-6  # a gain above this is no rounding


def cloud(centre, size=20_000, *, seed=0):
    """Points around ``centre``, near and far."""
    generator = np.random.default_rng(seed)
    radius = 10 ** generator.uniform(-4, 0.5, size=(size, 1))
    return centre + radius * generator.normal(size=(size, len(centre)))


# --- Pareto optimality ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ANYTIME)
def test_nothing_dominates_the_solution_of_a_weighting(name):
    assert dominating_point(PROBLEM, POINTS[name]).gain < 1e-9


def test_elsewhere_a_dominating_point_is_found_and_it_dominates():
    moved = POINTS["AdaLoss"] + 0.3 * np.random.default_rng(0).normal(size=6)
    for theta in (moved, np.zeros(6), (POINTS["AdaLoss"] + POINTS["CONST"]) / 2 + 0.1):
        better = dominating_point(PROBLEM, theta)
        before, after = PROBLEM.losses(theta), PROBLEM.losses(better.theta)
        assert better.gain > 0.1
        assert (after <= before * (1 + 1e-9)).all()
        assert (after < before * (1 - 0.01)).any()
        assert better.gain == pytest.approx((1 - after / before).sum(), rel=1e-12)
        assert dominating_point(PROBLEM, better.theta).gain < FOUND  # what it found is not dominated in turn


def test_the_largest_gain_is_found():
    problem, theta = two_targets(0.5), np.array([1.7])  # both exits want to go down to 1, and exit 1 further
    grid = np.linspace(-1, 2, 300_001)
    ratios = np.stack([grid**2 + 0.5, (1 - grid) ** 2 + 0.5], axis=-1) / problem.losses(theta)
    allowed = (ratios <= 1).all(axis=-1)
    best = grid[allowed][ratios[allowed].sum(axis=-1).argmin()]
    found = dominating_point(problem, theta)
    assert found.theta[0] == pytest.approx(best, abs=2e-5)
    assert 0 < best < 1


def test_a_point_that_harms_one_exit_is_not_taken_however_much_the_others_gain(monkeypatch):
    theta = POINTS["CONST"]
    tempting = PROBLEM.minimiser(1 / PROBLEM.losses(theta))
    ratios = PROBLEM.losses(tempting) / PROBLEM.losses(theta)
    assert ratios.sum() < 6 - 0.5
    assert ratios.max() > 1.01
    monkeypatch.setattr(optimize, "minimize", lambda *_, **__: optimize.OptimizeResult(x=tempting))
    found = dominating_point(PROBLEM, theta)
    assert found.gain == 0
    assert np.array_equal(found.theta, theta)


# --- proportional fairness -----------------------------------------------------------------------------------------


def test_no_alternative_improves_the_average_relative_loss():
    theta = POINTS["AdaLoss"]
    relative = average_relative_loss(PROBLEM, theta, cloud(theta))
    assert relative.min() >= 1 - 1e-12
    assert relative.min() < 1 + 1e-4  # it was looked at closely
    assert average_relative_loss(PROBLEM, theta, theta[None]) == pytest.approx(1, rel=1e-15)
    elsewhere = optimize.minimize(
        lambda other: average_relative_loss(PROBLEM, theta, other[None])[0], np.zeros(6), options={"gtol": 1e-9}
    )
    np.testing.assert_allclose(elsewhere.x, theta, atol=1e-4)


def test_the_average_relative_loss_by_hand():
    problem = two_targets(1.0)  # losses (1, 2) at 0, (2, 1) at 1, (5, 2) at 2
    found = average_relative_loss(problem, np.array([0.0]), np.array([[0.0], [1.0], [2.0]]))
    np.testing.assert_allclose(found, [1, (2 + 0.5) / 2, (5 + 1) / 2])

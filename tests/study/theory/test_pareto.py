import numpy as np
import pytest
from scipy import optimize, stats

from anytime_study.theory.geometric_mean import adaloss_fixed_point, log_sum
from anytime_study.theory.pareto import average_relative_loss, dominating_point
from anytime_study.theory.quadratics import linear_residual, two_targets
from anytime_study.theory.solutions import solutions

PROBLEM = linear_residual(6)
POINTS = solutions(PROBLEM)
ANYTIME = [name for name in POINTS if not name.startswith("OPT")]
FOUND = 1e-6  # a gain above this is no rounding


def cloud(centre, size=20_000, *, seed=0):
    """Points around ``centre``, near and far."""
    generator = np.random.default_rng(seed)
    radius = 10 ** generator.uniform(-4, 0.5, size=(size, 1))
    return centre + radius * generator.normal(size=(size, len(centre)))


# --- three means ---------------------------------------------------------------------------------------------------


def test_arithmetic_geometric_and_harmonic_mean_come_in_this_order():
    losses = np.random.default_rng(0).lognormal(0, 2, size=(100_000, 5))
    arithmetic, geometric, harmonic = losses.mean(axis=1), stats.gmean(losses, axis=1), stats.hmean(losses, axis=1)
    assert (arithmetic > geometric).all()
    assert (geometric > harmonic).all()
    assert not (geometric > np.median(losses, axis=1)).all()  # not every mean is below


def test_they_are_equal_only_where_all_losses_are():
    for mean in (np.mean, stats.gmean, stats.hmean):
        assert mean(np.full(5, 0.3)) == pytest.approx(0.3, rel=1e-15)
    nearly = np.array([0.3, 0.3, 0.3, 0.3, 0.3 * (1 + 1e-3)])
    gaps = [np.mean(nearly) / stats.gmean(nearly) - 1, stats.gmean(nearly) / stats.hmean(nearly) - 1]
    # to second order both gaps are half the squared coefficient of variation
    np.testing.assert_allclose(gaps, 0.5 * (nearly.std() / nearly.mean()) ** 2, rtol=2e-3)


def test_the_geometric_mean_is_the_logarithmic_sum():
    losses = np.random.default_rng(0).lognormal(size=(10, 5))
    np.testing.assert_allclose(np.exp(log_sum(losses) / 5), stats.gmean(losses, axis=1), rtol=1e-14)


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


def test_at_the_end_of_the_front_a_trifle_of_one_exit_buys_much_of_another():
    """OPT of the last exit is Pareto optimal but not properly: the price of a small gain goes to zero."""
    gains = [
        dominating_point(PROBLEM, POINTS["OPT, last exit"], tolerance=tolerance).gain for tolerance in (1e-9, 1e-7)
    ]
    strict = PROBLEM.losses(POINTS["OPT, last exit"])[-1]
    assert strict == pytest.approx(PROBLEM.optima[-1], rel=1e-12)
    assert gains[0] < 1e-4  # a search can only say: nothing beyond what its tolerance buys
    direction = PROBLEM.gradients(POINTS["OPT, last exit"])[0]
    for step in (1e-4, 1e-5):
        losses = PROBLEM.losses(POINTS["OPT, last exit"] - step * direction)
        bought, paid = 1 - losses[0] / PROBLEM.losses(POINTS["OPT, last exit"])[0], losses[-1] / strict - 1
        assert bought / np.sqrt(paid) > 0.01  # first order against second: no finite exchange rate
        assert paid > 0


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"starts": 0}, "starts: expected at least 1, found 0"), ({"tolerance": -1e-9}, "tolerance: expected 0 or more"),
     ({"tolerance": np.nan}, "tolerance: expected 0 or more")],
)  # fmt: skip
def test_a_search_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        dominating_point(PROBLEM, np.zeros(6), **arguments)


def test_a_stationary_point_weighs_the_gradients_by_the_inverse_losses():
    # which multipliers make the gradients cancel? Found without knowing the losses
    for name, expected in (("AdaLoss", 1 / PROBLEM.losses(POINTS["AdaLoss"])), ("CONST", np.ones(6))):
        gradients = PROBLEM.gradients(POINTS[name])
        system = np.vstack([gradients.T, np.ones(6)])
        multipliers, residual = optimize.nnls(system, np.eye(7)[-1])  # Σ m_i g_i = 0 and Σ m_i = 1
        assert residual < 1e-9
        np.testing.assert_allclose(multipliers, expected / expected.sum(), rtol=1e-4)
    assert optimize.nnls(np.vstack([PROBLEM.gradients(np.zeros(6)).T, np.ones(6)]), np.eye(7)[-1])[1] > 0.1


def test_with_convex_losses_even_a_maximum_of_the_product_is_pareto_optimal():
    problem, middle = two_targets(0.1), np.array([0.5])
    around = [log_sum(problem.losses(middle + step)) for step in (-1e-3, 0, 1e-3)]
    assert around[1] > max(around[0], around[2])
    assert dominating_point(problem, middle).gain < 1e-9
    assert average_relative_loss(problem, middle, cloud(middle, 2000)).min() >= 1 - 1e-12


def test_without_convexity_a_stationary_point_may_be_dominated():
    def losses(theta):
        well = (theta**2 - 1) ** 2 + 0.3 * theta + 1
        return np.array([well, 2 * well + 1])

    local = optimize.minimize_scalar(lambda theta: log_sum(losses(theta)), bounds=(0.5, 1.5), method="bounded").x
    whole = optimize.minimize_scalar(lambda theta: log_sum(losses(theta)), bounds=(-1.5, -0.5), method="bounded").x
    assert (losses(whole) < losses(local)).all()  # only the global minimum is safe


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


@pytest.mark.parametrize("name", POINTS)
def test_from_every_other_solution_some_alternative_does(name):
    best = PROBLEM.minimiser(1 / PROBLEM.losses(POINTS[name]))  # where the average relative loss is least
    (relative,) = average_relative_loss(PROBLEM, POINTS[name], best[None])
    if name == "AdaLoss":
        assert relative == pytest.approx(1, abs=1e-12)
    else:
        assert relative < 1 - 1e-4


def test_moving_from_const_to_adaloss_is_such_an_improvement_and_the_way_back_is_none():
    (there,) = average_relative_loss(PROBLEM, POINTS["CONST"], POINTS["AdaLoss"][None])
    (back,) = average_relative_loss(PROBLEM, POINTS["AdaLoss"], POINTS["CONST"][None])
    assert 6 * (there - 1) == pytest.approx(-0.111, abs=5e-4)
    assert back > 20
    # between two points both ways may be a loss: the measure belongs to where one stands
    for ends in (("LINEAR", "AdaLoss"), ("AdaLoss", "LINEAR")):
        assert average_relative_loss(PROBLEM, POINTS[ends[0]], POINTS[ends[1]][None])[0] > 1.03


def test_const_is_fair_in_absolute_terms_only():
    def gain(theta, others):
        return min(PROBLEM.losses(other).sum() for other in others) - PROBLEM.losses(theta).sum()

    assert gain(POINTS["CONST"], cloud(POINTS["CONST"], 3000)) >= -1e-10
    assert gain(POINTS["AdaLoss"], [POINTS["CONST"]]) < -1


def test_the_average_relative_loss_by_hand():
    problem = two_targets(1.0)  # losses (1, 2) at 0, (2, 1) at 1, (5, 2) at 2
    found = average_relative_loss(problem, np.array([0.0]), np.array([[0.0], [1.0], [2.0]]))
    np.testing.assert_allclose(found, [1, (2 + 0.5) / 2, (5 + 1) / 2])


def test_a_fixed_point_of_another_power_is_not_proportionally_fair():
    theta = adaloss_fixed_point(linear_residual(6, sigma2=10.0), power=0.5)
    problem = linear_residual(6, sigma2=10.0)
    assert average_relative_loss(problem, theta, adaloss_fixed_point(problem)[None])[0] < 1 - 1e-6
    assert dominating_point(problem, theta).gain < 1e-9  # Pareto optimal all the same

"""What happens to a rule if a loss is measured in another unit, or is counted from another zero.

Multiplying by a power of two is exact in binary floating point, so "the same" can mean the same bits there.
"""

import numpy as np
import pytest

from anytime_study.theory.descent import Rule, authors_rule, compensating_rates, descend, deviation
from anytime_study.theory.geometric_mean import adaloss_fixed_point, rest_point
from anytime_study.theory.quadratics import linear_residual

POWERS = 2.0 ** np.array([5, -7, 3, 0, -2, 9])
ANY = 10 ** np.random.default_rng(1).uniform(-3, 3, 6)
PROBLEM = linear_residual()
START = np.random.default_rng(0).normal(size=6)
RATE = 1e-3
ROUNDING = 1e-12


def walks(rule, factors, *, steps=400, learning_rate=RATE, scaled_rate=None, **options):
    """The path in the units of PROBLEM, and that in units of ``factors``."""
    rates = (learning_rate, learning_rate if scaled_rate is None else scaled_rate)
    problems = (PROBLEM, PROBLEM.rescaled(factors))
    return [
        descend(problem, rule, START, steps=steps, learning_rate=rate, **options)
        for problem, rate in zip(problems, rates, strict=True)
    ]


# --- the path ------------------------------------------------------------------------------------------------------

RAW = {
    "plain": (Rule(), {}),
    "momentum": (Rule(), {"momentum": 0.9, "learning_rate": 2e-4}),
    "weight decay": (Rule(), {"weight_decay": 0.1}),
    "adam": (Rule(), {"method": "adam", "momentum": 0.9, "learning_rate": 1e-2}),
    "running mean": (Rule(momentum=0.9, lag=True), {}),
    "running mean, refreshed at times": (Rule(momentum=0.9, refresh_period=100, lag=True), {"learning_rate": 2e-4}),
    "scale-safe floor": (Rule(floor=0.07, floor_kind="start"), {}),
    "scale-safe floor, as a program": (
        Rule(floor=0.3, floor_kind="start", momentum=0.9, refresh_period=10, lag=True),
        {"learning_rate": 2e-4},
    ),
}


@pytest.mark.parametrize("name", RAW)
def test_raw_weights_walk_the_same_path_in_all_units(name):
    rule, options = RAW[name]
    plain, scaled = walks(rule, POWERS, **options)
    assert np.array_equal(plain.theta, scaled.theta)
    assert np.linalg.norm(plain.end - START) > 0.1  # it did walk
    plain, scaled = walks(rule, ANY, **options)
    assert deviation(plain.theta, scaled.theta) < ROUNDING


@pytest.mark.parametrize("factors", [POWERS, ANY], ids=["powers", "any"])
@pytest.mark.parametrize("normaliser", ["sum", "max", "geometric"])
def test_a_normaliser_is_a_learning_rate_in_disguise(normaliser, factors):
    rule = Rule(normaliser=normaliser)
    plain, scaled = walks(rule, factors)
    assert deviation(plain.theta, scaled.theta) > 0.1
    rates = compensating_rates(plain.losses[:-1], factors, normaliser=normaliser, learning_rate=RATE)
    plain, scaled = walks(rule, factors, scaled_rate=rates)
    assert deviation(plain.theta, scaled.theta) < ROUNDING


def test_only_the_geometric_normaliser_asks_for_a_constant_rate():
    losses = walks(Rule(), POWERS)[0].losses
    rates = {kind: compensating_rates(losses, POWERS, normaliser=kind) for kind in ("geometric", "sum", "max", "none")}
    np.testing.assert_allclose(rates["geometric"], 2 ** (-8 / 6), rtol=1e-13)  # 1 / geometric mean of the factors
    assert np.array_equal(rates["none"], np.ones(len(losses)))
    for kind in ("sum", "max"):
        assert rates[kind].max() > 1.5 * rates[kind].min()


def test_the_maximum_asks_for_a_constant_rate_while_the_smallest_loss_stays_that_of_one_exit():
    losses = np.array([[4.0, 2.0, 1.0], [3.0, 1.0, 0.1], [5.0, 3.0, 0.01]])  # exit 3, in these units
    same = compensating_rates(losses, [8.0, 4.0, 2.0], normaliser="max")  # and in those
    np.testing.assert_allclose(same, 0.5, rtol=1e-15)
    other = compensating_rates(losses, [1.0, 1.0, 20.0], normaliser="max")
    assert other.max() > 1.5 * other.min()


@pytest.mark.parametrize("factors", [POWERS, ANY], ids=["powers", "any"])
@pytest.mark.parametrize("normaliser", ["none", "sum", "max", "geometric"])
def test_with_steps_of_unit_length_no_normaliser_matters(normaliser, factors):
    # early steps only: near a minimum steps of one length jump to and fro, and amplify rounding
    plain, scaled = walks(Rule(normaliser=normaliser), factors, steps=60, learning_rate=0.01, method="unit")
    assert deviation(plain.theta, scaled.theta) < ROUNDING


@pytest.mark.parametrize(
    "rule", [Rule(power=0), Rule(normaliser="max", floor=0.07), Rule(power=2), Rule(floor=0.07)], ids=str
)
def test_but_what_does_not_undo_the_units_changes_the_direction(rule):
    plain, scaled = walks(rule, POWERS, steps=60, learning_rate=0.01, method="unit")
    assert deviation(plain.theta, scaled.theta) > 0.01


def test_adam_forgives_a_constant_factor_only():
    options = {"method": "adam", "momentum": 0.9, "learning_rate": 1e-2}
    plain, scaled = walks(Rule(normaliser="geometric"), POWERS, **options)
    assert deviation(plain.theta, scaled.theta) < 1e-11
    plain, scaled = walks(Rule(normaliser="max"), POWERS, **options)
    assert deviation(plain.theta, scaled.theta) > 0.1


# --- where it ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factors", [POWERS, ANY], ids=["powers", "any"])
def test_a_rule_that_undoes_the_units_keeps_its_fixed_point_and_a_floor_or_const_does_not(factors):
    def shift(**options):
        plain, scaled = (adaloss_fixed_point(problem, **options) for problem in (PROBLEM, PROBLEM.rescaled(factors)))
        return np.linalg.norm(scaled - plain) / np.linalg.norm(plain)

    for normaliser in ("none", "sum", "max", "geometric"):
        assert shift(normaliser=normaliser) < 1e-9
    assert shift(floor=0.07) > 0.1
    assert shift(power=0) > 0.1


@pytest.mark.parametrize("scaled_exit", range(6))
def test_the_scale_safe_floor_keeps_its_fixed_point(scaled_exit):
    def rest(scale, kind):
        problem = PROBLEM.rescaled(np.where(np.arange(6) == scaled_exit, scale, 1.0))
        rule = Rule(normaliser="max", floor=0.07, floor_kind=kind)
        first = problem.losses(START)
        return rest_point(problem, lambda losses: rule.weights(losses, first), start=START, tolerance=1e-13)

    for scale in (10.0, 1e4):
        assert np.linalg.norm(rest(scale, "start") - rest(1.0, "start")) < 1e-9
        assert np.linalg.norm(rest(scale, "const") - rest(1.0, "const")) > 0.1


AUTHORS = {  # what of the authors' form moves the end, and by how much at least; None: the same bits all the way
    "the bare rule": ({"normaliser": "none", "epsilon": 0.0, "floor": 0.0, "first_weights": "inverse"}, None, None),
    "weights of 1 until the first refresh": ({"normaliser": "none", "epsilon": 0.0, "floor": 0.0}, 0.0, 1e-4),
    "epsilon": ({"normaliser": "none", "epsilon": 1e-3, "floor": 0.0, "first_weights": "inverse"}, 1e-5, np.inf),
    "the floor": ({}, 0.05, np.inf),
}


@pytest.mark.parametrize("name", AUTHORS)
def test_what_breaks_the_invariance_of_the_authors_form(name):
    knobs, least, most = AUTHORS[name]
    raw = knobs.get("normaliser") == "none"
    # 512: the largest factor becomes 1, or the first 100 steps, with weights of 1, diverge
    plain, scaled = walks(authors_rule(**knobs), POWERS / 512, steps=4000, learning_rate=5e-4 if raw else 2e-2)
    if least is None:
        assert np.array_equal(plain.theta, scaled.theta)
        return
    assert deviation(plain.theta, scaled.theta) > 0.01 or name == "epsilon"
    assert least < np.linalg.norm(plain.end - scaled.end) / np.linalg.norm(plain.end) < most


def test_the_extra_of_the_last_exit_moves_the_fixed_point():
    problem = linear_residual(sigma2=1.0)  # its last loss is not at its lowest, so there is somewhere to go

    def shift(extra):
        rule = Rule(normaliser="max", final_extra=extra)
        ends = [rest_point(p, lambda losses: rule.weights(losses, losses)) for p in (problem, problem.rescaled(POWERS))]
        return np.linalg.norm(ends[0] - ends[1]) / np.linalg.norm(ends[0])

    assert shift(0.0) < 1e-9
    assert shift(1.0) > 0.01


# --- offsets -------------------------------------------------------------------------------------------------------


def test_an_irreducible_loss_turns_adaloss_into_const_at_the_rate_of_its_inverse():
    const = PROBLEM.minimiser(np.ones(6))
    pure = adaloss_fixed_point(PROBLEM)
    assert np.linalg.norm(const - pure) > 0.5
    offsets = np.array([1e3, 1e4, 1e5])
    ends = [adaloss_fixed_point(PROBLEM.rescaled(1.0, offset)) for offset in offsets]
    gaps = [np.linalg.norm(end - const) for end in ends]
    slopes = np.diff(np.log(gaps)) / np.diff(np.log(offsets))
    np.testing.assert_allclose(slopes[-1], -1, atol=2e-3)
    assert gaps[-1] < 1e-3
    near = adaloss_fixed_point(PROBLEM.rescaled(1.0, 1e-4))
    assert np.linalg.norm(near - pure) < 1e-3


def test_const_does_not_see_an_offset():
    moved = PROBLEM.rescaled(1.0, 5.0)
    plain, offset = (descend(p, Rule(power=0), START, steps=50, learning_rate=RATE) for p in (PROBLEM, moved))
    assert np.array_equal(plain.theta, offset.theta)

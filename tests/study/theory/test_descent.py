"""The walker of the theory: the same path as the package's AdaLoss, and what changes of units do to it."""

import numpy as np
import pytest
import torch

from anytime_core.weighting.adaloss import AdaLoss
from anytime_core.weighting.gradient_norms import GradientNorms
from anytime_study.theory.geometric_mean import (
    Rule,
    adaloss_fixed_point,
    compensating_rates,
    descend,
    deviation,
    rest_point,
)
from anytime_study.theory.linear_residual import linear_residual

PROBLEM = linear_residual()
START = np.random.default_rng(0).normal(size=6)


def torch_walk(weigh, steps, learning_rate, momentum=0.0, weight_decay=0.0, theta=None):
    """θ [T + 1, d] of a training loop in torch around a weighting of the package, in double precision."""
    curvature, slope, constant = (torch.tensor(part) for part in (PROBLEM.curvature, PROBLEM.slope, PROBLEM.constant))
    theta = torch.tensor(START, requires_grad=True) if theta is None else theta
    weigh.double()
    velocity = torch.zeros_like(theta)
    path = [START]
    for _ in range(steps):
        objective = weigh((curvature @ theta) @ theta - 2 * slope @ theta + constant)
        (gradient,) = torch.autograd.grad(objective, theta)
        with torch.no_grad():
            velocity = momentum * velocity + gradient + weight_decay * theta
            theta -= learning_rate * velocity
        path.append(theta.detach().numpy().copy())
    return np.array(path)


def authors_rule(*, momentum=0.9, refresh_period=100, floor=0.07, **others):
    """The rule of the authors' released program, with its defaults; ``others`` are further knobs of :class:`Rule`."""
    knobs = {"normaliser": "max", "lag": True, "first_weights": "ones", "epsilon": 1e-8, **others}
    return Rule(momentum=momentum, refresh_period=refresh_period, floor=floor, **knobs)


SAME = {
    "paper_runs": (AdaLoss(6), authors_rule(momentum=0.99, epsilon=0)),
    "released": (AdaLoss(6, momentum=0.9), authors_rule(epsilon=0)),
    "no floor": (
        AdaLoss(6, floor=0, refresh_period=7),
        authors_rule(momentum=0.99, floor=0, refresh_period=7, epsilon=0),
    ),
    "extra": (
        AdaLoss(6, momentum=0.9, final_extra=1.0, refresh_period=10),
        authors_rule(refresh_period=10, final_extra=1.0, epsilon=0),
    ),
    "geometric": (
        AdaLoss(6, momentum=0, refresh_period=1, floor=0.2, normalisation="geometric"),
        authors_rule(momentum=0, refresh_period=1, floor=0.2, normaliser="geometric", epsilon=0),
    ),
    "scale-safe floor": (
        AdaLoss(6, momentum=0.9, refresh_period=10, floor=0.3, floor_kind="start"),
        authors_rule(refresh_period=10, floor=0.3, floor_kind="start", epsilon=0),
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_the_packages_adaloss_walks_the_same_path(name):
    weigh, rule = SAME[name]
    # weights whose geometric mean is 1 are much larger than those whose maximum is 1
    rate = 2e-4 if rule.normaliser == "geometric" else 5e-3
    options = {"steps": 350, "learning_rate": rate, "momentum": 0.5, "weight_decay": 1e-3}
    expected = descend(PROBLEM, rule, START, **options).theta
    assert deviation(expected, torch_walk(weigh, **options)) < 1e-12
    # a rule that differs in one knob walks elsewhere
    others = [Rule(**{**vars(rule), "lag": False, "first_weights": "inverse"}), Rule(**{**vars(rule), "floor": 0.5})]
    for other in others:
        assert deviation(expected, descend(PROBLEM, other, START, **options).theta) > 1e-4


def test_the_packages_first_order_walks_the_same_path():
    theta = torch.tensor(START, requires_grad=True)
    weigh = AdaLoss(6, measure=GradientNorms([theta]), momentum=0.9, refresh_period=5)
    found = torch_walk(weigh, 100, 0.002, theta=theta)
    for order, same in ((1, True), (0, False)):
        rule = authors_rule(order=order, refresh_period=5, epsilon=0)
        expected = descend(PROBLEM, rule, START, steps=100, learning_rate=0.002).theta
        assert (deviation(expected, found) < 1e-12) == same


def test_adams_first_steps_by_hand():
    walk = descend(PROBLEM, Rule(), START, steps=2, learning_rate=0.01, momentum=0.9, method="adam")
    first, second = (w @ PROBLEM.gradients(theta) for w, theta in zip(walk.weights, walk.theta[:2], strict=True))
    np.testing.assert_allclose(walk.theta[1] - START, -0.01 * np.sign(first), rtol=1e-12)
    mean = (0.09 * first + 0.1 * second) / 0.19
    square = (0.999e-3 * first**2 + 1e-3 * second**2) / 1.999e-3
    np.testing.assert_allclose(walk.theta[2] - walk.theta[1], -0.01 * mean / np.sqrt(square), rtol=1e-10)


def test_one_step_of_unit_length_and_a_rate_for_every_step():
    walk = descend(PROBLEM, Rule(), START, steps=3, learning_rate=[0.1, 0.2, 0.4], method="unit")
    np.testing.assert_allclose(np.linalg.norm(np.diff(walk.theta, axis=0), axis=1), [0.1, 0.2, 0.4], rtol=1e-12)


def test_when_weights_are_made_anew():
    walk = descend(PROBLEM, authors_rule(refresh_period=3), START, steps=8, learning_rate=1e-3)
    changed = [step for step in range(2, 9) if not np.array_equal(walk.weights[step - 1], walk.weights[step - 2])]
    assert np.array_equal(walk.weights[:3], np.ones((3, 6)))
    assert changed == [4, 7]  # made in steps 3 and 6, used one later
    soon = descend(PROBLEM, authors_rule(refresh_period=3, lag=False), START, steps=8, learning_rate=1e-3)
    assert np.array_equal(soon.weights[1], np.ones(6))
    assert soon.weights[2, 0] < 1


POWERS = 2.0 ** np.array([5, -7, 3, 0, -2, 9])
ANY = 10 ** np.random.default_rng(1).uniform(-3, 3, 6)
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


FIRST = Rule(order=1)
SQUARED = Rule(order=1, power=2)
OFFSETS = np.array([3.0, 0.0, 7.0, 1.0, 0.5, 100.0])


def path(problem, rule):
    return descend(problem, rule, START, steps=300, learning_rate=1e-2).theta


def test_neither_a_factor_nor_an_offset_of_a_loss_counts():
    plain = path(PROBLEM, FIRST)
    assert np.array_equal(plain, path(PROBLEM.rescaled(POWERS, OFFSETS), FIRST))
    assert deviation(plain, path(PROBLEM.rescaled(ANY, OFFSETS), FIRST)) < 1e-12
    order0 = [descend(p, Rule(), START, steps=300, learning_rate=5e-4).theta for p in (PROBLEM, PROBLEM.rescaled(1, 1))]
    assert deviation(*order0) > 0.01  # the losses themselves do not forgive an offset


def test_the_squared_length_forgives_an_offset_but_no_factor():
    plain = path(PROBLEM, SQUARED)
    assert np.array_equal(plain, path(PROBLEM.rescaled(1.0, OFFSETS), SQUARED))
    assert deviation(plain, path(PROBLEM.rescaled(np.array([2.0, 1, 1, 1, 1, 0.5])), SQUARED)) > 0.01

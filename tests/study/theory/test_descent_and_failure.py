"""Bounds that hold on random problems, rates, and where losses near zero lead."""

import numpy as np
import pytest
import scipy.stats

from anytime_study.theory.descent_and_failure import (
    boole,
    boole_scales,
    contraction,
    descent_bound,
    loss_floor_fixed_points,
    majorise_minimise,
    majoriser,
    weight_floor_fixed_points,
)
from anytime_study.theory.geometric_mean import Rule, adaloss_fixed_point, descend, log_sum
from anytime_study.theory.linear_residual import linear_residual
from anytime_study.theory.quadratics import one_loss, random_quadratics, two_targets

STEPS = 25


@pytest.fixture(scope="module")
def problems():
    random = np.random.default_rng(0)
    return [random_quadratics(random) for _ in range(80)]


@pytest.fixture(scope="module")
def losses_on_the_way(problems):
    """Losses [problem, T + 1, K] of exact steps from θ = 0, by power."""

    def walk(problem, power):
        path = majorise_minimise(problem, np.zeros(problem.dim), steps=STEPS, power=power)
        return [problem.losses(theta) for theta in path]

    return {power: np.array([walk(problem, power) for problem in problems]) for power in (0, 0.5, 1, 2, 3)}


def pairs(count=20_000, exits=4):
    random = np.random.default_rng(1)
    return np.exp(random.normal(size=(count, exits))), np.exp(random.normal(size=(count, exits)))


# --- the tangents ----------------------------------------------------------------------------------------------------


def test_tangents_lie_above_the_logarithms_and_touch_them_at_the_anchor():
    losses, anchors = pairs()
    assert (majoriser(losses, anchors) - log_sum(losses)).min() > 0
    assert majoriser(anchors, anchors) == pytest.approx(log_sum(anchors), abs=1e-12)


def test_only_the_slope_one_over_the_anchor_gives_a_bound():
    """Negative control: a line through the same point with another slope crosses the logarithm."""
    losses, anchors = pairs()
    for factor in (0.9, 1.1):
        line = log_sum(anchors) + factor * (losses / anchors - 1).sum(axis=-1)
        assert (line - log_sum(losses)).min() < 0


def test_jensen_lies_between_the_change_and_the_tangents():
    losses, anchors = pairs()
    change, bound = log_sum(losses) - log_sum(anchors), descent_bound(losses, anchors)
    assert (bound - change).min() > 0
    assert (majoriser(losses, anchors) - log_sum(anchors) - bound).min() >= 0
    # tight: a common factor is the case of equality
    assert descent_bound(3 * anchors, anchors) == pytest.approx(np.full(len(anchors), 4 * np.log(3)))


# --- the descent lemma -----------------------------------------------------------------------------------------------


def test_where_the_weighted_sum_does_not_rise_the_log_sum_falls():
    losses, anchors = pairs()
    lowered = (losses / anchors).mean(axis=-1) <= 1
    assert lowered.sum() > 1000
    assert (log_sum(losses) - log_sum(anchors))[lowered].max() < 0


def test_exact_steps_never_raise_the_log_sum(losses_on_the_way):
    assert np.diff(log_sum(losses_on_the_way[1]), axis=1).max() < 1e-8  # rounding in the solver


@pytest.mark.parametrize("power", [0.5, 2, 3])
def test_other_powers_raise_the_log_sum(losses_on_the_way, power):
    rises = np.diff(log_sum(losses_on_the_way[power]), axis=1).max(axis=1)
    assert (rises > 1e-6).mean() > 0.2
    assert rises.max() > 0.1


def test_a_whole_step_is_the_best_step_of_frank_and_wolfe(problems):
    """The line search between the old losses and those of the new minimiser always ends at the far end."""
    shares = np.linspace(0, 1, 101)[:, None]
    for problem in problems[:20]:
        old, new = (problem.losses(theta) for theta in majorise_minimise(problem, np.zeros(problem.dim), steps=1))
        assert log_sum((1 - shares) * old + shares * new).argmin() == 100


# --- the rate --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_the_predicted_rate_is_the_observed_one(power):
    problem = linear_residual()
    end = adaloss_fixed_point(problem, power=power)
    distances = np.linalg.norm(majorise_minimise(problem, np.zeros(6), steps=12, power=power) - end, axis=1)
    assert distances[12] / distances[11] == pytest.approx(contraction(problem, end, power=power), rel=1e-3)
    assert distances[1] / distances[0] != pytest.approx(contraction(problem, end, power=power), rel=1e-2)


STARTS = (0.1, 0.45, 0.55, 0.9)


def two_target_log_sum(theta, epsilon):
    return np.log(theta**2 + epsilon) + np.log((1 - theta) ** 2 + epsilon)


# --- the pitchfork ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0.01, 0.05, 0.1, 0.2, 0.24, 0.25, 0.26, 0.5, 3])
def test_the_stable_points_are_the_minima_on_a_grid(epsilon):
    step = 1e-5 if epsilon != 0.25 else 1e-3  # there S is flat to fourth order, and rounding would look like minima
    grid = np.linspace(0, 1, round(1 / step) + 1)
    values = two_target_log_sum(grid, epsilon)
    inner = (values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])
    stable, unstable = loss_floor_fixed_points(epsilon)
    assert grid[1:-1][inner] == pytest.approx(stable, abs=step)
    for point in unstable:
        assert two_target_log_sum(point, epsilon) > two_target_log_sum(point + 1e-3, epsilon)
    assert len(unstable) == (epsilon < 0.25)


@pytest.mark.parametrize("epsilon", [0.05, 0.3])
def test_gradient_descent_ends_in_the_basin_where_it_began(epsilon):
    def end(start, rule):
        return descend(two_targets(epsilon), rule, [start], steps=500, learning_rate=0.2).end[0]

    stable, _ = loss_floor_fixed_points(epsilon)
    found = [end(start, Rule(normaliser="max")) for start in STARTS]
    assert found == pytest.approx([stable[0], stable[0], stable[-1], stable[-1]], abs=1e-9)
    assert [end(start, Rule(power=0)) for start in STARTS] == pytest.approx([0.5] * 4, abs=1e-12)


# --- the floor of the weights ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor", [0.01, 0.07, 0.2, 0.4, 0.55, 0.9])
def test_with_a_weight_floor_the_stable_point_is_the_floor(floor):
    stable, unstable = weight_floor_fixed_points(floor)
    for start, point in ((0.3, stable[0]), (0.7, stable[-1])):
        assert adaloss_fixed_point(two_targets(0.0), start=[start], floor=floor)[0] == pytest.approx(point, abs=1e-12)
    assert len(unstable) == (floor < 0.5)


# --- one loss that reaches zero --------------------------------------------------------------------------------------


@pytest.mark.parametrize("learning_rate", [1e-4, 1e-2, 3.0])
def test_descent_with_raw_weights_is_booles_map_at_every_learning_rate(learning_rate):
    unit = np.sqrt(2 * learning_rate)
    walk = descend(one_loss(), Rule(), [0.7 * unit], steps=20, learning_rate=learning_rate)
    expected = [0.7]
    for _ in range(20):
        expected.append(float(boole(expected[-1])))
    assert walk.theta[:8, 0] / unit == pytest.approx(expected[:8], rel=1e-9)  # later chaos has amplified rounding


def test_a_cauchy_law_stays_one_and_widens_as_stated():
    steps, count = 50, 40_000
    points = np.random.default_rng(0).standard_cauchy(count)
    for _ in range(steps):
        points = boole(points)
    scale = boole_scales(1.0, steps)[-1]
    assert scipy.stats.kstest(points, scipy.stats.cauchy(scale=scale).cdf).pvalue > 0.01
    assert scipy.stats.kstest(points, scipy.stats.cauchy(scale=1.05 * scale).cdf).pvalue < 1e-3


@pytest.mark.parametrize(
    ("learning_rate", "end"),
    [(0.09, "rest"), (0.15, "two"), (0.25, "neither")],
)
def test_with_a_loss_floor_raw_weights_come_to_rest_while_the_learning_rate_is_below_it(learning_rate, end):
    """ℓ = θ² + 0.1: at rest for η < ε; between ε and 2ε a swing between ±√(η - ε); beyond, neither."""
    last = descend(one_loss(0.1), Rule(), [0.37], steps=4000, learning_rate=learning_rate).theta[-4:, 0]
    rests = bool(np.abs(last).max() < 1e-12)
    swing = np.sqrt(max(learning_rate - 0.1, 0))
    swings = swing > 0 and np.abs(last) == pytest.approx([swing] * 4, abs=1e-9)
    assert {"rest": (True, False), "two": (False, True), "neither": (False, False)}[end] == (rests, bool(swings))

"""Bounds that hold on random problems, and where losses near zero lead."""

import numpy as np
import pytest

from anytime_study.theory.descent_and_failure import (
    boole,
    loss_floor_fixed_points,
    majorise_minimise,
    majoriser,
    weight_floor_fixed_points,
)
from anytime_study.theory.geometric_mean import adaloss_fixed_point, descend, log_sum
from anytime_study.theory.quadratics import QuadraticLosses, two_targets


def random_quadratics(random, *, num_exits=5, dim=4):
    """K quadratics ℓ_i = ‖R_i (θ - μ_i)‖² + c_i with nothing in common; most exits do not determine θ alone."""
    roots = random.normal(size=(num_exits, dim, dim))
    roots *= np.arange(dim)[:, None] < random.integers(1, dim + 1, size=num_exits)[:, None, None]
    targets = random.normal(size=(num_exits, dim))
    curvature = roots.transpose(0, 2, 1) @ roots
    slope = np.einsum("kij,kj->ki", curvature, targets)
    return QuadraticLosses(
        curvature, slope, np.einsum("ki,ki->k", slope, targets) + random.exponential(0.05, num_exits)
    )


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


# --- the descent lemma -----------------------------------------------------------------------------------------------


def test_where_the_weighted_sum_does_not_rise_the_log_sum_falls_at_least_as_jensen_says():
    losses, anchors = pairs()
    mean, change = (losses / anchors).mean(axis=-1), log_sum(losses) - log_sum(anchors)
    assert (mean <= 1).sum() > 1000
    assert (4 * np.log(mean) - change).min() > 0
    assert change[mean <= 1].max() < 0
    assert change[mean > 1].min() < 0  # the converse is false


def test_exact_steps_never_raise_the_log_sum_and_those_with_squared_losses_do():
    random = np.random.default_rng(0)
    rises = []
    for problem in (random_quadratics(random) for _ in range(80)):
        path = [problem.losses(theta) for theta in majorise_minimise(problem, np.zeros(4), steps=25)]
        assert np.diff(log_sum(np.array(path))).max() < 1e-8  # rounding in the solver
        theta, other = np.zeros(4), []
        for _ in range(25):
            other.append(log_sum(problem.losses(theta)))
            theta = problem.minimiser(problem.losses(theta) ** -2)
        rises.append(np.diff(other).max())
    assert np.mean(np.array(rises) > 1e-6) > 0.2


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
    stable, _ = loss_floor_fixed_points(epsilon)
    found = [descend(two_targets(epsilon), [start], steps=500, learning_rate=0.2)[-1, 0] for start in STARTS]
    assert found == pytest.approx([stable[0], stable[0], stable[-1], stable[-1]], abs=1e-9)
    assert two_targets(epsilon).minimiser([1, 1]) == pytest.approx([0.5])


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
    alone = QuadraticLosses(np.ones((1, 1, 1)), np.zeros((1, 1)), np.zeros(1))  # ℓ = θ²
    unit = np.sqrt(2 * learning_rate)
    path = descend(alone, [0.7 * unit], steps=20, learning_rate=learning_rate, normaliser="none")
    expected = [0.7]
    for _ in range(20):
        expected.append(float(boole(expected[-1])))
    assert path[:8, 0] / unit == pytest.approx(expected[:8], rel=1e-9)  # later chaos has amplified rounding

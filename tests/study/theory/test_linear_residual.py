"""Losses against samples, minimisers against searches, the two exits solved by hand against the solver."""

import numpy as np
import pytest

from anytime_study.theory.cost_inflation import worst_case
from anytime_study.theory.cost_simulation import run_sequence
from anytime_study.theory.fairness_axioms import bargaining_weights
from anytime_study.theory.geometric_mean import adaloss_fixed_point, inverse_weights, log_sum, log_sum_gradient
from anytime_study.theory.likelihood_and_barrier import barrier_objective
from anytime_study.theory.linear_residual import (
    linear_residual,
    two_exits,
    two_exits_at_rest,
    two_exits_under_adaloss,
)
from anytime_study.theory.quadratics import two_targets
from anytime_study.theory.slow_exit import SlowExit

NETWORKS = [(rho, sigma2) for rho in (0.3, 0.8, 0.9) for sigma2 in (1e-3, 0.1, 10.0)]
CLOSE = (0.9664, 8.57e-4)  # inputs so alike that AdaLoss has three fixed points


# --- two exits, of which one number says everything ----------------------------------------------------------------


@pytest.mark.parametrize(("rho", "sigma2"), NETWORKS)
def test_the_losses_are_those_of_the_linear_residual_network(rho, sigma2):
    toy, problem = two_exits(rho, sigma2), linear_residual(2, correlation=rho, sigma2=sigma2)
    np.testing.assert_allclose(toy.optima, problem.optima, rtol=1e-12)
    u = np.array([[-0.5], [0.0], [0.2], [1.3]])
    np.testing.assert_allclose(toy.losses(u), problem.losses(np.hstack([1 + u, 1 - rho * u])), rtol=1e-9)
    for first, second in [(1, 1), (0.25, 1), (5, 0.1), (1, 0), (0, 1)]:
        meet = toy.minimiser([first, second])
        assert meet == pytest.approx(rho * first / (first + (1 - rho**2) * second), abs=1e-12)
        assert meet == pytest.approx(problem.minimiser([first, second])[0] - 1, abs=1e-12)
    cost = (1 - rho**2) * rho**2 / ((2 - rho**2) ** 2 * sigma2)  # of the last exit under CONST
    assert toy.increases(toy.minimiser([1, 1]))[1] == pytest.approx(cost, rel=1e-9)
    assert problem.increases(problem.minimiser([1, 1]))[1] == pytest.approx(cost, rel=1e-9)


@pytest.mark.parametrize(("rho", "sigma2"), NETWORKS)
def test_adaloss_of_the_whole_network_comes_to_rest_at_the_root(rho, sigma2):
    problem = linear_residual(2, correlation=rho, sigma2=sigma2)
    (u,) = two_exits_at_rest(rho, sigma2)
    theta = adaloss_fixed_point(problem)
    np.testing.assert_allclose([1 + u, 1 - rho * u], theta, atol=1e-11)
    for point, still in ((theta, True), (problem.minimiser([1, 1]), False)):
        slope = np.abs(log_sum_gradient(problem.losses(point), problem.gradients(point))).max()
        assert (slope < 1e-9) == still


@pytest.mark.parametrize(("rho", "sigma2"), [*NETWORKS, CLOSE])
def test_no_point_of_a_grid_has_a_smaller_product(rho, sigma2):
    grid, best = np.linspace(-0.2, 1.2, 14_001), two_exits_under_adaloss(rho, sigma2)
    products = two_exits(rho, sigma2).losses(grid[:, None]).prod(axis=-1)
    assert two_exits(rho, sigma2).losses(best).prod() <= products.min()
    assert grid[products.argmin()] == pytest.approx(best[0], abs=1e-4)


def test_inputs_that_are_nearly_alike_give_three_fixed_points():
    points = two_exits_at_rest(*CLOSE)
    assert points == pytest.approx([0.01283, 0.5523, 0.8845], abs=5e-5)
    around = points[:, None, None] + 1e-3 * np.array([[-1], [0], [1]])  # [3, 3, 1]
    curvature = np.diff(log_sum(two_exits(*CLOSE).losses(around)), 2)[:, 0]
    assert np.array_equal(np.sign(curvature), [1, -1, 1])  # the middle one repels


SHAPES = [(1, 0.8, 0.01), (2, 0.8, 1.0), (6, 0.8, 0.01), (6, 0.0, 0.1), (9, 0.95, 10.0)]


def simulated(num_exits, correlation, sigma2, theta, *, samples=60_000):
    """Mean squared error of every exit and its standard error on drawn data, without covariances: x is a chain."""
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(samples, num_exits))
    inputs = noise.copy()
    for j in range(1, num_exits):
        inputs[:, j] = correlation * inputs[:, j - 1] + np.sqrt(1 - correlation**2) * noise[:, j]
    target = inputs.sum(axis=1) + np.sqrt(sigma2) * generator.normal(size=samples)
    squared = (target[:, None] - np.cumsum(inputs * theta, axis=1)) ** 2
    return squared.mean(axis=0), squared.std(axis=0) / np.sqrt(samples)


# --- the linear residual network -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("num_exits", "correlation", "sigma2"), SHAPES)
def test_the_losses_are_the_mean_squared_errors_of_the_network(num_exits, correlation, sigma2):
    theta = np.random.default_rng(1).normal(1, 0.5, num_exits)
    mean, standard_error = simulated(num_exits, correlation, sigma2, theta)
    losses = linear_residual(num_exits, correlation=correlation, sigma2=sigma2).losses(theta)
    assert np.abs((mean - losses) / standard_error).max() < 4
    wrong = linear_residual(num_exits, correlation=correlation, sigma2=1.2 * sigma2 + 0.2).losses(theta)
    assert np.abs((mean - wrong) / standard_error).max() > 6  # the same sample tells another noise from this one


@pytest.mark.parametrize(("num_exits", "correlation", "sigma2"), SHAPES)
def test_the_optimum_of_an_exit_is_the_noise_and_what_the_unseen_inputs_add(num_exits, correlation, sigma2):
    # given x_1 … x_i the rest of the chain is unknown by its new noise only: the noise that enters m places before
    # the end is summed with factors 1 + ρ + … + ρ^(m-1)
    unseen = [
        (1 - correlation**2) * sum(sum(correlation**n for n in range(m)) ** 2 for m in range(1, num_exits - i + 1))
        for i in range(1, num_exits + 1)
    ]
    optima = linear_residual(num_exits, correlation=correlation, sigma2=sigma2).optima
    np.testing.assert_allclose(optima, sigma2 + np.array(unseen), rtol=1e-10)


# --- any quadratic losses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", [linear_residual(6), two_targets(0.3)], ids=["residual", "targets"])
def test_gradients_are_the_slopes_of_the_losses(problem):
    theta = np.random.default_rng(0).normal(size=problem.dim)
    steps = np.eye(problem.dim)
    # a central difference of a quadratic is exact for every step length, so a long one loses no digits
    central = np.array([(problem.losses(theta + step) - problem.losses(theta - step)) / 2 for step in steps]).T
    np.testing.assert_allclose(problem.gradients(theta), central, atol=1e-12)
    second = np.array([problem.gradients(theta + step) - problem.gradients(theta) for step in steps])  # [d, K, d]
    np.testing.assert_allclose(second.swapaxes(0, 1), 2 * problem.curvature, atol=1e-12)


def test_of_many_minimisers_it_takes_the_shortest():
    problem = linear_residual(6)
    alone = problem.minimiser(np.eye(6)[2])
    np.testing.assert_allclose(alone[3:], 0, atol=1e-15)
    longer = alone + np.array([0, 0, 0, 1.0, 2.0, 3.0])
    assert problem.losses(longer)[2] == pytest.approx(problem.losses(alone)[2], rel=1e-14)
    assert problem.losses(alone)[2] == pytest.approx(problem.optima[2], rel=1e-14)


def test_rescaled_losses_are_the_same_losses_in_other_units():
    problem, theta = linear_residual(6), np.random.default_rng(0).normal(size=6)
    factors, offsets = 2.0 ** np.array([5, -7, 3, 0, -2, 9]), np.arange(6.0)
    assert np.array_equal(problem.rescaled(factors).losses(theta), factors * problem.losses(theta))
    np.testing.assert_allclose(
        problem.rescaled(factors, offsets).losses(theta), factors * problem.losses(theta) + offsets, rtol=1e-12
    )
    np.testing.assert_allclose(problem.rescaled(3.0, 1.0).losses(theta), 3 * problem.losses(theta) + 1, rtol=1e-12)
    # a weight of 1 / a undoes the unit; the same weight as before does not
    assert np.array_equal(problem.rescaled(factors).minimiser(1 / factors), problem.minimiser(np.ones(6)))
    assert not np.allclose(problem.rescaled(factors).minimiser(np.ones(6)), problem.minimiser(np.ones(6)))


# --- arguments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: linear_residual(0), "num_exits"),
        (lambda: linear_residual(correlation=1.0), "correlation"),
        (lambda: linear_residual(sigma2=float("nan")), "sigma2"),
        (lambda: two_targets(-1), "floor"),
        (lambda: linear_residual().rescaled(0.0), "factors"),
        (lambda: inverse_weights(np.ones(2), floor=1.5), "floor"),
        (lambda: inverse_weights(np.ones(2), normaliser="mean"), "normaliser"),
        (lambda: barrier_objective([1.0], [1.0], barrier=0.0), "barrier"),
        (lambda: worst_case(1.0, 2.0), "growth"),
        (lambda: run_sequence([], 2.0), "costs"),
        (lambda: bargaining_weights([2.0], 1.0), "losses"),
        (lambda: SlowExit(learning_rate=0.0), "learning_rate"),
    ],
)
def test_an_argument_outside_its_range_is_named(call, name):
    with pytest.raises(ValueError, match=rf"^{name}: expected .*, found "):
        call()

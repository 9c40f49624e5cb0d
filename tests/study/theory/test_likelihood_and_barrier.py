"""1/ℓ is the answer to a log barrier, and learned scales follow the loss."""

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch
from torchjd.scalarization import UW, GeometricMean

from anytime_study.runs.weightings import uw
from anytime_study.theory.geometric_mean import adaloss_fixed_point, log_sum_gradient
from anytime_study.theory.likelihood_and_barrier import (
    barrier_objective,
    barrier_value,
    barrier_weights,
    learned_variances,
    running_means,
)
from anytime_study.theory.linear_residual import linear_residual

SEED = 0
LOSSES = 10 ** np.random.default_rng(SEED).uniform(-4, 3, size=12)


def minimum(function, low=1e-8, high=1e8):
    """Where a function of one positive number is least, found on a log scale without knowing its derivative."""
    grid = np.linspace(np.log(low), np.log(high), 2001)
    centre = grid[np.argmin([function(np.exp(x)) for x in grid])]
    step = grid[1] - grid[0]
    found = scipy.optimize.minimize_scalar(
        lambda x: function(np.exp(x)), bounds=(centre - step, centre + step), method="bounded", options={"xatol": 1e-12}
    )
    return np.exp(found.x), found.fun


@pytest.fixture(scope="module")
def network():
    problem = linear_residual()
    return problem, adaloss_fixed_point(problem)


@pytest.mark.parametrize("barrier", [0.1, 1.0, 3.0])
def test_the_barrier_is_answered_by_lambda_over_the_loss(barrier):
    for loss in LOSSES[:4]:
        weight, value = minimum(lambda w, loss=loss: barrier_objective([loss], [w], barrier=barrier))
        assert barrier_weights(loss, barrier=barrier) == pytest.approx(weight, rel=1e-6)
        assert barrier_value([loss], barrier=barrier) == pytest.approx(value, rel=1e-12)
    # without a factor λ the weights would be others
    assert np.array_equal(barrier_weights(LOSSES, barrier=barrier) == barrier_weights(LOSSES), [barrier == 1] * 12)


def test_the_gradient_of_the_minimum_is_that_of_the_sum_of_logs(network):
    """The envelope theorem: that the weights follow the losses adds nothing to the gradient."""
    problem, _ = network
    theta = np.random.default_rng(1).normal(size=6)
    losses, gradients = problem.losses(theta), problem.gradients(theta)
    following = numerical_gradient(lambda x: barrier_value(problem.losses(x)), theta)
    assert following == pytest.approx(log_sum_gradient(losses, gradients), abs=1e-7)
    # the negative: a weight 2/ℓ does follow the losses too, but not to the minimum
    other = numerical_gradient(lambda x: barrier_objective(problem.losses(x), problem.losses(x) ** -0.5), theta)
    assert np.abs(other - (problem.losses(theta) ** -0.5) @ gradients).max() > 0.1


def numerical_gradient(function, point, step=1e-6):
    return np.array(
        [(function(point + step * axis) - function(point - step * axis)) / (2 * step) for axis in np.eye(6)]
    )


def torch_losses(problem, theta):
    curvature, slope, constant = map(torch.from_numpy, (problem.curvature, problem.slope, problem.constant))
    return (curvature @ theta) @ theta - 2 * slope @ theta + constant


def test_the_gradient_of_torchjds_geometric_mean_is_that_of_adaloss_times_gm_over_k(network):
    problem, _ = network
    start = np.random.default_rng(2).normal(size=6)
    theta = torch.from_numpy(start).requires_grad_()
    GeometricMean()(torch_losses(problem, theta)).backward()
    losses = problem.losses(start)
    expected = scipy.stats.gmean(losses) / 6 * log_sum_gradient(losses, problem.gradients(start))
    assert theta.grad.numpy() == pytest.approx(expected, rel=1e-11)
    assert np.linalg.norm(theta.grad.numpy() / (6 * expected) - 1) > 0.1  # a factor GM would not do


@pytest.mark.parametrize("make", [lambda: UW(6), lambda: uw(6)], ids=["torchjd", "its wrapper here"])
def test_torchjds_uncertainty_weighting_learned_jointly_lands_on_adaloss(network, make):
    problem, fixed_point = network
    weigh = make().double()
    (log_variances,) = weigh.parameters()

    def objective(point):
        theta = torch.from_numpy(point[:6]).requires_grad_()
        with torch.no_grad():
            log_variances.copy_(torch.from_numpy(point[6:]))
        value = weigh(torch_losses(problem, theta))
        gradients = torch.autograd.grad(value, [theta, log_variances])
        return value.item(), torch.cat(gradients).numpy()

    point = scipy.optimize.minimize(objective, np.zeros(12), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    assert point[:6] == pytest.approx(fixed_point, abs=1e-6)
    assert np.exp(point[6:]) == pytest.approx(problem.losses(fixed_point), rel=1e-5)
    assert np.abs(problem.minimiser(np.ones(6)) - fixed_point).max() > 0.1


def test_the_learned_variance_is_that_of_torchjd():
    losses = np.random.default_rng(3).uniform(0.2, 2, size=50)
    weigh = UW(1).double()
    path = []
    for loss in torch.from_numpy(losses):
        (gradient,) = torch.autograd.grad(weigh(loss[None]), weigh.log_var)
        with torch.no_grad():
            weigh.log_var -= 0.3 * gradient
        path.append(weigh.log_var.exp().item())
    assert learned_variances(losses, rate=0.3) == pytest.approx(path, rel=1e-12)


def test_running_means_by_hand():
    assert running_means([1.0, 2.0, 3.0], momentum=0.5, start=4.0).tolist() == [2.5, 2.25, 2.625]
    assert np.array_equal(running_means(LOSSES, momentum=0.0), LOSSES)


def test_in_small_steps_the_learned_variance_is_a_running_mean_with_momentum_1_minus_half_the_rate():
    """Of a loss that moves, too. The difference is of the order of the rate: a tenth of it for a tenth."""
    time = np.linspace(0, 1, 4000)
    gaps = []
    for rate in (0.02, 0.002):
        steps = np.repeat(1 + 0.7 * np.sin(12 * time), round(0.02 / rate))  # the same curve in units of the memory
        variances = learned_variances(steps, rate=rate)
        gaps.append(np.abs(variances / running_means(steps, momentum=1 - rate / 2) - 1).max())
    assert gaps[0] < 0.01
    assert gaps[1] == pytest.approx(gaps[0] / 10, rel=0.1)
    steps = 1 + 0.7 * np.sin(12 * time)
    other = running_means(steps, momentum=1 - 0.02)  # half the memory: no longer the same
    assert np.abs(learned_variances(steps, rate=0.02) / other - 1).max() > 0.05

"""1/ℓ is the profiled weight of a likelihood and the answer to a log barrier, and learned scales follow the loss."""

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.special
import scipy.stats
import torch
from torchjd.scalarization import UW, GeometricMean

from anytime_study.runs.weightings import uw
from anytime_study.theory.geometric_mean import adaloss_fixed_point, log_sum_gradient, rest_point
from anytime_study.theory.likelihood_and_barrier import (
    EXPONENTIAL,
    KENDALL_CLASSIFICATION,
    LAPLACE,
    PAPER,
    ScaleFamily,
    barrier_objective,
    barrier_value,
    barrier_weights,
    fit_jointly,
    gaussian,
    learned_variances,
    liebel_koerner_profile,
    liebel_koerner_variance,
    product_precisions,
    running_means,
)
from anytime_study.theory.linear_residual import linear_residual, residual_moments

SEED = 0
LOSSES = 10 ** np.random.default_rng(SEED).uniform(-4, 3, size=12)
FAMILIES = [
    EXPONENTIAL,
    LAPLACE,
    gaussian(),
    gaussian(3),
    KENDALL_CLASSIFICATION,
    PAPER,
    ScaleFamily("odd", 1.7, 0.3, 2.5),
]


def nll(family, loss, scale):
    """ℓ / (c σ^p) + n ln σ."""
    return family.weights(scale) * loss + family.count * np.log(scale)


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


# --- the barrier: the paper's Eq. 2 and 3 --------------------------------------------------------------------------


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


# --- likelihoods: the paper's Eq. 1 and its kin --------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("loss", [1e-3, 0.7, 40.0])
def test_the_best_scale_gives_the_weight_share_over_loss(family, loss):
    scale, value = minimum(lambda scale: nll(family, loss, scale))
    assert family.profile(loss) == pytest.approx(value, rel=1e-10, abs=1e-10)
    assert family.weights(scale) * loss == pytest.approx(family.share, rel=1e-5)


@pytest.mark.parametrize(
    ("family", "distribution", "constant"),
    [
        (EXPONENTIAL, lambda scale: scipy.stats.expon(scale=scale), 0.0),
        (LAPLACE, lambda scale: scipy.stats.laplace(scale=scale), np.log(2)),
        (gaussian(), lambda scale: scipy.stats.norm(scale=scale), np.log(2 * np.pi) / 2),
        (gaussian(3), lambda scale: scipy.stats.multivariate_normal(np.zeros(3), scale**2), 3 * np.log(2 * np.pi) / 2),
    ],
    ids=["exponential", "Laplace", "Gaussian", "Gaussian in 3 dimensions"],
)
def test_the_families_are_the_densities_that_they_are_named_after(family, distribution, constant):
    sample = distribution(2.5).rvs(size=200_000, random_state=np.random.default_rng(SEED))
    numbers = np.abs(sample) ** family.power
    loss = (numbers.sum(axis=-1) if sample.ndim > 1 else numbers).mean()
    for scale in (0.8, 2.5, 9.0):
        expected = -distribution(scale).logpdf(sample).mean()
        assert nll(family, loss, scale) + constant == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("family", [EXPONENTIAL, gaussian(), gaussian(3), KENDALL_CLASSIFICATION, PAPER])
def test_scales_fitted_jointly_lead_to_adaloss(network, family):
    problem, fixed_point = network
    theta, scales = fit_jointly(problem, [family] * 6)
    assert theta == pytest.approx(fixed_point, abs=1e-8)
    assert family.weights(scales) * problem.losses(theta) == pytest.approx(np.full(6, family.share), rel=1e-7)
    assert np.linalg.norm(problem.minimiser(np.ones(6)) - fixed_point) > 0.3  # and not to CONST


def test_mixed_families_lead_elsewhere(network):
    """Families of unlike p weigh the exits by 1 / (p_i ℓ_i), and minimise Σ ln ℓ_i / p_i."""
    problem, fixed_point = network
    theta, _ = fit_jointly(problem, [LAPLACE] * 3 + [gaussian()] * 3)
    assert 0.005 < np.linalg.norm(theta - fixed_point) < 0.01
    powers = np.array([1, 1, 1, 2, 2, 2])
    assert theta == pytest.approx(rest_point(problem, lambda losses: 1 / (powers * losses)), abs=1e-8)
    found = scipy.optimize.minimize(
        lambda x: (np.log(problem.losses(x)) / powers).sum(),
        theta + 0.01,
        jac=lambda x: (1 / (powers * problem.losses(x))) @ problem.gradients(x),
        method="BFGS",
        options={"gtol": 1e-9},
    )
    assert found.x == pytest.approx(theta, abs=1e-6)


# --- torchjd, the other implementation -----------------------------------------------------------------------------


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


# --- following the minimum -----------------------------------------------------------------------------------------


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


# --- Liebel and Körner ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [1e-4, 0.03, 1.0, 20.0])
def test_liebel_and_koerners_variance(loss):
    variance, value = minimum(lambda v: loss / (2 * v) + np.log1p(v))
    assert liebel_koerner_variance(loss) == pytest.approx(variance, rel=1e-6)
    assert liebel_koerner_profile(loss) == pytest.approx(value, rel=1e-11)


# --- several densities for one target ------------------------------------------------------------------------------


def test_residual_moments_are_those_of_samples():
    problem, theta = linear_residual(3, sigma2=0.5), np.array([1.4, 0.2, 0.9])
    generator = np.random.default_rng(SEED)
    x = generator.multivariate_normal(np.zeros(3), problem.curvature[-1], size=200_000)
    y = x.sum(axis=1) + np.sqrt(0.5) * generator.normal(size=len(x))
    residuals = y[:, None] - np.cumsum(theta * x, axis=1)
    moments = residual_moments(problem, theta)
    assert residuals.T @ residuals / len(x) == pytest.approx(moments, abs=0.03)
    assert np.diag(moments) == pytest.approx(problem.losses(theta), rel=1e-13)
    assert np.abs(moments - np.diag(np.diag(moments))).max() > 0.3


def normalised_nll(precisions, moments):
    """Of the normalised product, term by term: a Gaussian around the precision-weighted mean of the predictions."""
    total = precisions.sum()
    shares = precisions / total
    return shares @ moments @ shares * total / 2 - np.log(total) / 2


@pytest.mark.parametrize("seed", range(5))
def test_the_normalised_product_is_fitted_by_other_precisions(seed):
    root = np.random.default_rng(seed).normal(size=(4, 4))
    moments = root @ root.T + 0.3 * np.eye(4)
    found = product_precisions(moments)
    best = normalised_nll(found, moments)
    tries = scipy.optimize.minimize(
        lambda logs: normalised_nll(np.exp(logs), moments), np.zeros(4), method="Nelder-Mead", options={"maxfev": 4000}
    )
    assert best <= tries.fun + 1e-12
    assert best == pytest.approx(tries.fun, abs=1e-3)
    assert best < normalised_nll(1 / np.diag(moments), moments) - 1e-3  # the weights of AdaLoss are not the best ones


def test_uncorrelated_residuals_would_make_it_the_weights_of_adaloss():
    assert product_precisions(np.diag(LOSSES)) * LOSSES == pytest.approx(np.ones(12), rel=1e-12)

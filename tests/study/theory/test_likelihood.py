"""1/ℓ is the profiled weight of a likelihood and the answer to a log barrier, and learned scales follow the loss."""

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.special
import scipy.stats
import torch
from torchjd.scalarization import UW, GeometricMean

from anytime_core.weighting.scalarized import uw
from anytime_study.theory.geometric_mean import adaloss_fixed_point, log_sum, log_sum_gradient, rest_point
from anytime_study.theory.likelihood import (
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
    residual_moments,
    running_means,
)
from anytime_study.theory.quadratics import linear_residual

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


@pytest.mark.parametrize("barrier", [0.1, 1.0, 3.0])
def test_at_its_minimum_the_barrier_objective_is_the_sum_of_logs_plus_a_constant(barrier):
    constant = 12 * barrier * (1 - np.log(barrier))
    value = barrier_objective(LOSSES, barrier_weights(LOSSES, barrier=barrier), barrier=barrier)
    assert value == pytest.approx(barrier * log_sum(LOSSES) + constant, rel=1e-13)
    assert barrier_value(LOSSES, barrier=barrier) == pytest.approx(value, rel=1e-13)


@pytest.mark.parametrize("factor", [0.5, 0.99, 1.01, 2.0])
def test_every_other_weight_costs_lambda_times_f_minus_1_minus_ln_f(factor):
    best = barrier_objective(LOSSES, barrier_weights(LOSSES, barrier=3), barrier=3)
    excess = barrier_objective(LOSSES, factor * barrier_weights(LOSSES, barrier=3), barrier=3) - best
    assert excess == pytest.approx(12 * 3 * (factor - 1 - np.log(factor)), rel=1e-8)
    assert excess > 0


def test_twice_the_weights_cost_k_times_1_minus_ln_2():
    excess = barrier_objective(LOSSES, 2 / LOSSES) - barrier_value(LOSSES)
    assert excess == pytest.approx(3.68223383, abs=1e-8)


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


def test_the_barrier_parameter_moves_no_minimum_over_theta(network):
    problem, fixed_point = network
    for barrier in (0.1, 3.0):
        point = rest_point(problem, lambda losses, barrier=barrier: barrier_weights(losses, barrier=barrier))
        assert point == pytest.approx(fixed_point, abs=1e-12)


def test_weights_with_product_one_instead_of_a_barrier_give_the_geometric_mean():
    """min Σ B ℓ over Π B = 1 is K GM, at B = GM / ℓ: by a solver that knows neither."""
    losses = LOSSES[:5]
    start = np.zeros(4)

    def total(logs):
        return np.exp([*logs, -np.sum(logs)]) @ losses

    found = scipy.optimize.minimize(total, start, method="BFGS", options={"gtol": 1e-10})
    mean = scipy.stats.gmean(losses)
    assert found.fun == pytest.approx(5 * mean, rel=1e-10)
    assert np.exp([*found.x, -found.x.sum()]) == pytest.approx(mean / losses, rel=1e-4)
    assert found.fun < 0.1 * losses.sum()  # the constraint B = 1 would give far more


# --- likelihoods: the paper's Eq. 1 and its kin --------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("loss", [1e-3, 0.7, 40.0])
def test_the_best_scale_gives_the_weight_share_over_loss(family, loss):
    scale, value = minimum(lambda scale: family.nll(loss, scale))
    assert family.best_scales(loss) == pytest.approx(scale, rel=1e-6)
    assert family.profile(loss) == pytest.approx(value, rel=1e-10, abs=1e-10)
    assert family.weights(family.best_scales(loss)) * loss == pytest.approx(family.share, rel=1e-14)


def test_shares_by_hand():
    assert [family.share for family in FAMILIES[:6]] == [1, 1, 0.5, 1.5, 0.5, 1]
    # only where count and power agree is the weight 1/ℓ: the paper's exponent leaves out ½ and takes ln σ² for ln σ
    assert PAPER.best_scales(0.04) == pytest.approx(0.2)
    assert gaussian().best_scales(0.04) == pytest.approx(0.2)
    assert KENDALL_CLASSIFICATION.best_scales(0.04) == pytest.approx(np.sqrt(0.08))
    assert gaussian(4).best_scales(0.04) == pytest.approx(0.1)
    assert LAPLACE.best_scales(0.04) == EXPONENTIAL.best_scales(0.04) == pytest.approx(0.04)


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
        assert family.nll(loss, scale) + constant == pytest.approx(expected, rel=1e-10)
    # 200 000 draws: a standard error of 0.2 % or less of the scale
    assert family.best_scales(loss) == pytest.approx(2.5, rel=0.01)


def test_the_paper_leaves_out_the_half_and_the_dimension():
    """Eq. 1 is twice a Gaussian's likelihood in one dimension, and nobody's in more."""
    scales = np.array([0.3, 1.0, 4.0])
    assert PAPER.nll(0.7, scales) == pytest.approx(2 * gaussian().nll(0.7, scales), rel=1e-14)
    assert np.ptp(PAPER.nll(0.7, scales) - 2 * gaussian(3).nll(0.7, scales)) > 1
    # yet the weights of all are proportional to 1/ℓ
    for family in (PAPER, gaussian(), gaussian(3)):
        products = family.weights(family.best_scales(LOSSES)) * LOSSES
        assert np.ptp(products) < 1e-14


def test_the_exponent_of_kendalls_classification_belongs_to_no_distribution_of_the_label():
    """Σ over the classes of exp(-(ℓ_c / σ² + ln σ)) is 1 for σ = 1 alone; a Gaussian integrates to 1 for every σ."""
    losses = -np.log(scipy.special.softmax([2.0, 0.5, -1.0, 0.0]))

    def total(scale):
        return np.exp(-KENDALL_CLASSIFICATION.nll(losses, scale)).sum()

    assert total(1.0) == pytest.approx(1, abs=1e-15)
    assert total(2.0) > 1.2
    assert total(0.5) < 0.6
    ten = np.exp(-KENDALL_CLASSIFICATION.nll(np.full(10, np.log(10)), np.sqrt(2)))
    assert ten.sum() == pytest.approx(np.sqrt(5), rel=1e-12)  # of the exercise: C^(1 - 1/σ²) / σ
    for scale in (0.5, 1.0, 2.0):
        density = scipy.integrate.quad(lambda r, s=scale: np.exp(-gaussian().nll(r**2, s)), -np.inf, np.inf)[0]
        assert density / np.sqrt(2 * np.pi) == pytest.approx(1, abs=1e-8)


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


def test_the_joint_fit_may_end_in_another_minimum():
    """The sum of logs is not convex, and so the way to its minima matters here as well."""
    problem = linear_residual(correlation=0.9664, sigma2=8.57e-4)
    theta, scales = fit_jointly(problem, [gaussian()] * 6)
    assert scales**2 == pytest.approx(problem.losses(theta), rel=1e-6)  # it is stationary …
    again = adaloss_fixed_point(problem, start=theta)
    assert theta == pytest.approx(again, abs=1e-6)  # … and a fixed point …
    assert np.linalg.norm(theta - adaloss_fixed_point(problem)) > 1  # … but not the one that is reached from θ = 0


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


@pytest.mark.parametrize("start", [0.2, 5.0])
def test_the_learned_variance_forgets_with_memory_two_over_the_rate(start):
    path = learned_variances(np.ones(1000), rate=0.01, start=start)
    slope = np.polyfit(np.arange(1000), np.log(np.abs(path - 1)), 1)[0]
    assert -1 / slope == pytest.approx(2 / 0.01, rel=0.02)
    means = running_means(np.ones(1000), momentum=0.99, start=start)  # β with the memory 1 / rate
    slope = np.polyfit(np.arange(1000), np.log(np.abs(means - 1)), 1)[0]
    assert -1 / slope == pytest.approx(100, rel=0.01)


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


def test_in_large_steps_the_learned_variance_overshoots_where_a_running_mean_cannot():
    losses = np.full(200, 50.0)
    assert running_means(losses, momentum=0.9).max() <= 50
    assert learned_variances(losses, rate=0.2).max() > 100  # the first step alone is e^4.9


# --- Liebel and Körner ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [1e-4, 0.03, 1.0, 20.0])
def test_liebel_and_koerners_variance(loss):
    variance, value = minimum(lambda v: loss / (2 * v) + np.log1p(v))
    assert liebel_koerner_variance(loss) == pytest.approx(variance, rel=1e-6)
    assert liebel_koerner_profile(loss) == pytest.approx(value, rel=1e-11)


def test_liebel_and_koerners_objective_has_a_lower_end_but_depends_on_the_unit():
    products = np.array([1e-4, 1.0, 1e4])
    products = products / (2 * liebel_koerner_variance(products))
    assert products == pytest.approx([0.0070, 0.5, 0.9998], abs=5e-5)
    tiny = np.array([1e-8, 1e-12])
    assert liebel_koerner_profile(tiny) == pytest.approx(np.sqrt(2 * tiny), rel=1e-3)
    assert liebel_koerner_profile(1e6) == pytest.approx(np.log(1e6) + 1 - np.log(2), abs=1e-5)
    assert (liebel_koerner_profile(tiny) > 0).all()
    assert (gaussian().profile(tiny) < 0).all()
    # the weight itself is not bounded, it grows as 1 / √(2ℓ)
    assert 1 / (2 * liebel_koerner_variance(tiny)) == pytest.approx(1 / np.sqrt(2 * tiny), rel=1e-3)


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


def test_in_the_network_the_normalised_product_drops_exits(network):
    problem, fixed_point = network
    precisions = product_precisions(residual_moments(problem, fixed_point))
    assert (precisions == 0).sum() >= 3


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_what_is_not_above_0_is_refused(value):
    for call in (
        lambda: barrier_weights(LOSSES, barrier=value),
        lambda: barrier_value(LOSSES, barrier=value),
        lambda: barrier_objective(LOSSES, LOSSES, barrier=value),
    ):
        with pytest.raises(ValueError, match="barrier: expected a finite number above 0, found"):
            call()
    for name in ("power", "divisor", "count"):
        with pytest.raises(ValueError, match=f"{name}: expected a finite number above 0, found"):
            ScaleFamily("bad", **{"power": 1.0, name: value})
    for name in ("rate", "start"):
        with pytest.raises(ValueError, match=f"{name}: expected a finite number above 0, found"):
            learned_variances([1.0], **{"rate": 0.1, name: value})


def test_a_search_that_ends_nowhere_is_no_fit(network, monkeypatch):
    monkeypatch.setattr(
        scipy.optimize,
        "minimize",
        lambda function, start, **_: scipy.optimize.OptimizeResult(x=start, jac=function(start)[1]),
    )
    with pytest.raises(RuntimeError, match="no minimum: the largest part of the gradient is still"):
        fit_jointly(network[0], [EXPONENTIAL] * 6)


def test_two_exits_that_predict_the_same_have_no_precisions():
    with pytest.raises(np.linalg.LinAlgError):
        product_precisions(np.ones((2, 2)))


def test_a_family_for_each_exit(network):
    with pytest.raises(ValueError, match="families: expected one for each of 6 exits, found 2"):
        fit_jointly(network[0], [EXPONENTIAL] * 2)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, np.nan])
def test_a_momentum_outside_its_range_is_refused(momentum):
    with pytest.raises(ValueError, match="momentum: expected 0 or more and below 1, found"):
        running_means([1.0], momentum=momentum)

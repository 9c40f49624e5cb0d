import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.signal
import torch

from anytime_core.weighting.adaloss import AdaLoss
from anytime_study.theory.batch_noise import (
    HardSamples,
    best_momentum,
    lag_ratio,
    log_error_slope,
    log_gap,
    log_gap_gamma,
    mean_age,
    running_mean_variance,
    weight_error,
    weighted_descent,
)

CHAINS, SETTLE = 200, 500


def gamma_losses(variation, shape, seed=0):
    """Independent losses with mean 1 and coefficient of variation κ."""
    return np.random.default_rng(seed).gamma(1 / variation**2, variation**2, size=shape)


def running_means(losses, momentum):
    """The running mean over the last axis, by a recursive filter, without the steps in which it settles."""
    return scipy.signal.lfilter([1 - momentum], [1, -momentum], losses)[..., SETTLE:]


def mean_and_error(values):
    """Mean, and its standard error from the chains, which are independent; within a chain values are not."""
    chains = values.mean(axis=1)
    return chains.mean(), chains.std(ddof=1) / np.sqrt(len(chains))


# --- noise of the running mean -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variation", "momentum"), [(0.1, 0.0), (0.1, 0.5), (0.1, 0.9), (0.3, 0.9)])
def test_the_noise_of_the_mean_is_the_bias_of_the_weight(variation, momentum):
    means = running_means(gamma_losses(variation, (CHAINS, 3000)), momentum)
    formula = running_mean_variance(variation, momentum)
    variance, variance_error = mean_and_error(np.square(means - 1))
    bias, bias_error = mean_and_error(1 / means - 1)
    assert variance == pytest.approx(formula, abs=4 * variance_error)
    # the next term of the series is of the order of κ⁴
    assert bias == pytest.approx(formula, abs=4 * bias_error + 2 * formula**2)
    other = variation**2 * (1 - momentum) * (1.0 if momentum else 0.5)  # plausible, and wrong
    assert abs(variance - other) > 10 * variance_error


def test_the_bias_without_memory_is_exact_for_gamma_losses():
    """E 1/ℓ = m / (m - 1) with m = 1/κ², so the formula κ² is a little too small."""
    bias, error = mean_and_error(1 / gamma_losses(0.3, (CHAINS, 3000)) - 1)
    assert bias == pytest.approx(1 / (1 / 0.3**2 - 1), abs=4 * error)
    assert bias - running_mean_variance(0.3, 0) > 4 * error


def test_the_refresh_period_leaves_the_bias_alone():
    means = running_means(gamma_losses(0.3, (CHAINS, 8000), seed=1), 0.9)
    every, error = mean_and_error(1 / means - 1)
    some, some_error = mean_and_error(1 / means[:, ::100] - 1)
    assert some == pytest.approx(every, abs=4 * np.hypot(error, some_error))
    assert some > 8 * some_error  # there is a bias to be left alone


def test_a_bias_that_all_exits_share_cancels_in_the_normalisation():
    means = running_means(gamma_losses(0.3, (CHAINS, 6000), seed=2), 0.5).reshape(2, CHAINS // 2, -1)
    weights = 1 / (np.array([1.0, 0.1])[:, None, None] * means)
    share = weights.mean(axis=(1, 2))
    assert share[1] / share[0] == pytest.approx(10, rel=0.01)
    assert share[0] - 1 > 0.025
    # another κ at the second exit does not cancel
    noisy = (1 / running_means(gamma_losses(0.6, (CHAINS, 6000), seed=3), 0.5)).mean()
    assert noisy / share[0] > 1.05


# --- lateness ------------------------------------------------------------------------------------------------------


def ages(momentum, refresh_period):
    """The package's AdaLoss gets the step number as its loss; what it has for the mean then shows the age."""
    weigh = AdaLoss(
        1, momentum=momentum, refresh_period=refresh_period, floor=0, normalisation="none", bias_correction=True
    ).double()
    steps = refresh_period * max(1, round(1200 / refresh_period))
    found = []
    for step in range(1, steps + 2 * refresh_period + 1):
        if step > steps:
            found.append(step - 1 / weigh.weights.item())
        weigh(torch.tensor([float(step)], dtype=torch.float64))
    return np.array(found)


@pytest.mark.parametrize(("momentum", "refresh_period"), [(0.9, 100), (0.9, 1), (0.98, 100), (0.96, 1), (0.0, 7)])
def test_the_packages_weights_are_as_old_as_the_formula_says(momentum, refresh_period):
    found = ages(momentum, refresh_period)
    assert found.mean() == pytest.approx(mean_age(momentum, refresh_period), rel=1e-6)
    assert found.var() == pytest.approx((refresh_period**2 - 1) / 12, rel=1e-6, abs=1e-6)


def test_with_the_released_knobs_most_of_the_age_is_waiting():
    assert mean_age(0.9, 100) == pytest.approx(59.5)
    assert (mean_age(0.9, 100) - mean_age(0.9, 1)) / mean_age(0.9, 100) == pytest.approx(0.83, abs=0.005)


@pytest.mark.parametrize("decay_time", [20, 200])
def test_the_mean_stays_above_a_falling_loss(decay_time):
    losses = np.exp(-np.arange(2000) / decay_time)
    mean = losses[0]
    for loss in losses[1:]:
        mean = 0.9 * mean + 0.1 * loss
    assert mean / losses[-1] == pytest.approx(lag_ratio(0.9, decay_time), rel=1e-9)
    assert lag_ratio(0.9, decay_time) > 1.04


def test_a_loss_that_falls_faster_than_the_mean_forgets_leaves_it_behind():
    losses = np.exp(-np.arange(400) / 9)  # 0.9 e^(1/9) > 1
    mean, ratios = losses[0], []
    for loss in losses[1:]:
        mean = 0.9 * mean + 0.1 * loss
        ratios.append(mean / loss)
    assert ratios[-1] > 1.5 * ratios[len(ratios) // 2] > 3
    with pytest.raises(ValueError, match=r"decay_time: expected above 9\.491 steps, found 9"):
        lag_ratio(0.9, 9)


def test_a_mean_that_starts_at_the_first_batch_remembers_it():
    """After 10 more batches it still counts .9^10 = 35 %; a corrected mean has forgotten it as any other."""
    found = {}
    for corrected in (False, True):
        weigh = AdaLoss(
            1, momentum=0.9, refresh_period=1, floor=0, normalisation="none", bias_correction=corrected
        ).double()
        for step in range(11):
            weigh(torch.tensor([2.0 if step == 0 else 1.0], dtype=torch.float64))
        found[corrected] = 1 / weigh.weights.item() - 1
    assert found[False] == pytest.approx(0.9**10)
    assert found[True] == pytest.approx(0.1 * 0.9**10 / (1 - 0.9**11))
    assert found[False] > 6 * found[True]


# --- noise against lateness ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variation", "momentum", "refresh_period"), [(0.02, 0.9, 1), (0.02, 0.5, 100), (0.01, 0.9, 100)]
)
def test_the_error_of_a_weight_is_that_of_a_simulation(variation, momentum, refresh_period):
    drift, steps = 1e-4, 2500
    falling = np.exp(-drift * np.arange(steps))
    means = running_means(falling * gamma_losses(variation, (400, steps)), momentum)
    truth = falling[SETTLE:]
    refreshed = np.arange(means.shape[1]) // refresh_period * refresh_period
    error = (truth[1:] / means[:, refreshed[:-1]] - 1)[:, : (means.shape[1] - 1) // refresh_period * refresh_period]
    found, spread = mean_and_error(np.square(error))
    assert np.sqrt(found) == pytest.approx(weight_error(variation, momentum, refresh_period, drift), rel=0.02)
    assert spread < 0.02 * found


def test_the_error_is_not_the_one_of_the_mean_age_alone():
    """Without noise: the wait for the refresh varies, and that adds to its mean."""
    assert weight_error(0, 0.5, 100, 1e-4) > 1.1 * 1e-4 * mean_age(0.5, 100)
    assert weight_error(0, 0.5, 1, 1e-4) == pytest.approx(1e-4 * mean_age(0.5, 1))


@pytest.mark.parametrize("variation", [0.1, 0.3])
@pytest.mark.parametrize("refresh_period", [1, 100])
def test_the_best_momentum_is_the_best_of_a_grid(variation, refresh_period):
    grid = np.linspace(0, 0.999, 4000)
    errors = [weight_error(variation, momentum, refresh_period, 1 / 2000) for momentum in grid]
    best = best_momentum(variation, refresh_period, 1 / 2000)
    assert best == pytest.approx(grid[np.argmin(errors)], abs=3e-4)
    assert min(errors) < 0.99 * weight_error(variation, 0.999, refresh_period, 1 / 2000)


def test_frequent_refreshes_and_a_momentum_of_about_96_percent():
    """The recommendation, for losses that change by 1/2000 a step and fluctuate by 10 % to 30 %."""
    assert 0.95 < best_momentum(0.1, 1, 1 / 2000) < best_momentum(0.3, 1, 1 / 2000) < 0.98
    for variation in (0.1, 0.3):
        every, seldom = (weight_error(variation, best_momentum(variation, P, 1 / 2000), P, 1 / 2000) for P in (1, 100))
        assert every < 0.7 * seldom
    with pytest.raises(ValueError, match="drift: expected above 0, found 0"):
        best_momentum(0.1, 1, 0)


# --- weights from the batch itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 4, 32])
@pytest.mark.parametrize("variation", [0.5, 1.0])
def test_the_log_of_a_batch_mean_is_low_by_what_the_digamma_function_says(batch_size, variation):
    logs = np.log(gamma_losses(variation, (40_000, batch_size)).mean(axis=1))
    error = logs.std() / np.sqrt(len(logs))
    assert logs.mean() == pytest.approx(log_gap_gamma(variation, batch_size), abs=4 * error)
    assert logs.mean() < -5 * error  # E ln is not ln E


def test_for_large_batches_the_gap_is_half_the_squared_variation_over_the_size():
    sizes = np.array([1, 4, 32, 1024])
    for variation in (0.5, 1.0, 2.0):
        ratio = log_gap_gamma(variation, sizes) / log_gap(variation, sizes)
        assert abs(ratio[-1] - 1) < 2e-3
        assert np.all(np.diff(abs(ratio - 1)) < 0)
    np.testing.assert_allclose(log_gap_gamma(1, sizes[:3]), [-0.57722, -0.13018, -0.01571], atol=1e-5)


SHARES, MEANS, DEVIATIONS = np.array([0.8, 0.2]), np.array([0.0, 4.0]), np.array([0.3, 1.0])


def mixture_density(x):
    return sum(
        share * np.exp(-0.5 * ((x - mean) / width) ** 2) / (width * np.sqrt(2 * np.pi))
        for share, mean, width in zip(SHARES, MEANS, DEVIATIONS, strict=True)
    )


@pytest.mark.parametrize("theta", [-1.0, 0.1, 0.8, 4.0])
def test_the_slope_of_the_expected_log_error_is_dawsons_function(theta):
    """Against a difference quotient of the integral, which has a logarithmic pole at θ."""

    def expected(at):
        return sum(
            scipy.integrate.quad(lambda x: np.log((at - x) ** 2) * mixture_density(x), *ends, limit=200)[0]
            for ends in ((-4, min(at, 0)), (min(at, 0), max(at, 0)), (max(at, 0), 12))
        )

    slope = (expected(theta + 1e-3) - expected(theta - 1e-3)) / 2e-3
    assert log_error_slope(theta, SHARES, MEANS, DEVIATIONS) == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_weights_of_single_samples_seek_the_mode():
    """80 % near 0 and 20 % near 4: the minimiser of E ln leaves the mean for the majority, and its error is larger."""
    best = scipy.optimize.brentq(log_error_slope, -0.3, 0.3, args=(SHARES, MEANS, DEVIATIONS))
    mean = SHARES @ MEANS
    variance = SHARES @ (DEVIATIONS**2 + MEANS**2) - mean**2
    assert abs(best) < 0.02
    assert abs(log_error_slope(mean, SHARES, MEANS, DEVIATIONS)) > 0.5  # the mean is not even stationary
    assert 1 + (best - mean) ** 2 / variance == pytest.approx(1.22, abs=0.01)


def test_a_weight_from_earlier_batches_leaves_the_gradient_unbiased():
    """At the mean, E g = 0: weights of the batch before give no pull, those of the batch itself pull to the mode."""
    generator = np.random.default_rng(0)
    chosen = generator.random((100_000, 4)) < SHARES[1]
    samples = generator.normal(MEANS[chosen.astype(int)], DEVIATIONS[chosen.astype(int)])
    theta = SHARES @ MEANS
    losses, gradients = np.square(theta - samples).mean(axis=1), 2 * (theta - samples).mean(axis=1)
    for weights, biased in ((1 / losses, True), (1 / np.roll(losses, 1), False)):
        pulls = weights * gradients
        deviations = pulls.mean() / (pulls.std() / np.sqrt(len(pulls)))
        assert (deviations > 20) if biased else (abs(deviations) < 4)


# --- two exits -----------------------------------------------------------------------------------------------------

PROBLEM = HardSamples()


@pytest.mark.parametrize("batch_size", [1, 4, 16, 64])
def test_in_batch_weights_minimise_the_mean_over_batches(batch_size):
    """Against batches that were drawn, on a grid."""
    hard = np.random.default_rng(0).random((20_000, batch_size)) < PROBLEM.hard_share
    remainders, times = np.unique(np.where(hard, PROBLEM.hard, PROBLEM.easy).mean(axis=1), return_counts=True)
    theta = np.linspace(-0.5, 1.5, 2001)
    logs = np.log(theta**2 + PROBLEM.first_floor) + np.log((1 - theta[:, None]) ** 2 + remainders) @ times / len(hard)
    assert theta[logs.argmin()] == pytest.approx(PROBLEM.in_batch_minimiser(batch_size), abs=0.01)


def test_small_batches_move_the_minimiser_and_large_ones_do_not():
    found = [PROBLEM.in_batch_minimiser(n) for n in (1, 4, 16, 64, 1024)]
    full = PROBLEM.full_batch_minimiser()
    assert full == pytest.approx(0.1557, abs=1e-3)
    assert np.all(np.diff(found) < 0)
    assert found[0] - full > 0.7
    assert 0 < found[-1] - full < 1e-3


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_without_noise_the_batch_size_does_not_matter(share):
    """Negative control: all samples easy, or all hard."""
    problem = HardSamples(hard_share=share)
    for batch_size in (1, 4, 64):
        assert problem.in_batch_minimiser(batch_size) == pytest.approx(problem.full_batch_minimiser(), abs=1e-7)
        assert problem.variation(0.5, batch_size) == 0


def test_the_full_batch_minimiser_is_stationary():
    theta = PROBLEM.full_batch_minimiser()
    second = (1 - theta) ** 2 + 0.9 * PROBLEM.easy + 0.1 * PROBLEM.hard
    assert theta / (theta**2 + PROBLEM.first_floor) == pytest.approx((1 - theta) / second, rel=1e-6)


def test_the_variation_is_that_of_drawn_batches():
    hard = np.random.default_rng(0).binomial(4, 0.1, size=200_000) / 4
    losses = 0.6**2 + PROBLEM.easy + (PROBLEM.hard - PROBLEM.easy) * hard
    assert PROBLEM.variation(0.4, 4) == pytest.approx(losses.std() / losses.mean(), rel=0.01)


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_stochastic_descent_with_in_batch_weights_goes_to_the_in_batch_minimiser(batch_size):
    found = weighted_descent(PROBLEM, batch_size=batch_size, momentum=None)
    assert found == pytest.approx(PROBLEM.in_batch_minimiser(batch_size), abs=0.005)
    assert found - PROBLEM.full_batch_minimiser() > 0.03


@pytest.mark.parametrize(("batch_size", "two"), [(4, False), (8, True), (16, False)])
def test_in_between_there_are_two_minima_and_the_start_decides(batch_size, two):
    ends = [weighted_descent(PROBLEM, batch_size=batch_size, momentum=None, start=start) for start in (0.0, 1.0)]
    assert (ends[1] - ends[0] > 0.5) if two else (abs(ends[1] - ends[0]) < 1e-3)


@pytest.mark.parametrize("refresh_period", [1, 100])
@pytest.mark.parametrize("batch_size", [4, 16])
def test_a_running_mean_goes_to_the_full_batch_minimiser_from_either_side(batch_size, refresh_period):
    for start in (0.0, 1.0):
        found = weighted_descent(
            PROBLEM, batch_size=batch_size, momentum=0.99, refresh_period=refresh_period, start=start
        )
        assert found == pytest.approx(PROBLEM.full_batch_minimiser(), abs=0.01)


def test_without_a_refresh_the_weights_stay_at_1():
    """CONST then, whose minimiser is halfway; the last step's refresh comes too late to matter."""
    for refresh_period in (2000, 2001):
        found = weighted_descent(PROBLEM, batch_size=4, momentum=0.9, refresh_period=refresh_period, steps=2000)
        assert found == pytest.approx(0.5, abs=1e-3)
    assert abs(weighted_descent(PROBLEM, batch_size=4, momentum=0.9, refresh_period=200, steps=2000) - 0.5) > 0.1


def test_a_longer_memory_comes_nearer():
    full = PROBLEM.full_batch_minimiser()
    away = [
        np.mean([weighted_descent(PROBLEM, batch_size=2, momentum=momentum, seed=seed) for seed in range(3)]) - full
        for momentum in (0.0, 0.5, 0.9, 0.99)
    ]
    assert np.all(np.diff(away) < 0)
    assert abs(away[-1]) < 0.02 < away[0]


# --- arguments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HardSamples(easy=0), "easy: expected above 0, found 0"),
        (lambda: HardSamples(hard_share=2), "hard_share: expected 0 to 1, found 2"),
        (lambda: PROBLEM.in_batch_minimiser(0), "batch_size: expected at least 1, found 0"),
        (lambda: weighted_descent(PROBLEM, batch_size=1, momentum=1), "momentum: expected 0 or more and below 1"),
        (lambda: weighted_descent(PROBLEM, batch_size=1, momentum=0, refresh_period=0), "refresh_period: expected"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()

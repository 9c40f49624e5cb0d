import numpy as np
import pytest
import torch

from anytime_core.weighting.adaloss import AdaLoss
from anytime_study.theory.batch_noise import (
    EASY,
    FIRST_FLOOR,
    HARD,
    HARD_SHARE,
    best_compromise,
    mean_age,
    running_mean_variance,
    weighted_descent,
)
from anytime_study.theory.geometric_mean import RunningWeights
from anytime_study.theory.likelihood_and_barrier import running_means

CHAINS, SETTLE = 200, 500


def mean_and_error(values):
    """Mean, and its standard error from the chains, which are independent; within a chain values are not."""
    chains = values.mean(axis=1)
    return chains.mean(), chains.std(ddof=1) / np.sqrt(len(chains))


@pytest.mark.parametrize(("variation", "momentum"), [(0.1, 0.0), (0.1, 0.5), (0.1, 0.9), (0.3, 0.9)])
def test_the_noise_of_the_mean_is_the_bias_of_the_weight(variation, momentum):
    """Of independent losses with mean 1 and coefficient of variation κ."""
    losses = np.random.default_rng(0).gamma(1 / variation**2, variation**2, size=(CHAINS, 3000))
    means = np.array([running_means(chain, momentum=momentum)[SETTLE:] for chain in losses])
    formula = running_mean_variance(variation, momentum)
    variance, variance_error = mean_and_error(np.square(means - 1))
    bias, bias_error = mean_and_error(1 / means - 1)
    assert variance == pytest.approx(formula, abs=4 * variance_error)
    # the next term of the series is of the order of κ⁴
    assert bias == pytest.approx(formula, abs=4 * bias_error + 2 * formula**2)
    other = variation**2 * (1 - momentum) * (1.0 if momentum else 0.5)  # plausible, and wrong
    assert abs(variance - other) > 10 * variance_error


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


# --- two exits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 4, 16, 64])
def test_in_batch_weights_minimise_the_mean_over_batches(batch_size):
    """Against batches that were drawn, on a grid."""
    hard = np.random.default_rng(0).random((20_000, batch_size)) < HARD_SHARE
    remainders, times = np.unique(np.where(hard, HARD, EASY).mean(axis=1), return_counts=True)
    theta = np.linspace(-0.5, 1.5, 2001)
    logs = np.log(theta**2 + FIRST_FLOOR) + np.log((1 - theta[:, None]) ** 2 + remainders) @ times / len(hard)
    assert theta[logs.argmin()] == pytest.approx(best_compromise(batch_size), abs=0.01)


def test_the_compromise_of_expected_losses_is_stationary():
    theta = best_compromise()
    second = (1 - theta) ** 2 + 0.9 * EASY + 0.1 * HARD
    assert theta / (theta**2 + FIRST_FLOOR) == pytest.approx((1 - theta) / second, rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_stochastic_descent_with_in_batch_weights_goes_to_their_compromise(batch_size):
    found = weighted_descent(batch_size)
    assert found == pytest.approx(best_compromise(batch_size), abs=0.005)
    assert found - best_compromise() > 0.03


@pytest.mark.parametrize("refresh_period", [1, 100])
@pytest.mark.parametrize("batch_size", [4, 16])
def test_a_running_mean_goes_to_the_compromise_of_expected_losses_from_either_side(batch_size, refresh_period):
    for start in (0.0, 1.0):
        weigh = RunningWeights(2, normaliser="none", momentum=0.99, refresh_period=refresh_period)
        assert weighted_descent(batch_size, weigh, start=start) == pytest.approx(best_compromise(), abs=0.01)

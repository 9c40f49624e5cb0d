"""Whether an exit is right as often as it says: one temperature per exit, and the expected calibration error.

temperatures = fit_temperatures(logits_validation, labels_validation)        # [K]
calibration_table(logits_validation, labels_validation, logits_test, labels_test)
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.optimize import brentq
from scipy.special import softmax
from torch.nn.functional import cross_entropy
from torchmetrics.functional.classification import multiclass_calibration_error

from anytime_core.inference.exit_thresholds import Temperatures
from anytime_core.inference.logits import (
    Labels,
    Logits,
    checked_labels,
    checked_logits,
    checked_temperatures,
    softmax_at,
)

RANGE = 0.05, 20.0  # of temperatures
BINS = 15  # as Guo et al. 2017


def fit_temperatures(logits_validation: Logits, labels_validation: Labels) -> npt.NDArray[np.float64]:
    """The temperature T of each exit that minimises the mean cross-entropy of softmax(logits / T).

    The cross-entropy is convex in 1 / T, so the root of its slope is the one minimum: the mean logit of the label
    equals the mean logit that the softmax expects. Dividing by T changes no answer, only how sure it is.

    Temperatures are limited to 0.05 … 20. They end there where there is no minimum: at 0.05 if every answer is right,
    at 20 if the logits tell less than nothing.

    Source: Guo et al. 2017, section 4.2.

    Args:
        logits_validation: Of held-out images without augmentation, [K, N, classes].
        labels_validation: [N].

    Returns:
        [K].

    Raises:
        InputError: logits or labels that cannot be used.
    """
    logits = checked_logits(logits_validation, "logits_validation")
    labels = checked_labels(labels_validation, logits).numpy()
    return np.array([_temperature(exit.double().numpy(), labels) for exit in logits])


def expected_calibration_error(
    logits: Logits, labels: Labels, temperatures: Temperatures = None, *, bins: int = BINS
) -> npt.NDArray[np.float64]:
    """Mean distance, from 0 to 1, between confidence and share of right answers, over bins of equal width.

    Each bin counts by its number of images. The estimate is above 0 for a calibrated network too, as shares in a bin
    are noisy; more images make it smaller.

    Source: Guo et al. 2017, equation 3; torchmetrics computes it.

    Args:
        logits: [K, N, classes].
        labels: [N].
        temperatures: Of each exit, [K], or one for all; 1 by default.
        bins: How many.

    Returns:
        [K].

    Raises:
        InputError: logits, labels or temperatures that cannot be used.
    """
    found = checked_logits(logits)
    targets = checked_labels(labels, found)
    probabilities = softmax_at(found, checked_temperatures(temperatures, len(found))[:, None, None])
    # torchmetrics takes 2 classes or more; a third one that never occurs changes nothing
    return np.array(
        [
            multiclass_calibration_error(exit, targets, num_classes=found.shape[-1], n_bins=bins).item()
            for exit in probabilities
        ]
    )


def calibration_table(
    logits_validation: Logits, labels_validation: Labels, logits_test: Logits, labels_test: Labels
) -> pd.DataFrame:
    """Calibration of each exit on test images, before and after a temperature that was fitted on validation images.

    Returns:
        A row per exit that answers, in order: ``temperature``, ``error`` (from 0 to 1, the same before and after),
        ``nll_before``, ``nll_after`` (nats), ``ece_before`` and ``ece_after`` (from 0 to 1). The index counts from 1.

    Raises:
        InputError: logits or labels that cannot be used.
    """
    temperatures = fit_temperatures(logits_validation, labels_validation)
    logits = checked_logits(logits_test, "logits_test")
    labels = checked_labels(labels_test, logits)
    divisors = checked_temperatures(temperatures, len(logits))

    def nll(divisor: torch.Tensor | float) -> list[float]:
        return [cross_entropy(exit, labels).item() for exit in logits / divisor]

    columns = {
        "temperature": temperatures,
        "error": (logits.argmax(-1) != labels).double().mean(1).numpy(),
        "nll_before": nll(1.0),
        "nll_after": nll(divisors[:, None, None]),
        "ece_before": expected_calibration_error(logits, labels),
        "ece_after": expected_calibration_error(logits, labels, temperatures),
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(1, len(logits) + 1, name="exit"))


def _temperature(logits: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> float:
    """The minimum for one exit: logits [N, classes]."""
    of_label = logits[np.arange(len(labels)), labels].mean()

    def slope(log_temperature: float) -> float:
        """Of the mean cross-entropy over 1 / T."""
        expected = (softmax(logits / math.exp(log_temperature), axis=-1) * logits).sum(-1)
        return float(expected.mean() - of_label)

    low, high = map(math.log, RANGE)
    if slope(low) <= 0:  # even the surest answers are not sure enough
        return RANGE[0]
    if slope(high) >= 0:
        return RANGE[1]
    return math.exp(float(brentq(slope, low, high, xtol=1e-9)))

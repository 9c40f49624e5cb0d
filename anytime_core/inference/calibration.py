"""Whether an exit is right as often as it says: one temperature per exit, and the expected calibration error.

temperatures = fit_temperatures(logits_validation, labels_validation)        # [K]
expected_calibration_error(logits_test, labels_test, temperatures)           # [K]
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from anytime_core.inference.logits import checked_labels, checked_logits, checked_temperatures, softmax_at

RANGE = 0.05, 20.0  # of temperatures
BINS = 15  # as Guo et al. 2017


def fit_temperatures(logits_validation: Any, labels_validation: Any) -> Tensor:
    """The temperature T of each exit that minimises the mean cross-entropy of softmax(logits / T).

    The cross-entropy is convex in 1 / T, so the root of its slope is the one minimum: the mean logit of the label
    equals the mean logit that the softmax expects. Dividing by T changes no answer, only how sure it is.

    Temperatures are limited to 0.05 … 20. They end there where there is no minimum: at 0.05 if every answer is right,
    at 20 if the logits tell less than nothing. Source: Guo et al. 2017, section 4.2.

    Args:
        logits_validation: Of held-out inputs without augmentation, [K, N, classes].
        labels_validation: [N].

    Returns:
        float64 [K].

    Raises:
        InputError: logits or labels that cannot be used.
    """
    logits = checked_logits(logits_validation, "logits_validation")
    labels = checked_labels(labels_validation, logits)
    logits = logits.double()
    of_label = logits[:, torch.arange(len(labels), device="cpu"), labels].mean(1)  # [K]
    low, high = (logits.new_full((len(logits),), math.log(end)) for end in RANGE)
    for _ in range(34):  # halve the interval of log T; 6 / 2^34 is far below the noise of any validation set
        middle = (low + high) / 2
        expected = (softmax_at(logits, middle.exp()[:, None, None]) * logits).sum(-1).mean(1)
        too_sure = expected > of_label  # surer than right: T must grow
        low, high = torch.where(too_sure, middle, low), torch.where(too_sure, high, middle)
    return ((low + high) / 2).exp()


def expected_calibration_error(logits: Any, labels: Any, temperatures: Any = None) -> Tensor:
    """Mean distance, from 0 to 1, between confidence and share of right answers, over 15 bins of equal width.

    Each bin counts by its number of inputs. The estimate is above 0 for a calibrated network too, as shares in a bin
    are noisy; more inputs make it smaller. Source: Guo et al. 2017, equation 3.

    Args:
        logits: [K, N, classes].
        labels: [N].
        temperatures: Of each exit, [K], or one for all; 1 by default.

    Returns:
        float64 [K].

    Raises:
        InputError: logits, labels or temperatures that cannot be used.
    """
    found = checked_logits(logits)
    targets = checked_labels(labels, found)
    confidence, answers = softmax_at(found, checked_temperatures(temperatures, len(found))[:, None, None]).max(-1)
    place = torch.bucketize(confidence, torch.linspace(0, 1, BINS + 1, device="cpu")[1:-1], right=True)  # [K, N]
    distance = confidence.double() - (answers == targets).double()
    sums = distance.new_zeros(len(found), BINS).scatter_add_(1, place, distance)
    return sums.abs().sum(1) / len(targets)  # n_b / N · |mean of a bin| is |its sum| / N

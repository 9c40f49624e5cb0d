"""What is read off one record, and how two numbers are compared."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # pages that draw curves need not wait for torch to load
    from anytime_study.runs.record import RunRecord


def percent_over(value: float, reference: float) -> float:
    """100 (value - reference) / reference. Raises ValueError unless the reference, an error or loss, is above 0."""
    if not reference > 0:
        raise ValueError(f"reference: expected an error or loss above 0 to compare with, found {reference}")
    return 100 * (value - reference) / reference


def log_change(value: float, reference: float) -> float:
    """100 ln(value / reference). Raises ValueError unless both are above 0.

    It is close to the change in per cent while it is small, and the same size both ways: an error that falls by 4 % and
    rises to where it was has changed by -4.1 and +4.1. Means over seeds of such changes are geometric.
    """
    if not (value > 0 and reference > 0):
        raise ValueError(f"errors: expected two above 0 to compare, found {value} and {reference}")
    return 100 * math.log(value / reference)


def interpolated(costs: npt.ArrayLike, values: npt.ArrayLike, at: npt.ArrayLike) -> np.ndarray:
    """A score at any cost, linear between exits; the first exit's before it, the last exit's after it.

    Source: so the paper's Table 3b is read off its curves.

    Args:
        costs: [K], increasing: cumulative MACs of the exits.
        values: [K], such as their errors.
        at: Costs, [...].

    Returns:
        [...].

    Raises:
        ValueError: lengths differ, or costs do not increase.
    """
    costs, values = np.asarray(costs, dtype=float), np.asarray(values, dtype=float)
    if not (np.diff(costs) > 0).all():
        raise ValueError(f"costs: expected increasing numbers, found {costs.tolist()}")
    return np.interp(np.asarray(at, dtype=float), costs, values)


def error_at(record: RunRecord, fraction: float) -> float:
    """Test error at a fraction of the network's cumulative cost, linear between exits."""
    costs = record.costs.macs_cumulative
    return float(interpolated(costs, record.test.error, fraction * costs[-1]))


def own_objective(record: RunRecord) -> float:
    """AdaLoss's own objective: the mean over exits of ln training loss (evaluation mode, unaugmented), times 100.

    Source: Hu et al. 2019, Eq. 3.
    """
    return 100 * float(np.mean(np.log(record.train.loss)))


def ratio_of_losses(record: RunRecord) -> float:
    """Training loss of the first exit over that of the last one: how much AdaLoss has to balance; 1 is nothing."""
    return record.train.loss[0] / record.train.loss[-1]


def spread(record: RunRecord) -> float:
    """log2 of the largest over the smallest weight after the last epoch: 1 is a factor of two."""
    weights = record.epoch_weights[-1]
    return float(np.log2(max(weights) / min(weights)))


def concentration(record: RunRecord) -> float:
    """Where the weights after the last epoch lie: mean cost fraction of the exits under them, from 0 to 1."""
    weights = np.array(record.epoch_weights[-1])
    return float(np.average(record.costs.macs_fixed, weights=weights) / record.costs.macs_cumulative[-1])

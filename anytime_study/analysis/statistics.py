"""Means over seeds, with their uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Attributes:
        mean: Of the values.
        low, high: Ends of the two-sided interval.
        n: Number of values.
    """

    mean: float
    low: float
    high: float
    n: int


def mean_interval(values: Sequence[float] | pd.Series | np.ndarray, *, confidence: float = 0.95) -> Interval:
    """Mean of independent values with Student's t interval, at every n.

    Raises:
        ValueError: fewer than two values, or one is not finite.
    """
    numbers = np.asarray(values, dtype=float)
    if len(numbers) < 2 or not np.isfinite(numbers).all():
        raise ValueError(f"values: expected at least 2 finite numbers, found {numbers.tolist()}")
    mean = float(numbers.mean())
    half_width = float(stats.t.ppf((1 + confidence) / 2, len(numbers) - 1) * stats.sem(numbers))
    return Interval(mean=mean, low=mean - half_width, high=mean + half_width, n=len(numbers))


def ratio_interval(part: Sequence[float] | pd.Series, whole: Sequence[float] | pd.Series) -> Interval:
    """Ratio of the means of paired values with Fieller's 95 % interval (1954).

    It holds every r for which the t interval of the mean of part − r · whole holds 0.

    Raises:
        ValueError: the interval of the mean of ``whole`` holds 0, so that the ratio has no bounds.
    """
    above, below = float(np.mean(part)), float(np.mean(whole))
    covariances = stats.t.ppf(0.975, len(whole) - 1) ** 2 * np.cov(part, whole) / len(whole)
    (c, b), (_, a) = np.outer([above, below], [above, below]) - covariances  # a r² − 2 b r + c = 0 at both ends
    if a <= 0:
        raise ValueError("whole: expected values whose mean is surely not 0")
    root = np.sqrt(max(b * b - a * c, 0))
    return Interval(mean=above / below, low=float((b - root) / a), high=float((b + root) / a), n=len(whole))


def seeds_needed(standard_deviation: float, effect: float, *, power: float = 0.8, level: float = 0.05) -> int:
    """The smallest n for which a two-sided t test of n paired differences finds ``effect`` with this power.

    Args:
        standard_deviation: Of the paired differences, in the unit of ``effect``, above 0.
        effect: True mean of the differences, not 0.
        power: Chance to find it.
        level: Of the test.
    """
    n = 2
    while detection_power(n, standard_deviation, effect, level=level) < power:
        n += 1
    return n


def detection_power(n: int, standard_deviation: float, effect: float, *, level: float = 0.05) -> float:
    """Chance that a two-sided t test of n paired differences finds a true mean ``effect``, on its side."""
    edge = stats.t.ppf(1 - level / 2, n - 1)
    return float(stats.nct.sf(edge, n - 1, abs(effect) / standard_deviation * np.sqrt(n)))

"""Medians over seeds with intervals from counting alone. Values may be infinite: known to lie beyond a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats


@dataclass(frozen=True)
class MedianInterval:
    """A median with its confidence interval, both ends of which are values.

    Attributes:
        median: Of the values; infinite if a middle one is.
        low, high: Ends of the interval.
        n: Number of values.
        coverage: Its confidence: at least what was asked for, or all that so few values can give.
    """

    median: float
    low: float
    high: float
    n: int
    coverage: float


def median_interval(values: Sequence[float] | pd.Series, *, confidence: float = 0.95) -> MedianInterval:
    """Median of independent values with the interval of the sign test, which assumes nothing of how they spread.

    From the j-th smallest value to the j-th largest the confidence is 1 - 2 P(X < j), X binomial with n trials of
    chance 1/2. j is the largest with at least the confidence asked for. Where there is none it is 1, the interval runs
    over all values, and its confidence is less: 0.9375 for five values, 0.75 for three.

    Args:
        values: [n], infinite ones allowed.
        confidence: Asked for.

    Raises:
        ValueError: there is no value, or one is NaN.
    """
    numbers = np.sort(np.asarray(values, dtype=float))
    n = len(numbers)
    if n == 0 or np.isnan(numbers).any():
        raise ValueError(f"values: expected one or more numbers, found {numbers.tolist()}")
    left_out = np.arange((n + 1) // 2)  # values beyond each end of the interval: j - 1
    coverages = 1 - 2 * stats.binom.cdf(left_out, n, 0.5)
    enough = np.flatnonzero(coverages >= confidence)
    out = int(enough[-1]) if len(enough) else 0
    middle = numbers[(n - 1) // 2], numbers[n // 2]
    median = middle[0] if middle[0] == middle[1] else sum(middle) / 2
    return MedianInterval(
        median=float(median),
        low=float(numbers[out]),
        high=float(numbers[n - 1 - out]),
        n=n,
        coverage=max(0.0, float(coverages[out])),
    )


def sign_test(values: Sequence[float] | pd.Series, threshold: float) -> float:
    """Two-sided p of the sign test that the median is ``threshold``; values equal to it do not count, nor do sizes.

    With n values p is never below 2 ^ (1 - n): 0.0625 for five. 1 if no value differs from the threshold.
    """
    numbers = np.asarray(values, dtype=float)
    above, below = int((numbers > threshold).sum()), int((numbers < threshold).sum())
    return float(stats.binomtest(above, above + below).pvalue) if above + below else 1.0

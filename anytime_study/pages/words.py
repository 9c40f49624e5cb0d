"""Numbers as a person would say them: changes with their intervals, as parts of sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from anytime_study.analysis.statistics import mean_interval


def change_in_words(values: Sequence[float] | pd.Series, what: str = "errors") -> str:
    """A mean change and its 95 % interval, ``3.1 % fewer errors (95 % interval: 1.0 % to 5.1 % fewer; 8 seeds)``.

    Args:
        values: Changes in hundredths of a natural logarithm, one per seed; see
            :mod:`anytime_study.analysis.measures.changes`. A single one has no interval.
        what: What is counted, in the plural.
    """
    if len(values) == 1:
        return f"{_change(float(next(iter(values))))} {what} (one seed, so no interval)"
    interval = mean_interval(values)
    return f"{_change(interval.mean)} {what} (95 % interval: {_span(interval.low, interval.high)}; {interval.n} seeds)"


def _percent(value: float) -> float:
    return 100 * (math.exp(value / 100) - 1)


def _change(value: float) -> str:
    percent = _percent(value)
    if round(abs(percent), 1) == 0:
        return "as many"
    return f"{abs(percent):.1f} % {'fewer' if percent < 0 else 'more'}"


def _span(low: float, high: float) -> str:
    """From the smaller change to the larger one on one side of 0; from fewer to more across it."""
    low, high = _percent(low), _percent(high)
    if low < 0 < high:
        return f"{-low:.1f} % fewer to {high:.1f} % more"
    small, large = sorted((abs(low), abs(high)))
    return f"{small:.1f} % to {large:.1f} % {'fewer' if high <= 0 else 'more'}"

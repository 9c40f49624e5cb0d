"""Numbers as a person would say them: changes with their intervals, as parts of sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from anytime_study.analysis.statistics import mean_interval

FEWEST = 3
"""Fewer seeds have no interval that a sentence could use."""

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def change_in_words(values: Sequence[float] | pd.Series, what: str = "errors") -> str:
    """A mean change and its 95 % interval, ``3.1 % fewer errors (95 % interval 1.0 to 5.1 % fewer, 8 seeds)``.

    Args:
        values: Changes in hundredths of a natural logarithm, one per seed; see
            :mod:`anytime_study.analysis.quantities`. Fewer than three have no interval.
        what: What is counted, in the plural; may be empty.
    """
    seeds = "1 seed" if len(values) == 1 else f"{len(values)} seeds"
    if len(values) < FEWEST:
        return f"{mean_in_words(values, what)} ({seeds}, so no interval)"
    return f"{mean_in_words(values, what)} (95 % interval {interval_in_words(values)}, {seeds})"


def mean_in_words(values: Sequence[float] | pd.Series, what: str = "errors") -> str:
    """The mean of such changes alone, ``3.1 % fewer errors``."""
    change = as_percent(sum(values) / len(values))
    found = (
        "about as many"
        if round(abs(change), 1) == 0
        else f"{percent(abs(change))} % {'fewer' if change < 0 else 'more'}"
    )
    return " ".join(part for part in (found, what) if part)


def interval_in_words(values: Sequence[float] | pd.Series) -> str:
    """The 95 % interval alone: from the smaller change to the larger one, or from fewer to more across 0."""
    interval = mean_interval(values)
    low, high = as_percent(interval.low), as_percent(interval.high)
    if low < 0 < high:
        return f"{percent(-low)} % fewer to {percent(high)} % more"
    small, large = sorted((abs(low), abs(high)))
    return f"{percent(small)} to {percent(large)} % {'fewer' if high <= 0 else 'more'}"


def change_in_a_table(values: Sequence[float] | pd.Series) -> str:
    """For a cell of a table, in per cent: ``5.3 [3.1, 7.6]``; the mean alone for fewer than three seeds."""
    mean = percent(as_percent(sum(values) / len(values)))
    if len(values) < FEWEST:
        return mean
    interval = mean_interval(values)
    return f"{mean} [{percent(as_percent(interval.low))},\N{NO-BREAK SPACE}{percent(as_percent(interval.high))}]"


def number(count: int) -> str:
    """A count as a word up to twelve: ``no``, ``one``, ``two``."""
    return _NUMBERS[count] if 0 <= count < len(_NUMBERS) else f"{count:,}"


def listed(words: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def percent(value: float) -> str:
    """Two digits: ``3.1``, ``12``; a real minus, and none before a zero."""
    return f"{value:z.{1 if abs(value) < 9.95 else 0}f}".replace("-", "−")


def as_percent(hundredths: float) -> float:
    """From hundredths of a natural logarithm to per cent."""
    return 100 * (math.exp(hundredths / 100) - 1)

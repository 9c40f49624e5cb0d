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


def mean_interval(values: Sequence[float] | pd.Series, *, confidence: float = 0.95) -> Interval:
    """Mean of independent values with Student's t interval (for a few seeds; the values are taken as normal).

    Raises:
        ValueError: fewer than two values, of which no spread can be had.
    """
    if len(values) < 2:
        raise ValueError(f"values: expected at least 2, found {len(values)}")
    numbers = np.asarray(values, dtype=float)
    mean = float(numbers.mean())
    half_width = float(stats.t.ppf((1 + confidence) / 2, len(numbers) - 1) * stats.sem(numbers))
    return Interval(mean=mean, low=mean - half_width, high=mean + half_width, n=len(numbers))


def paired_difference(
    table: pd.DataFrame, measure: str, first: str, second: str, *, confidence: float = 0.95
) -> Interval:
    """Mean over seeds of ``measure`` under weighting ``first`` minus the same under ``second``, seed by seed.

    The seeds of this study are paired: two runs with one seed start from the same weights and see the same batches, so
    the interval is that of the differences.

    Args:
        table: Rows of one exit, as :func:`anytime_core.tables.exits_table` makes them.
        measure: A column, such as ``"test_error"``.
        first, second: Two values of the column ``weighting``.
        confidence: Of the interval.

    Raises:
        ValueError: the two weightings do not have the same seeds, each once.
    """
    by_seed = [table[table["weighting"] == name].set_index("seed")[measure].sort_index() for name in (first, second)]
    seeds = [sorted(values.index) for values in by_seed]
    if seeds[0] != seeds[1] or not by_seed[0].index.is_unique:
        raise ValueError(f"seeds: expected each once under {first} and {second}, found {seeds[0]} and {seeds[1]}")
    return mean_interval(by_seed[0].sub(by_seed[1]), confidence=confidence)

"""Means over seeds, with their uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

BOOTSTRAP_FROM = 10  # values; below, a resample repeats too few of them to tell of the tails


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Attributes:
        mean: Of the values.
        low, high: Ends of the two-sided interval.
        n: Number of values.
        method: Student's t, or bootstrap.
    """

    mean: float
    low: float
    high: float
    n: int
    method: Literal["t", "bootstrap"] = "t"


def mean_interval(values: Sequence[float] | pd.Series, *, confidence: float = 0.95) -> Interval:
    """Mean of independent values with its interval: Student's t below ten values, bootstrap from ten up.

    Raises:
        ValueError: as :func:`finite_values`.
    """
    numbers = finite_values(values)
    make = t_interval if len(numbers) < BOOTSTRAP_FROM else bootstrap_interval
    return make(numbers, confidence=confidence)


def t_interval(values: Sequence[float] | pd.Series | np.ndarray, *, confidence: float = 0.95) -> Interval:
    """Mean with Student's t interval, which takes the values as normal.

    Raises:
        ValueError: as :func:`finite_values`.
    """
    numbers = finite_values(values)
    mean = float(numbers.mean())
    half_width = float(stats.t.ppf((1 + confidence) / 2, len(numbers) - 1) * stats.sem(numbers))
    return Interval(mean=mean, low=mean - half_width, high=mean + half_width, n=len(numbers))


def bootstrap_interval(values: Sequence[float] | pd.Series | np.ndarray, *, confidence: float = 0.95) -> Interval:
    """Mean with the bias-corrected and accelerated bootstrap interval (BCa, Efron 1987); the same one in every call.

    Raises:
        ValueError: as :func:`finite_values`.
    """
    numbers = finite_values(values)
    mean = float(numbers.mean())
    if all_equal(numbers):  # BCa divides by the spread
        return Interval(mean=mean, low=mean, high=mean, n=len(numbers), method="bootstrap")
    found = stats.bootstrap(
        (numbers,), np.mean, confidence_level=confidence, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    return Interval(mean=mean, low=float(found.low), high=float(found.high), n=len(numbers), method="bootstrap")


def finite_values(values: Sequence[float] | pd.Series | np.ndarray) -> np.ndarray:
    """The values as an array [n].

    Raises:
        ValueError: fewer than two values, of which no spread can be had; or one is not finite.
    """
    numbers = np.asarray(values, dtype=float)
    if len(numbers) < 2:
        raise ValueError(f"values: expected at least 2, found {len(numbers)}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"values: expected finite numbers, found {numbers.tolist()}")
    return numbers


def all_equal(numbers: np.ndarray) -> bool:
    """Whether the values differ by no more than rounding does."""
    return bool(np.ptp(numbers) <= 1e-12 * np.abs(numbers).max())


def paired_difference(
    table: pd.DataFrame, measure: str, first: str, second: str, *, confidence: float = 0.95
) -> Interval:
    """Mean over seeds of ``measure`` under weighting ``first`` minus the same under ``second``, seed by seed.

    The seeds of this study are paired: two runs with one seed start from the same weights and see the same batches, so
    the interval is that of the differences.

    Args:
        table: Rows of one exit, as :func:`anytime_study.runs.tables.exits_table` makes them.
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

"""Tests of a mean: Student's t, equivalence, and Holm's adjustment where many are made. Each gives a p-value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from anytime_study.analysis.statistics import all_equal, finite_values

Alternative = Literal["two-sided", "less", "greater"]


def t_test(
    values: Sequence[float] | pd.Series, threshold: float = 0.0, *, alternative: Alternative = "two-sided"
) -> float:
    """One-sample t test of the mean of independent values against ``threshold``.

    Values that are all equal have no spread: then p is 0 if they lie on the side of ``alternative``, else 1.

    Raises:
        ValueError: fewer than two values, or one is not finite.
    """
    numbers = finite_values(values)
    if all_equal(numbers):
        away = float(numbers.mean()) - threshold
        if abs(away) <= 1e-12 * max(abs(threshold), abs(numbers[0])):
            return 1.0
        return float((alternative == "less" and away > 0) or (alternative == "greater" and away < 0))
    return float(stats.ttest_1samp(numbers, threshold, alternative=alternative).pvalue)


def equivalence_test(values: Sequence[float] | pd.Series, margin: float) -> float:
    """Two one-sided t tests (TOST) that the mean lies within plus and minus ``margin``.

    Source: Schuirmann 1987. Both have to be significant, so p is the larger of the two.

    Args:
        values: Independent, [n].
        margin: In the unit of the values, above 0.

    Raises:
        ValueError: fewer than two values, one is not finite, or the margin is not above 0.
    """
    _check_margin(margin)
    return max(t_test(values, -margin, alternative="greater"), t_test(values, margin, alternative="less"))


def beyond_test(values: Sequence[float] | pd.Series, margin: float) -> float:
    """One-sided t test that the mean lies beyond plus or minus ``margin``, on the side where it was found.

    Args:
        values: Independent, [n].
        margin: In the unit of the values, above 0.

    Raises:
        ValueError: fewer than two values, one is not finite, or the margin is not above 0.
    """
    _check_margin(margin)
    if finite_values(values).mean() > 0:
        return t_test(values, margin, alternative="greater")
    return t_test(values, -margin, alternative="less")


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment: tests whose adjusted p is below α hold together at level α, however they depend.

    With p sorted ascending, the k-th of m becomes the largest of (m - j + 1) p_j over j ≤ k, at most 1.

    Source: Holm 1979.

    Args:
        p_values: [m].

    Returns:
        The adjusted values, [m], in the order given.

    Raises:
        ValueError: a value is not from 0 to 1.
    """
    p = np.asarray(p_values, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p_values: expected from 0 to 1, found {p.tolist()}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(np.arange(len(p), 0, -1) * p[order]))
    return adjusted


def _check_margin(margin: float) -> None:
    if not margin > 0:
        raise ValueError(f"margin: expected above 0, found {margin}")

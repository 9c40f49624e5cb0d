"""From the values of the seeds to what they show: level, tests and words.

The SHA-256 of this file is part of the digest of every rule that a record keeps. So after the runs nothing here is
changed, not even a comment: the ledger would show every claim as amended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import stats

LEVEL = 0.05

Kind = Literal["below", "above", "within"]
Effect = Literal["shown as claimed", "shown opposite", "no effect as large as δ", "undecided"]
Alternative = Literal["two-sided", "less", "greater"]


@dataclass(frozen=True)
class Evidence:
    """What speaks for each possible finding about one claim, as p-values; the smaller, the stronger.

    Attributes:
        claimed: That the effect lies on the claimed side.
        opposite: That it lies on the other side.
        small: That it is smaller than δ, the smallest relevant effect; 1 where no δ was set.
    """

    claimed: float
    opposite: float
    small: float

    @property
    def effect(self) -> Effect:
        """The finding at :data:`LEVEL`, the claimed one first."""
        if self.claimed < LEVEL:
            return "shown as claimed"
        if self.opposite < LEVEL:
            return "shown opposite"
        return "no effect as large as δ" if self.small < LEVEL else "undecided"


def evidence(
    values: Sequence[float],
    kind: Kind,
    *,
    threshold: float = 0.0,
    margin: float | None = None,
    delta: float | None = None,
) -> Evidence:
    """Test the mean of independent values, one per seed, with Student's t at every n.

    ``below`` and ``above``: two-sided test against the threshold; p counts for the side on which the mean lies. δ: two
    one-sided tests (TOST) that the mean is within δ of the threshold.
    ``within``: TOST that the mean lies within plus and minus ``margin``. It is shown opposite if it lies significantly
    beyond either end; that p is doubled, because the end is chosen by a look at the mean.

    Args:
        values: [n], n ≥ 2.
        kind: What is claimed of their mean.
        threshold: Of ``below`` and ``above``.
        margin: Of ``within``, above 0.
        delta: δ, the smallest relevant distance from the threshold, above 0; None if none was set.

    Raises:
        ValueError: fewer than two values, or one is not finite.
    """
    numbers = np.asarray(values, dtype=float)
    if len(numbers) < 2 or not np.isfinite(numbers).all():
        raise ValueError(f"values: expected at least 2 finite numbers, found {numbers.tolist()}")
    if kind == "within":
        if margin is None:
            raise ValueError("margin: expected a number with the kind within, found None")
        beyond = min(_p(numbers, margin, "greater"), _p(numbers, -margin, "less"))
        return Evidence(_within(numbers, margin), min(1.0, 2 * beyond), 1.0)
    p = _p(numbers, threshold, "two-sided")
    side = float(numbers.mean()) - threshold
    on_claimed_side = side < 0 if kind == "below" else side > 0
    small = 1.0 if delta is None else _within(numbers - threshold, delta)
    return Evidence(p if on_claimed_side else 1.0, 1.0 if on_claimed_side else p, small)


def under_each(found: Sequence[Evidence]) -> Evidence:
    """One claim judged under several protocols: a finding must hold under each (intersection–union, p the largest)."""
    return Evidence(
        max(each.claimed for each in found), max(each.opposite for each in found), max(each.small for each in found)
    )


def all_parts(found: Sequence[Evidence]) -> Evidence:
    """A claim of several parts: it is shown if every part is (intersection–union, p the largest).

    It is refuted if any part is, so those p are multiplied by the number of parts (Bonferroni).
    """
    m = len(found)
    return Evidence(
        max(each.claimed for each in found),
        min(1.0, m * min(each.opposite for each in found)),
        min(1.0, m * min(each.small for each in found)),
    )


def code_digest() -> str:
    """The SHA-256 of this file."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def _within(numbers: np.ndarray, margin: float) -> float:
    return max(_p(numbers, -margin, "greater"), _p(numbers, margin, "less"))


def _p(numbers: np.ndarray, threshold: float, alternative: Alternative) -> float:
    """Of the t test; values that are all equal have no spread, and decide by where they lie."""
    if np.ptp(numbers) <= 1e-12 * np.abs(numbers).max():
        away = float(numbers.mean()) - threshold
        if abs(away) <= 1e-12 * max(abs(threshold), abs(float(numbers[0]))):
            return 1.0
        return float((alternative == "less" and away > 0) or (alternative == "greater" and away < 0))
    return float(stats.ttest_1samp(numbers, threshold, alternative=alternative).pvalue)

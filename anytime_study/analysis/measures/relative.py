"""Differences as shares."""

from __future__ import annotations


def percent_over(value: float, reference: float) -> float:
    """100 (value - reference) / reference.

    Raises:
        ValueError: the reference is not above 0.
    """
    if not reference > 0:
        raise ValueError(f"reference: expected an error or loss above 0 to compare with, found {reference}")
    return 100 * (value - reference) / reference

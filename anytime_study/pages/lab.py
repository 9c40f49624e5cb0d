"""Checkpoints of a lab: a student's answer is compared with what the package computes."""

from __future__ import annotations

from typing import Any

import numpy as np


def checkpoint(number: int, answer: Any, expected: Any, *, tolerance: float = 0.0) -> str:
    """Say whether an answer is right, in Markdown; a wrong one learns in which direction, not what is right.

    Args:
        number: Of the checkpoint, for the sentence.
        answer: None as long as there is none; else a text, a number, or numbers in order.
        expected: The same, computed.
        tolerance: Largest distance of a number that is still right.
    """
    return f"**Checkpoint {number}:** {_judged(answer, expected, tolerance)}"


def _judged(answer: Any, expected: Any, tolerance: float) -> str:
    if answer is None:
        return "no answer yet."
    if isinstance(expected, str):
        return "right." if answer == expected else f"not {answer!r}. Read the question again."
    given, right = np.asarray(answer), np.asarray(expected, dtype=float)
    if given.dtype.kind not in "iuf" or given.shape != right.shape or np.isnan(given).any():
        return f"expected {right.size} number(s), found {answer!r}."
    wrong = np.abs(given - right) > tolerance
    if not wrong.any():
        return "right."
    if right.ndim == 0:
        return "too small." if given < right else "too large."
    return f"not yet: look at number {', '.join(str(place) for place in 1 + np.flatnonzero(wrong))}."

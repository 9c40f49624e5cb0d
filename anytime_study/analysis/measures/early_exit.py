"""What early exit saves and what it costs, of single runs by seed; thresholds come from validation images."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from anytime_study.analysis.selection import Selection

if TYPE_CHECKING:
    from anytime_study.runs.record import EarlyExitScores


def early_exit_excess(selection: Selection, *, weighting: str) -> pd.Series:
    """Test error with early exit minus that of the last exit, in percentage points.

    Args:
        selection: Finds the records.
        weighting: Of the network.

    Raises:
        MissingRuns: fewer than three seeds have runs that measured early exit.
    """
    return _by_seed(selection, weighting, lambda scores: 100 * (scores.error - scores.last_error))


def early_exit_saving(selection: Selection, *, weighting: str) -> pd.Series:
    """Multiply-adds that early exit saves on test images, in per cent of those of the last exit alone.

    Args:
        selection: Finds the records.
        weighting: Of the network.

    Raises:
        MissingRuns: fewer than three seeds have runs that measured early exit.
    """
    return _by_seed(selection, weighting, lambda scores: 100 * (1 - scores.macs / scores.last_macs))


def _by_seed(selection: Selection, weighting: str, value: Callable[[EarlyExitScores], float]) -> pd.Series:
    runs = selection.pick(weighting=weighting, early_exit=True)
    return selection.paired(lambda run: value(run.early_exit), runs)

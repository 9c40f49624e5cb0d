"""What one weighting changes against another, in hundredths of a natural logarithm, by seed.

100 ln(a / b) is close to the change in per cent while it is small, and it is the same size both ways: an error that
falls by 4 % and rises to where it was has changed by -4.1 and +4.1. Means over seeds of such changes are geometric.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from anytime_study.analysis.curves import interpolated
from anytime_study.analysis.selection import MissingRuns, Selection

if TYPE_CHECKING:
    from anytime_study.runs.record import RunRecord


def log_error_change(
    selection: Selection, *, first: Mapping[str, Any], second: Mapping[str, Any], fraction: float = 1
) -> pd.Series:
    """100 ln of the test error of one run over that of another, both read at a fraction of the network's cost.

    Args:
        selection: Finds the records.
        first, second: Fields in which the two differ from the main grid.
        fraction: Of each network's own cumulative cost; errors are linear in cumulative multiply-adds between exits.
            1 is the last exit.

    Raises:
        MissingRuns: fewer than three seeds have all runs.
    """
    return selection.paired(
        lambda a, b: log_change(error_at(a, fraction), error_at(b, fraction)),
        selection.pick(**first),
        selection.pick(**second),
    )


def own_objective_change(selection: Selection, *, first: Mapping[str, Any], second: Mapping[str, Any]) -> pd.Series:
    """AdaLoss's own objective, the mean over exits of ln training loss, of one run minus that of another; times 100.

    The losses are those of the unaugmented training images in evaluation mode, after training.

    Source: Hu et al. 2019, Eq. 3.

    Raises:
        MissingRuns: fewer than three seeds have all runs.
    """
    return selection.paired(
        lambda a, b: 100 * float(np.mean(np.log(a.train.loss)) - np.mean(np.log(b.train.loss))),
        selection.pick(**first),
        selection.pick(**second),
    )


def loss_ratio(selection: Selection, *, of: Mapping[str, Any]) -> pd.Series:
    """Training loss of the first exit over that of the last one: how much AdaLoss has to balance; 1 is nothing."""
    return selection.paired(lambda run: run.train.loss[0] / run.train.loss[-1], selection.pick(**of))


def headroom(
    selection: Selection, *, alone: Mapping[str, Any], const: Mapping[str, Any], train_loss: bool = False
) -> pd.Series:
    """How much the last exit can win: by how many per cent its test error is lower when it has the weight to itself.

    Args:
        selection: Finds the records.
        alone: The run whose weight lies on the last exit, all of it (OPT) or half (HALF-END).
        const: The run with equal weights.
        train_loss: Compare training losses (evaluation mode, unaugmented) instead.

    Raises:
        MissingRuns: fewer than three seeds have both runs.
    """

    def lower_by(a: RunRecord, b: RunRecord) -> float:
        ours, theirs = (run.train.loss[-1] if train_loss else run.test.error[-1] for run in (a, b))
        return 100 * (1 - ours / theirs)

    return selection.paired(lower_by, selection.pick(**alone), selection.pick(**const))


def gain_on_headroom(
    selection: Selection,
    *,
    regimes: Sequence[Mapping[str, Any]],
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    alone: Mapping[str, Any],
) -> pd.Series:
    """By how much the gain at the last exit grows with each percentage point of headroom, over regimes; by seed.

    Per seed the slope of the least-squares line through one point per regime. Its height is the seed's own gain, minus
    :func:`log_error_change` of ``first`` against ``second``. Its place is the mean :func:`headroom` of the *other*
    seeds: both contain the error under ``second``, and with the seed's own headroom chance alone would make a slope.

    Args:
        selection: Finds the records.
        regimes: Fields in which each regime differs from the main grid; at least three.
        first, second: Of the gain.
        alone: Of the headroom.

    Raises:
        MissingRuns: fewer than three seeds have all runs of all regimes.
    """
    gains, rooms = {}, {}
    for number, fields in enumerate(regimes):
        there = selection.of({**selection.case, **fields})
        gains[number] = -log_error_change(there, first=first, second=second)
        rooms[number] = headroom(there, alone=alone, const=second)
    gain = pd.DataFrame(gains).dropna()  # [seeds, regimes]
    room = pd.DataFrame(rooms).reindex(gain.index).dropna()
    if len(room) < 3 or len(room) != len(gain):
        found = f"expected at least 3 seeds with all {len(regimes)} regimes, found {len(room)}"
        raise MissingRuns([found, *dict.fromkeys(selection.missing)])
    others = (room.sum() - room) / (len(room) - 1)  # the mean of the other seeds
    slopes = [float(np.polyfit(others.loc[seed], gain.loc[seed], 1)[0]) for seed in gain.index]
    return pd.Series(slopes, index=gain.index, dtype=float)


def error_at(record: RunRecord, fraction: float) -> float:
    """Test error at a fraction of the network's cumulative cost, linear between exits."""
    costs = record.costs.macs_cumulative
    return float(interpolated(costs, record.test.error, fraction * costs[-1]))


def log_change(value: float, reference: float) -> float:
    """100 ln(value / reference). Raises ValueError unless both are above 0."""
    if not (value > 0 and reference > 0):
        raise ValueError(f"errors: expected two above 0 to compare, found {value} and {reference}")
    return 100 * math.log(value / reference)

"""Single runs, or two runs of one seed compared; data/claims.yaml defines the measures, and each is by seed.

``first``, ``second``, ``alone``, ``const`` and ``of`` are fields in which runs differ from the experiment's main grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from anytime_core.errors import InputError
from anytime_study.analysis.quantities import (
    concentration,
    error_at,
    interpolated,
    log_change,
    own_objective,
    percent_over,
    ratio_of_losses,
    spread,
)
from anytime_study.analysis.selection import MIN_SEEDS, MissingRuns, Selection

if TYPE_CHECKING:
    from anytime_study.runs.record import RunRecord

Fields = Mapping[str, Any]


def error_difference(
    selection: Selection,
    *,
    first: Fields,
    second: Fields,
    exit: int | Literal["all"] | None = None,
    cost: float | None = None,
    cost_of: Literal["first", "second"] = "second",
) -> pd.Series:
    """Test error of one run over that of another in per cent, at the last exit unless ``exit`` or ``cost`` says where.

    Source: Hu et al. 2019, Fig. 4 and Table 3b.

    Args:
        selection: Finds the records.
        first, second: See above; a kind of network alone, such as ``denseann``, is the experiment's only one of it.
        exit: Counted from 1; or ``all``, the mean over exits. Of a network with two tasks, the task.
        cost: As a fraction of the cumulative cost of one of the two. Errors are linear in cost between exits; past its
            last exit a network keeps its last error.
        cost_of: Which one.

    Raises:
        InputError: both of ``exit`` and ``cost`` are given, or a kind has several networks.
    """
    if exit is not None and cost is not None:
        raise InputError(f"bad settings of error_difference: expected exit or cost, found exit {exit} and cost {cost}")

    def error(run: RunRecord, whole: int) -> float:
        if exit == "all":
            return float(np.mean(run.test.error))
        if cost is None:
            return run.test.error[-1 if exit is None else exit - 1]
        return float(interpolated(run.costs.macs_cumulative, run.test.error, cost * whole))

    def difference(a: RunRecord, b: RunRecord) -> float:
        whole = (a if cost_of == "first" else b).costs.macs_cumulative[-1]
        return percent_over(error(a, whole), error(b, whole))

    return selection.compared(difference, first, second)


def log_error_change(selection: Selection, *, first: Fields, second: Fields, fraction: float = 1) -> pd.Series:
    """100 ln of the test error of one run over that of another, each read at a fraction of its own network's cost."""
    return selection.compared(lambda a, b: log_change(error_at(a, fraction), error_at(b, fraction)), first, second)


def own_objective_change(selection: Selection, *, first: Fields, second: Fields) -> pd.Series:
    """By how much :func:`anytime_study.analysis.quantities.own_objective` differs."""
    return selection.compared(lambda a, b: own_objective(a) - own_objective(b), first, second)


def spread_difference(selection: Selection, *, first: Fields, second: Fields) -> pd.Series:
    """By how many factors of two the final weights of one run, none of them 0, lie further apart than the other's."""
    return selection.compared(lambda a, b: spread(a) - spread(b), first, second)


def concentration_difference(selection: Selection, *, first: str | Fields, second: str | Fields) -> pd.Series:
    """By how many per cent of the network's cost the final weights lie later, on one of two data sets perhaps.

    Source: Hu et al. 2019, Fig. 5c, which shows the weights; the measure is this study's.
    """
    sides = ({"dataset": each} if isinstance(each, str) else each for each in (first, second))
    return selection.compared(lambda a, b: 100 * (concentration(a) - concentration(b)), *sides)


def loss_ratio(selection: Selection, *, of: Fields) -> pd.Series:
    """Training loss of the first exit over that of the last one."""
    return selection.paired(ratio_of_losses, selection.pick(**of))


def headroom(selection: Selection, *, alone: Fields, const: Fields, train_loss: bool = False) -> pd.Series:
    """How much the last exit can win: by how many per cent its test error is lower when it has the weight to itself.

    Args:
        selection: Finds the records.
        alone: The run whose weight lies on the last exit, all of it (OPT) or half (HALF-END).
        const: The run with equal weights.
        train_loss: Compare training losses (evaluation mode, unaugmented) instead.
    """

    def lower_by(a: RunRecord, b: RunRecord) -> float:
        ours, theirs = (run.train.loss[-1] if train_loss else run.test.error[-1] for run in (a, b))
        return -percent_over(ours, theirs)

    return selection.compared(lower_by, alone, const)


def gain_on_headroom(
    selection: Selection, *, regimes: Sequence[Fields], first: Fields, second: Fields, alone: Fields
) -> pd.Series:
    """By how much the gain at the last exit grows with each percentage point of headroom, over regimes.

    Per seed the slope of the least-squares line through one point per regime. Its height is the seed's own gain, minus
    :func:`log_error_change` of ``first`` against ``second``. Its place is the mean :func:`headroom` of the *other*
    seeds: both contain the error under ``second``, and with the seed's own headroom chance alone would make a slope.
    """
    gains, rooms = {}, {}
    for number, fields in enumerate(regimes):
        there = selection.of({**selection.case, **fields})
        gains[number] = -log_error_change(there, first=first, second=second)
        rooms[number] = headroom(there, alone=alone, const=second)
    gain = pd.DataFrame(gains).dropna()  # [seeds, regimes]
    room = pd.DataFrame(rooms).reindex(gain.index).dropna()
    if len(room) < MIN_SEEDS or len(room) != len(gain):
        found = f"expected at least {MIN_SEEDS} seeds with all {len(regimes)} regimes, found {len(room)}"
        raise MissingRuns([found, *selection.missing])
    others = (room.sum() - room) / (len(room) - 1)  # the mean of the other seeds
    slopes = [float(np.polyfit(others.loc[seed], gain.loc[seed], 1)[0]) for seed in gain.index]
    return pd.Series(slopes, index=gain.index, dtype=float)


def early_exit_excess(selection: Selection, *, weighting: str) -> pd.Series:
    """Test error with early exit minus that of the last exit, in percentage points."""
    runs = selection.pick(weighting=weighting, early_exit=True)
    return selection.paired(lambda run: 100 * (run.early_exit.error - run.early_exit.last_error), runs)


def early_exit_saving(selection: Selection, *, weighting: str) -> pd.Series:
    """Multiply-adds that early exit saves on test images, in per cent of those of the last exit alone."""
    runs = selection.pick(weighting=weighting, early_exit=True)
    return selection.paired(lambda run: 100 * (1 - run.early_exit.macs / run.early_exit.last_macs), runs)

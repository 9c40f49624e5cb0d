"""Two runs of one seed compared; per cent, by seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from anytime_core.errors import InputError
from anytime_study.analysis.curves import interpolated
from anytime_study.analysis.measures.relative import percent_over
from anytime_study.analysis.selection import Selection

if TYPE_CHECKING:
    from anytime_study.runs.record import RunRecord


def curve_difference(
    selection: Selection,
    *,
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    cost: float | None = None,
    cost_of: Literal["first", "second"] = "second",
    ends: bool = False,
) -> pd.Series:
    """Test error of one network over that of another, read off both curves at one cost.

    Source: Hu et al. 2019, Fig. 4 and Table 3b.

    Args:
        selection: Finds the records.
        first, second: Network and weighting of each; the kind alone names the experiment's only network of that kind.
        cost: As a fraction of the cumulative cost of one of the two; past its last exit a network keeps its last error.
        cost_of: Which one.
        ends: Each at its own last exit instead.

    Raises:
        MissingRuns: fewer than three seeds have all runs.
        InputError: both of ``cost`` and ``ends`` are given, or none; or a kind has several networks.
    """
    if (cost is None) != ends:
        raise InputError(f"bad settings of curve_difference: expected cost or ends, found cost {cost} and ends {ends}")

    def difference(a: RunRecord, b: RunRecord) -> float:
        if cost is None:
            return percent_over(a.test.error[-1], b.test.error[-1])
        at = cost * {"first": a, "second": b}[cost_of].costs.macs_cumulative[-1]
        errors = [float(interpolated(run.costs.macs_cumulative, run.test.error, at)) for run in (a, b)]
        return percent_over(*errors)

    return selection.paired(difference, _pick(selection, first), _pick(selection, second))


def error_ratio(selection: Selection, *, first: Mapping[str, Any], second: Mapping[str, Any]) -> pd.Series:
    """Test error at the last exit of one run over that of another.

    Args:
        selection: Finds the records.
        first, second: Fields in which the two differ from the main grid.

    Raises:
        MissingRuns: fewer than three seeds have all runs.
    """
    return selection.paired(
        lambda a, b: percent_over(a.test.error[-1], b.test.error[-1]), _pick(selection, first), _pick(selection, second)
    )


def exit_error_ratio(
    selection: Selection, *, first: Mapping[str, Any], second: Mapping[str, Any], exit: int | None = None
) -> pd.Series:
    """Test error at one exit, or the mean of all exits, of one run over that of another.

    Args:
        selection: Finds the records.
        first, second: Fields in which the two differ from the main grid.
        exit: Counted from 1; the mean over all exits if left out. Of a network with two tasks, the task.

    Raises:
        MissingRuns: fewer than three seeds have all runs.
    """

    def error(run: RunRecord) -> float:
        return float(np.mean(run.test.error)) if exit is None else run.test.error[exit - 1]

    return selection.paired(
        lambda a, b: percent_over(error(a), error(b)), _pick(selection, first), _pick(selection, second)
    )


def spread(record: RunRecord) -> float:
    """log2 of the largest over the smallest weight after the last epoch: 1 is a factor of two."""
    weights = record.epoch_weights[-1]
    return float(np.log2(max(weights) / min(weights)))


def spread_difference(selection: Selection, *, first: Mapping[str, Any], second: Mapping[str, Any]) -> pd.Series:
    """By how many factors of two the final weights of one run lie further apart than those of another.

    Args:
        selection: Finds the records.
        first, second: Fields in which the two differ from the main grid. No weight of theirs is 0.

    Raises:
        MissingRuns: fewer than three seeds have all runs.
    """
    return selection.paired(lambda a, b: spread(a) - spread(b), _pick(selection, first), _pick(selection, second))


def _pick(selection: Selection, fields: Mapping[str, Any]) -> dict[int, RunRecord]:
    """Runs as a claim names them."""
    if "network" not in fields:
        return selection.pick(**fields)
    return selection.pick(**{**fields, "network": selection.network_named(fields["network"])})


def concentration(record: RunRecord) -> float:
    """Where the weights after the last epoch lie: mean cost fraction of the exits under them, from 0 to 1."""
    weights = np.array(record.epoch_weights[-1])
    return float(np.average(record.costs.macs_fixed, weights=weights) / record.costs.macs_cumulative[-1])


def concentration_difference(
    selection: Selection, *, first: str | Mapping[str, Any], second: str | Mapping[str, Any]
) -> pd.Series:
    """By how much of the network's cost the final weights lie later on one data set than on another.

    Source: Hu et al. 2019, Fig. 5c, which shows the weights; the measure is this study's.

    Args:
        selection: Finds the records.
        first, second: Data sets; or fields in which the two runs differ from the main grid.

    Raises:
        MissingRuns: fewer than three seeds have all runs.
    """
    return selection.paired(
        lambda a, b: 100 * (concentration(a) - concentration(b)),
        *(selection.pick(**({"dataset": each} if isinstance(each, str) else each)) for each in (first, second)),
    )

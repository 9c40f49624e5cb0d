"""Two runs of one seed compared; per cent, by seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from anytime_core.errors import InputError
from anytime_study.analysis.curves import interpolated
from anytime_study.analysis.selection import Selection

if TYPE_CHECKING:
    from anytime_study.runs.record import RunRecord


def error_difference(
    selection: Selection,
    *,
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    exit: int | Literal["all"] | None = None,
    cost: float | None = None,
    cost_of: Literal["first", "second"] = "second",
) -> pd.Series:
    """Test error of one run over that of another, each at its last exit unless ``exit`` or ``cost`` says where.

    Source: Hu et al. 2019, Fig. 4 and Table 3b.

    Args:
        selection: Finds the records.
        first, second: Fields in which the two differ from the main grid; a kind of network alone, such as
            ``denseann``, names the experiment's only one of that kind.
        exit: Counted from 1; or ``all``, the mean over exits. Of a network with two tasks, the task.
        cost: As a fraction of the cumulative cost of one of the two. Errors are linear in cost between exits; past its
            last exit a network keeps its last error.
        cost_of: Which one.

    Raises:
        MissingRuns: fewer than three seeds have all runs.
        InputError: both of ``exit`` and ``cost`` are given, or a kind has several networks.
    """
    if exit is not None and cost is not None:
        raise InputError(f"bad settings of error_difference: expected exit or cost, found exit {exit} and cost {cost}")

    def error(run: RunRecord, pair: Mapping[str, RunRecord]) -> float:
        if exit == "all":
            return float(np.mean(run.test.error))
        if cost is None:
            return run.test.error[-1 if exit is None else exit - 1]
        at = cost * pair[cost_of].costs.macs_cumulative[-1]
        return float(interpolated(run.costs.macs_cumulative, run.test.error, at))

    def difference(a: RunRecord, b: RunRecord) -> float:
        pair = {"first": a, "second": b}
        return percent_over(error(a, pair), error(b, pair))

    return selection.paired(difference, _pick(selection, first), _pick(selection, second))


def percent_over(value: float, reference: float) -> float:
    """100 (value - reference) / reference.

    Raises:
        ValueError: the reference is not above 0.
    """
    if not reference > 0:
        raise ValueError(f"reference: expected an error or loss above 0 to compare with, found {reference}")
    return 100 * (value - reference) / reference


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

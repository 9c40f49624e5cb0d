"""What a weighting loses against OPT, the network trained for one exit alone; per cent, by seed.

Source: Hu et al. 2019, Table 3a (test error at a cost) and Fig. 2a (training loss of an exit).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from anytime_study.analysis.curves import interpolated
from anytime_study.analysis.measures.pairs import percent_over
from anytime_study.analysis.selection import MissingRuns, Selection

if TYPE_CHECKING:
    from anytime_study.runs.record import RunRecord

OptExit = Literal["nearest", "nearest_trained"]

Increase = Callable[["RunRecord", "RunRecord", int], float]


def increase_over_opt(
    selection: Selection,
    *,
    weighting: str,
    fraction: float,
    minus: str | float | None = None,
    opt: OptExit = "nearest",
) -> pd.Series:
    """Relative increase of test error over OPT at a cost.

    Args:
        selection: Finds the records.
        weighting: Of the anytime network.
        fraction: Of its cumulative cost. OPT is trained at the exit whose cost alone is nearest to it, and the anytime
            network is read at the cost of that exit alone, linear between its exits.
        minus: A weighting at the same fraction, or a fraction of the same weighting, whose increase is subtracted.
        opt: "nearest_trained" reads OPT at the nearest of those exits for which the studies train it. The authors did
            not always train it at the nearest exit of all.

    Raises:
        MissingRuns: fewer than three seeds have all runs.
    """
    return _over_opt(selection, _test_error_increase, weighting, fraction, minus, opt)


def train_loss_over_opt(
    selection: Selection,
    *,
    weighting: str,
    fraction: float,
    minus: str | float | None = None,
    opt: OptExit = "nearest",
) -> pd.Series:
    """As :func:`increase_over_opt`, of the loss on unaugmented training images, at the exit itself."""
    return _over_opt(selection, _train_loss_increase, weighting, fraction, minus, opt)


def nearest_exits(record: RunRecord, fraction: float) -> list[int]:
    """All exits, from 1, by the distance of their cost alone from this fraction of the network's cumulative cost."""
    costs = np.array(record.costs.macs_fixed)
    distances = np.abs(costs - fraction * record.costs.macs_cumulative[-1])
    return [int(index) + 1 for index in distances.argsort(kind="stable")]


def _over_opt(
    selection: Selection,
    increase: Increase,
    weighting: str,
    fraction: float,
    minus: str | float | None,
    opt_exit: OptExit,
) -> pd.Series:
    network, opt, exit = _pair(selection, weighting, fraction, opt_exit)
    if minus is None:
        return selection.paired(lambda a, o: increase(a, o, exit), network, opt)
    other, at = (minus, fraction) if isinstance(minus, str) else (weighting, minus)
    other_network, other_opt, other_exit = _pair(selection, other, at, opt_exit)
    return selection.paired(
        lambda a, o, b, p: increase(a, o, exit) - increase(b, p, other_exit), network, opt, other_network, other_opt
    )


def _pair(
    selection: Selection, weighting: str, fraction: float, opt_exit: OptExit
) -> tuple[dict[int, RunRecord], dict[int, RunRecord], int]:
    """Runs of the weighting and of OPT by seed, and the exit of OPT."""
    network = selection.pick(weighting=weighting)
    if not network:  # without a record the costs are unknown, and so is the exit
        raise MissingRuns(selection.missing)
    record = next(iter(network.values()))
    exits = nearest_exits(record, fraction)
    if opt_exit == "nearest_trained":
        exits = [exit for exit in exits if selection.plans(weighting=_opt(record, exit))] or exits
    exit = exits[0]
    return network, selection.pick(weighting=_opt(record, exit)), exit


def _opt(record: RunRecord, exit: int) -> str:
    return "opt" if exit == record.num_exits else f"opt(exit={exit})"


def _test_error_increase(network: RunRecord, opt: RunRecord, exit: int) -> float:
    error = interpolated(network.costs.macs_cumulative, network.test.error, opt.costs.macs_fixed[exit - 1])
    return percent_over(float(error), opt.test.error[exit - 1])


def _train_loss_increase(network: RunRecord, opt: RunRecord, exit: int) -> float:
    return percent_over(network.train.loss[exit - 1], opt.train.loss[exit - 1])

"""What a weighting loses against OPT, the network trained for one exit alone; per cent, by seed.

Source: Hu et al. 2019, Table 3a (test error at a cost) and Fig. 2a (training loss of an exit).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from anytime_study.analysis.quantities import interpolated, percent_over
from anytime_study.analysis.selection import MissingRuns, Selection

if TYPE_CHECKING:
    from anytime_study.runs.record import RunRecord


def increase_over_opt(
    selection: Selection,
    *,
    weighting: str,
    fraction: float,
    minus: str | float | None = None,
    opt: Literal["nearest", "nearest_trained"] = "nearest",
    train_loss: bool = False,
) -> pd.Series:
    """Relative increase of test error over OPT at a cost; of the training loss at the exit itself with ``train_loss``.

    Args:
        selection: Finds the records.
        weighting: Of the anytime network.
        fraction: Of its cumulative cost. OPT is trained at the exit whose cost alone is nearest to it, and the anytime
            network is read at the cost of that exit alone, linear between its exits.
        minus: A weighting at the same fraction, or a fraction of the same weighting, whose increase is subtracted.
        opt: "nearest_trained" reads OPT at the nearest of those exits for which the studies train it. The authors did
            not always train it at the nearest exit of all.
        train_loss: Compare losses on unaugmented training images.
    """

    def increase(network: RunRecord, alone: RunRecord, exit: int) -> float:
        if train_loss:
            return percent_over(network.train.loss[exit - 1], alone.train.loss[exit - 1])
        error = interpolated(network.costs.macs_cumulative, network.test.error, alone.costs.macs_fixed[exit - 1])
        return percent_over(float(error), alone.test.error[exit - 1])

    network, alone, exit = _with_opt(selection, weighting, fraction, opt)
    if minus is None:
        return selection.paired(lambda a, o: increase(a, o, exit), network, alone)
    other, at = (minus, fraction) if isinstance(minus, str) else (weighting, minus)
    other_network, other_alone, other_exit = _with_opt(selection, other, at, opt)
    return selection.paired(
        lambda a, o, b, p: increase(a, o, exit) - increase(b, p, other_exit), network, alone, other_network, other_alone
    )


def nearest_exits(record: RunRecord, fraction: float) -> list[int]:
    """All exits, from 1, by the distance of their cost alone from this fraction of the network's cumulative cost."""
    costs = np.array(record.costs.macs_fixed)
    distances = np.abs(costs - fraction * record.costs.macs_cumulative[-1])
    return [int(index) + 1 for index in distances.argsort(kind="stable")]


def _with_opt(
    selection: Selection, weighting: str, fraction: float, opt: str
) -> tuple[dict[int, RunRecord], dict[int, RunRecord], int]:
    """Runs of the weighting and of OPT by seed, and the exit of OPT."""
    network = selection.pick(weighting=weighting)
    if not network:  # without a record the costs are unknown, and so is the exit
        raise MissingRuns(selection.missing)
    record = next(iter(network.values()))
    names = {
        exit: "opt" if exit == record.num_exits else f"opt(exit={exit})" for exit in nearest_exits(record, fraction)
    }
    trained = [exit for exit in names if opt == "nearest" or selection.plans(weighting=names[exit])]
    exit = next(iter(trained or names))
    return network, selection.pick(weighting=names[exit]), exit

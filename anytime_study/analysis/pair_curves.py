"""A small network against one about twice as large, over cost: curves, and what of the gap is weighting or size.

Source: Hu et al. 2019, Fig. 4a-c; the split of the gap is this study's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from anytime_study.analysis.compute_saved import Pair, pair_name, pairs
from anytime_study.analysis.curves import interpolated
from anytime_study.analysis.measures.pairs import percent_over
from anytime_study.analysis.selection import Selection

if TYPE_CHECKING:
    from anytime_study.runs.record import RunRecord

CURVES = ("large, CONST", "small, AdaLoss", "small, CONST")
PARTS = ("together", "weighting: AdaLoss over CONST, both small", "size: small over large, both CONST")


def extra_errors(selection: Selection) -> pd.DataFrame:
    """Test error over the final one of the small network with AdaLoss, in per cent, at every exit.

    Returns:
        A row per pair, curve, seed and exit: ``pair``, ``curve`` (of :data:`CURVES`), ``seed``, ``cost`` (over the
        small network's), ``error``. Only seeds that have all three runs.
    """
    rows = [
        (pair_name(pair), curve, seed, cost / whole, percent_over(error, small.test.error[-1]))
        for pair in pairs(selection)
        for seed, (small, control, large) in _by_seed(selection, pair).items()
        for whole in [small.costs.macs_cumulative[-1]]
        for curve, record in zip(CURVES, (large, small, control), strict=True)
        for cost, error in zip(record.costs.macs_cumulative, record.test.error, strict=True)
    ]
    return pd.DataFrame(rows, columns=["pair", "curve", "seed", "cost", "error"])


def gap_parts(selection: Selection, fractions: list[float] | None = None) -> pd.DataFrame:
    """The gap between small with AdaLoss and large with CONST at one cost, as the sum of two.

    100 ln(small AdaLoss / large CONST) = 100 ln(small AdaLoss / small CONST) + 100 ln(small CONST / large CONST), of
    test errors. Errors are linear in cost between exits; a network keeps its last one.

    Args:
        selection: Finds the records.
        fractions: Costs over the small network's; if left out, of its exits and of the large one's that cost more.

    Returns:
        A row per pair, part, seed and cost: ``pair``, ``part`` (of :data:`PARTS`), ``seed``, ``cost``, ``value``.
    """
    rows = []
    for pair in pairs(selection):
        for seed, (small, control, large) in _by_seed(selection, pair).items():
            whole = small.costs.macs_cumulative[-1]
            beyond = [cost for cost in large.costs.macs_cumulative if cost > whole]
            exits = np.array([*small.costs.macs_cumulative, *beyond]) / whole
            costs = exits if fractions is None else np.array(fractions)
            logs = [
                100 * np.log(interpolated(record.costs.macs_cumulative, record.test.error, costs * whole))
                for record in (small, control, large)
            ]
            parts = (logs[0] - logs[2], logs[0] - logs[1], logs[1] - logs[2])
            for part, values in zip(PARTS, parts, strict=True):
                rows += [(pair_name(pair), part, seed, cost, value) for cost, value in zip(costs, values, strict=True)]
    return pd.DataFrame(rows, columns=["pair", "part", "seed", "cost", "value"])


def _by_seed(selection: Selection, pair: Pair) -> dict[int, tuple[RunRecord, RunRecord, RunRecord]]:
    """Small with AdaLoss, small with CONST, large with CONST."""
    small, large = pair
    picks = [
        selection.pick(network=network, weighting=weighting)
        for network, weighting in ((small, "adaloss"), (small, "const"), (large, "const"))
    ]
    seeds = sorted(set.intersection(*(set(pick) for pick in picks)))
    return {seed: (picks[0][seed], picks[1][seed], picks[2][seed]) for seed in seeds}

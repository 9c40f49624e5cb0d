"""A small network against one about twice as large, at the same cost: what its size changes, and what its weighting.

Source: Hu et al. 2019, Fig. 4a-c; the split is this study's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from anytime_study.analysis.quantities import interpolated
from anytime_study.analysis.selection import Selection
from anytime_study.runs.registries import NETWORKS, short_name

if TYPE_CHECKING:
    from anytime_study.runs.record import RunRecord

Pair = tuple[str, str]
"""A small network and a large one."""

PARTS = ("together", "size", "weighting")


def pairs(selection: Selection) -> list[Pair]:
    """Each network planned with AdaLoss and the one planned with CONST that has about twice its n, largest first.

    About is one more or less at most, as in the paper (7 and 13); of several the nearest is taken. All options but n
    and s, the spacing of exits, are the same.
    """
    found = []
    for small in selection.networks("adaloss"):
        options = NETWORKS.parse(small).options
        twice = {
            large: abs(given["n"] - 2 * options["n"])
            for large in selection.networks("const")
            if large != small and _others(given := NETWORKS.parse(large).options) == _others(options)
        }
        if twice and min(twice.values()) <= 1:
            found.append((small, min(twice, key=twice.__getitem__)))
    return sorted(found, key=lambda pair: NETWORKS.parse(pair[0]).options["n"], reverse=True)


def pair_name(pair: Pair) -> str:
    """Such as ``(3, 16) against (6, 16)``."""
    return " against ".join(short_name(network) for network in pair)


def size_and_weighting(selection: Selection, fractions: Sequence[float] | None = None) -> pd.DataFrame:
    """The small network with AdaLoss against the large one with CONST at one cost, and the two steps between them.

    The change of test error in two steps, in hundredths of a natural logarithm, in which they add up: ``size`` from
    the large network with CONST to the small one with CONST, ``weighting`` from there to the small one with AdaLoss.
    Errors are linear in cost between exits; a network keeps its last one.

    Args:
        selection: Finds the records.
        fractions: Costs over the small network's; if left out, those of its exits and of the large one's that cost
            more.

    Returns:
        A row per pair, part, seed and cost: ``pair``, ``part`` (of :data:`PARTS`), ``seed``, ``fraction``, ``change``.
        Only seeds that have all three runs.
    """
    rows = []
    for pair in pairs(selection):
        for seed, (ada, const, large) in _by_seed(selection, pair).items():
            whole = const.costs.macs_cumulative[-1]
            beyond = [cost for cost in large.costs.macs_cumulative if cost > whole]
            exits = np.array([*const.costs.macs_cumulative, *beyond]) / whole
            at = exits if fractions is None else np.array(fractions)
            logs = [
                100 * np.log(interpolated(record.costs.macs_cumulative, record.test.error, at * whole))
                for record in (ada, const, large)
            ]
            for part, values in zip(PARTS, (logs[0] - logs[2], logs[1] - logs[2], logs[0] - logs[1]), strict=True):
                rows += [(pair_name(pair), part, seed, *each) for each in zip(at, values, strict=True)]
    return pd.DataFrame(rows, columns=["pair", "part", "seed", "fraction", "change"])


def _others(options: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if name not in ("n", "s")}


def _by_seed(selection: Selection, pair: Pair) -> dict[int, tuple[RunRecord, RunRecord, RunRecord]]:
    """Small with AdaLoss, small with CONST, large with CONST."""
    small, large = pair
    picks = [
        selection.pick(network=network, weighting=weighting)
        for network, weighting in ((small, "adaloss"), (small, "const"), (large, "const"))
    ]
    seeds = sorted(set.intersection(*(set(pick) for pick in picks)))
    return {seed: (picks[0][seed], picks[1][seed], picks[2][seed]) for seed in seeds}

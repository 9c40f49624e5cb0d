"""A small network against one about twice as large, at the same cost: what its size changes, and what its weighting.

Source: Hu et al. 2019, Fig. 4a-c; the split is this study's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from anytime_study.analysis.quantities import interpolated
from anytime_study.analysis.selection import Selection
from anytime_study.runs.registries import NETWORKS, short_name

Pair = tuple[str, str]
"""A small network and a large one."""

PARTS = ("together", "size", "weighting")


def pairs(selection: Selection) -> list[Pair]:
    """Each network planned with AdaLoss and the one planned with CONST that has about twice its n, largest first.

    About is one more or less at most, as in the paper (7 and 13); of several the nearest is taken. All options but n
    and s, the spacing of exits, are the same.
    """
    found = []
    options = {name: NETWORKS.parse(name).options for kind in ("adaloss", "const") for name in selection.networks(kind)}
    for small in selection.networks("adaloss"):
        twice = {
            large: abs(options[large]["n"] - 2 * options[small]["n"])
            for large in selection.networks("const")
            if large != small and {**options[large], "n": 0, "s": 0} == {**options[small], "n": 0, "s": 0}
        }
        if twice and min(twice.values()) <= 1:
            found.append((small, min(twice, key=twice.__getitem__)))
    return sorted(found, key=lambda pair: options[pair[0]]["n"], reverse=True)


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
    tables = [pd.DataFrame(columns=["pair", "part", "seed", "fraction", "change"])]
    for small, large in pairs(selection):
        name = f"{short_name(small)} against {short_name(large)}"
        runs = [
            selection.pick(network=network, weighting=weighting)
            for network, weighting in ((small, "adaloss"), (small, "const"), (large, "const"))
        ]
        for seed in sorted(set.intersection(*map(set, runs))):
            costs = [by_seed[seed].costs.macs_cumulative for by_seed in runs]
            whole = costs[0][-1]
            exits = np.array([*costs[0], *(cost for cost in costs[2] if cost > whole)]) / whole
            at = exits if fractions is None else np.array(fractions)
            ada, const, beside = (
                100 * np.log(interpolated(macs, by_seed[seed].test.error, at * whole))
                for macs, by_seed in zip(costs, runs, strict=True)
            )
            for part, change in zip(PARTS, (ada - beside, const - beside, ada - const), strict=True):
                tables.append(
                    pd.DataFrame({"pair": name, "part": part, "seed": seed, "fraction": at, "change": change})
                )
    return pd.concat(tables[1:] or tables, ignore_index=True)

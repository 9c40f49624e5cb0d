"""Cost inflation of sequences of networks against the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from anytime_study.pages.figures import look
from anytime_study.pages.result_figures.finishing import plain_logarithm


def inflation_over_budget(
    table: pd.DataFrame, *, predicted: pd.DataFrame, bounds: Mapping[str, float], starts: Sequence[float]
) -> Figure:
    """Cost inflation of EANNs against the budget: seeds thin, their mean thick; a panel per weighting.

    Args:
        table: A row per seed and budget, with the columns ``weighting``, ``seed``, ``cost`` (MACs) and ``inflation``.
        predicted: What theory's rules give with the measured competence, a row per budget, with the columns
            ``weighting``, ``cost`` and ``inflation``; a weighting without prediction has no rows.
        bounds: Horizontal lines by their names.
        starts: Budgets at which a member starts, in MACs.
    """
    names = list(dict.fromkeys(table["weighting"]))
    figure, grid = plt.subplots(1, len(names), sharey=True, squeeze=False, figsize=(max(7.5, 4.4 * len(names)), 4.4))
    for axes, name in zip(grid[0], names, strict=True):
        text, colour, _, _ = look(str(name))
        part, rules = table[table["weighting"] == name], predicted[predicted["weighting"] == name]
        for _, rows in part.groupby("seed"):
            axes.plot(rows["cost"] / 1e6, rows["inflation"], color=colour, linewidth=0.8, alpha=0.4)
        means = part.groupby("cost")["inflation"].mean()
        axes.plot(means.index / 1e6, means, color=colour, linewidth=2.2, label="seen, mean (thin: seeds)")
        if len(rules):
            axes.plot(rules["cost"] / 1e6, rules["inflation"], color="0.2", linestyle="--", label="predicted")
        for (bound, value), dashes in zip(bounds.items(), (":", "-."), strict=False):
            axes.axhline(value, color="black", linewidth=1, linestyle=dashes, label=bound)
        for start in starts:
            axes.axvline(start / 1e6, color="0.8", linewidth=0.8, zorder=0)
        axes.set(title=text, xscale="log", xlabel="budget (millions of MACs)")
        axes.grid(visible=False, axis="x")
    grid[0][0].set_ylim(bottom=0)  # after all panels, which share the axis
    plain_logarithm(figure)
    grid[0][0].set_ylabel("cost inflation $C$")
    grid[0][0].legend(title=None, fontsize=9, loc="upper left")
    return figure

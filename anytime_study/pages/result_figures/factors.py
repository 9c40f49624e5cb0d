"""Factors of compute saved, with the limits of what could be seen."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anytime_study.analysis.compute_saved import factor_summary
from anytime_study.pages.figures import look


def factors_with_limits(table: pd.DataFrame) -> Figure:
    """Factors of compute saved at several costs: seeds, and their centre with its interval; a panel per pair.

    A seed of which only a lower bound is known is an open triangle at the limit, a dotted line.

    Args:
        table: From :func:`anytime_study.analysis.compute_saved.saved_table`.
    """
    names, fractions = list(dict.fromkeys(table["pair"])), sorted(table["fraction"].unique())
    weightings = list(dict.fromkeys(table["weighting"]))
    figure, grid = plt.subplots(1, len(names), sharey=True, squeeze=False, figsize=(max(7.5, 4.2 * len(names)), 4.2))
    for axes, name in zip(grid[0], names, strict=True):
        part = table[table["pair"] == name]
        for (weighting, fraction), rows in part.groupby(["weighting", "fraction"], sort=False):
            aside = 0.26 * (weightings.index(str(weighting)) - (len(weightings) - 1) / 2)
            _factor(axes, rows, fractions.index(fraction) + aside, str(weighting))
        for place, fraction in enumerate(fractions):  # what could be seen at most
            limit = part.loc[part["fraction"] == fraction, "limit"].max()
            axes.plot([place - 0.4, place + 0.4], [limit, limit], color="0.4", linestyle=":", linewidth=1)
        axes.axhline(1, color="0.4", linewidth=1)
        axes.set(title=name, xlabel="fraction of the small network's cost", yscale="log")
        axes.set_xticks(range(len(fractions)), [f"{fraction:g}" for fraction in fractions])
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_yticks([0.5, 1, 2, 4, 8], minor=False)
        axes.minorticks_off()
        axes.grid(visible=False, axis="x")
    grid[0][0].set_ylabel("factor of compute saved")
    marks = [
        plt.Line2D([], [], color=colour, marker=marker, linestyle="none", label=f"small, {text}")
        for text, colour, marker, _ in map(look, weightings)
    ]
    grid[0][-1].legend(handles=marks, title=None)
    return figure


def _factor(axes: Axes, rows: pd.DataFrame, place: float, weighting: str) -> None:
    """One weighting at one cost: seeds beside centre and interval."""
    _, colour, marker, _ = look(weighting)
    limit = float(rows["limit"].max())
    known = np.isfinite(rows["factor"])
    beside = np.full(len(rows), place - 0.1)
    axes.scatter(beside[known], rows.loc[known, "factor"], color=colour, marker=marker, s=14, alpha=0.5, linewidths=0)
    if not known.all():  # a little apart, or one would hide the others
        open_ones = beside[~known] + np.linspace(-0.04, 0.04, int((~known).sum()))
        axes.scatter(
            open_ones, np.full(len(open_ones), limit), facecolors="none", edgecolors=[colour], marker="^", s=30
        )
    found = factor_summary(rows["factor"], limit)
    if np.isfinite(found.low):
        axes.plot([place, place], [found.low, min(found.high, limit)], color=colour)
    if np.isfinite(found.centre):
        axes.plot(place, found.centre, color=colour, marker=marker, markersize=7)

"""Values of seeds as dots, a line for each thing that is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anytime_study.analysis.statistics import mean_interval
from anytime_study.pages.figures import label, look
from anytime_study.pages.result_figures.grid import lines_and_columns


def dots(
    table: pd.DataFrame,
    *,
    value: str,
    row: str,
    panel: str | None = None,
    rows: Sequence[str] | None = None,
    panels: Sequence[str] | None = None,
    reference: Mapping[tuple[str, str], float] | None = None,
    xlabel: str,
    zero: bool = True,
    share_x: bool = False,
) -> Figure:
    """Values of seeds as small marks, their mean with its 95 % interval as a large one; a line per row.

    Args:
        table: A row per seed, with the columns ``value``, ``row`` and, if given, ``panel``.
        value: Column of the numbers.
        row: Column of what is compared, from top to bottom; weightings get their own colours and names.
        panel: Column that spreads the rows over panels, from left to right.
        rows, panels: Their order; that of the table if left out.
        reference: Published values by (panel, row), shown as hollow diamonds; without panels, by ("", row).
        xlabel: Axis label.
        zero: Whether to draw a line at 0.
        share_x: Whether all panels have one scale.
    """
    rows = list(rows) if rows is not None else list(dict.fromkeys(table[row]))
    parts = [("", table)]
    if panel is not None:
        order = list(panels) if panels is not None else list(dict.fromkeys(table[panel]))
        parts = [(str(name), table[table[panel] == name]) for name in order]
    lines, columns = lines_and_columns(len(parts))
    figure, grid = plt.subplots(
        lines,
        columns,
        sharey=True,
        sharex=share_x,
        squeeze=False,
        figsize=(max(7.5, 3.3 * columns), (1.1 + (0.42 if lines == 1 else 0.36) * len(rows)) * lines),
    )
    if lines > 1:
        figure.set_layout_engine("constrained", hspace=0.06)  # titles stand clear of the ticks above them
    for unused in grid.flat[len(parts) :]:
        unused.set_axis_off()
    for axes, (name, part) in zip(grid.flat, parts, strict=False):
        for place, key in enumerate(rows):
            values = part.loc[part[row] == key, value].dropna()
            _dot(axes, values, place, key)
            published = (reference or {}).get((name, key))
            if published is not None:
                axes.plot(published, place, marker="D", markersize=8, mfc="none", mec="0.25", mew=1.4, linestyle="none")
        if zero:
            axes.axvline(0, color="0.4", linewidth=1)
        axes.set(yticks=range(len(rows)), yticklabels=[label(str(key)) for key in rows], title=name)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
    figure.supxlabel(xlabel, fontsize="medium")
    return figure


def _dot(axes: Axes, values: pd.Series, place: int, key: str) -> None:
    """One row: seeds a little above the line, mean and interval on it."""
    if values.empty:
        return
    _, colour, marker, _ = look(str(key))
    outline = None if marker == "x" else 0  # a cross is nothing but its outline
    axes.scatter(
        values, np.full(len(values), place - 0.22), color=colour, marker=marker, s=14, alpha=0.5, linewidths=outline
    )
    mean, half_widths = float(values.mean()), None
    if len(values) > 1:
        interval = mean_interval(values)
        half_widths = [[mean - interval.low], [interval.high - mean]]
    axes.errorbar([mean], [place], xerr=half_widths, color=colour, marker=marker, markersize=7, capsize=3)

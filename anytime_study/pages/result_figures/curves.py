"""Curves over exits and over cost, with what the seeds leave open."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from anytime_study.analysis.statistics import mean_interval
from anytime_study.pages.figures import look
from anytime_study.pages.result_figures.grid import lines_and_columns


def exit_curves(
    table: pd.DataFrame, *, value: str, ylabel: str, panel: str | None = None, log: bool = False, hue: str = "weighting"
) -> Figure:
    """A value of every exit against the exit's number: means over seeds with 95 % intervals where there are several.

    Args:
        table: A row per seed and exit, with the columns ``exit``, ``value``, ``hue`` and, if given, ``panel``.
        value: Column of the numbers.
        ylabel: Axis label.
        panel: Column that spreads the curves over panels, from left to right.
        log: Whether the axis is logarithmic.
        hue: Column with a curve per value: weightings have their own looks, other things get one each.
    """
    figure = _panels(table, "exit", value, hue=hue, panel=panel, size=(4.4, 4.2))
    _label(figure, "exit", ylabel)
    for axes in figure.axes:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no exit 1.5
        if log:
            axes.set_yscale("log")
    return figure


def curves_over_cost(
    table: pd.DataFrame,
    *,
    xlabel: str,
    ylabel: str,
    hue: str,
    steps: bool = False,
    log_x: bool = False,
    percent: bool = True,
    panel: str | None = None,
) -> Figure:
    """Error over cost: means over seeds with 95 % intervals as bands; a curve per value of ``hue``.

    Args:
        table: A row per seed and cost, with the columns ``cost``, ``error``, ``hue`` and, if given, ``panel``. All
            seeds of a curve have the same costs.
        xlabel, ylabel: Axis labels.
        hue: Column of what is compared.
        steps: Whether an answer holds until the next one is there (anytime use), instead of a straight line.
        log_x: Whether cost is on a logarithmic axis.
        percent: Whether errors are fractions to be shown as per cent.
        panel: Column that spreads the curves over panels, each with its own cost axis.
    """
    figure = _panels(table, "cost", "error", hue=hue, panel=panel, size=(4.0, 4.4), steps=steps)
    _label(figure, xlabel, ylabel)
    for axes in figure.axes:
        if log_x:
            axes.set_xscale("log")
        if percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def _panels(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    hue: str,
    panel: str | None,
    size: tuple[float, float],
    steps: bool = False,
) -> Figure:
    """A curve per value of ``hue``, a panel of this size (inches) per value of ``panel``; no labels of axes yet."""
    names = [None] if panel is None else list(dict.fromkeys(table[panel]))
    keys = list(dict.fromkeys(table[hue]))  # a thing has one look in all panels
    width, height = size
    lines, columns = lines_and_columns(len(names))
    figure, grid = plt.subplots(
        lines, columns, sharey=True, squeeze=False, figsize=(max(7.5, width * columns), height * lines)
    )
    for unused in grid.flat[len(names) :]:
        unused.remove()
    for axes, name in zip(figure.axes, names, strict=True):
        part = table if name is None else table[table[panel] == name]
        for key, rows in part.groupby(hue, sort=False):
            text, colour, marker, dashes = look(str(key), keys.index(key))
            _band(axes, rows, x, y, text, colour, "" if steps else marker, dashes, steps=steps)
        axes.set_title(name or "")
    _legends(figure.axes)
    return figure


def _label(figure: Figure, xlabel: str, ylabel: str) -> None:
    """What is on the axes; the scale that all panels share is told at the left alone."""
    for axes in figure.axes:
        spec = axes.get_subplotspec()
        axes.set(xlabel=xlabel, ylabel=ylabel if spec is None or spec.is_first_col() else "")


def _legends(panels: Sequence[Axes]) -> None:
    """One legend in the last panel; in every panel if they show different things."""
    shown = {tuple(axes.get_legend_handles_labels()[1]) for axes in panels}
    for axes in panels if len(shown) > 1 else panels[-1:]:
        axes.legend(title=None, fontsize="small")


def _band(
    axes: Axes,
    rows: pd.DataFrame,
    x: str,
    y: str,
    text: str,
    colour: tuple[float, float, float],
    marker: str,
    dashes: tuple[float, ...] | str,
    *,
    steps: bool = False,
) -> None:
    """One curve: the mean over seeds, and its interval as a band where there are two seeds or more."""
    groups = rows.groupby(x)[y]
    means = groups.mean()
    drawstyle = "steps-post" if steps else "default"
    axes.plot(
        means.index, means, label=text, color=colour, marker=marker, dashes=dashes or (None, None), drawstyle=drawstyle
    )
    if groups.size().max() > 1 and not steps:  # the seeds; marks on steps would look like exits
        axes.scatter(rows[x], rows[y], color=colour, marker=marker, s=10, alpha=0.4, linewidths=0)
    if groups.size().min() > 1:
        intervals = groups.agg(mean_interval)
        low, high = ([getattr(interval, end) for interval in intervals] for end in ("low", "high"))
        axes.fill_between(means.index, low, high, color=colour, alpha=0.18, linewidth=0, step="post" if steps else None)

"""Figures of the results chapters, drawn from tables of measures (never from live networks)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from anytime_core.figures import label, look
from anytime_core.statistics import mean_interval


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
    figure, grid = plt.subplots(
        1,
        len(parts),
        sharey=True,
        sharex=share_x,
        squeeze=False,
        figsize=(max(7.5, 3.3 * len(parts)), 1.1 + 0.42 * len(rows)),
    )
    for axes, (name, part) in zip(grid[0], parts, strict=True):
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
    names = [None] if panel is None else list(dict.fromkeys(table[panel]))
    keys = list(dict.fromkeys(table[hue]))  # a thing has one look in all panels
    figure, grid = plt.subplots(1, len(names), sharey=True, squeeze=False, figsize=(max(7.5, 4.4 * len(names)), 4.2))
    for axes, name in zip(grid[0], names, strict=True):
        part = table if name is None else table[table[panel] == name]
        for key, rows in part.groupby(hue, sort=False):
            text, colour, marker, dashes = look(str(key), keys.index(key))
            _band(axes, rows, "exit", value, text, colour, marker, dashes)
        axes.set(xlabel="exit", ylabel=ylabel, title=name or "")
        if log:
            axes.set_yscale("log")
    _legends(grid[0])
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
    names = [None] if panel is None else list(dict.fromkeys(table[panel]))
    keys = list(dict.fromkeys(table[hue]))  # a thing has one look in all panels
    figure, grid = plt.subplots(1, len(names), sharey=True, squeeze=False, figsize=(max(7.5, 4.0 * len(names)), 4.4))
    for axes, name in zip(grid[0], names, strict=True):
        part = table if name is None else table[table[panel] == name]
        for key, rows in part.groupby(hue, sort=False):
            text, colour, marker, dashes = look(str(key), keys.index(key))
            _band(axes, rows, "cost", "error", text, colour, "" if steps else marker, dashes, steps=steps)
        axes.set(xlabel=xlabel, ylabel=ylabel, title=name or "")
        if log_x:
            axes.set_xscale("log")
        if percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1))
    _legends(grid[0])
    return figure


def _legends(row: Sequence[Axes]) -> None:
    """One legend in the last panel; in every panel if they show different things."""
    shown = {tuple(axes.get_legend_handles_labels()[1]) for axes in row}
    for axes in row if len(shown) > 1 else row[-1:]:
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


def verdict_plot(table: pd.DataFrame) -> Figure:
    """How far each claim's measure is from its threshold, in half widths of its interval; claims from top to bottom.

    Args:
        table: A row per claim and protocol, with the columns ``claim``, ``protocol``, ``score`` (the mean's distance
            from the threshold on the claimed side over half the interval's width: 1 means that the interval ends at the
            threshold) and ``verdict``.
    """
    order = list(dict.fromkeys(table["claim"]))
    palette = sns.color_palette("colorblind")
    colours = {
        "same direction on ours": palette[2],
        "replicated on the paper's data": palette[2],
        "opposite": palette[3],
    }
    markers = {"one_rate": "o", "tuned_rate": "s"}
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.3 * len(order)))
    for record in table.to_dict("records"):
        place = order.index(record["claim"]) + (0.15 if record["protocol"] == "tuned_rate" else 0)
        colour = colours.get(record["verdict"], palette[7])
        axes.plot(record["score"], place, marker=markers[record["protocol"]], color=colour, linestyle="none")
    axes.axvline(0, color="0.4", linewidth=1)
    axes.axvspan(-1, 1, color="0.92", zorder=0)
    axes.set(
        yticks=range(len(order)),
        yticklabels=order,
        xscale="symlog",
        xlabel="distance in half intervals",
    )
    axes.set_ylim(len(order) - 0.5, -0.5)
    return figure


def weights_over_steps(weights: Mapping[str, np.ndarray]) -> Figure:
    """Weights of all exits in every step as shades, a panel per rule, on one scale.

    Args:
        weights: [steps, K] by the panel's title; 0 or more.
    """
    largest = max(float(of_rule.max()) for of_rule in weights.values())
    figure, grid = plt.subplots(
        1, len(weights), sharey=True, squeeze=False, figsize=(max(7.5, 4.6 * len(weights)), 3.2)
    )
    for axes, (title, of_rule) in zip(grid[0], weights.items(), strict=True):
        steps, exits = of_rule.shape
        # cells around whole numbers, so that step t and exit i stand at t and i
        shades = axes.pcolormesh(
            np.arange(steps + 1) + 0.5, np.arange(exits + 1) + 0.5, of_rule.T, vmin=0, vmax=largest, cmap="Greys"
        )
        axes.set(title=title, xlabel="step", yticks=range(1, exits + 1))
        axes.grid(visible=False)
    grid[0][0].set_ylabel("exit")
    figure.colorbar(shades, ax=grid[0].tolist(), label="weight")
    return figure

"""Figures of the results chapters, drawn from tables of measures (never from live networks)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from anytime_core.analysis.compute_saved import factor_summary
from anytime_core.analysis.statistics import mean_interval
from anytime_core.pages.figures import label, look

_PANELS_ABREAST = 3  # more of them would be set too small to read on a page


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
    columns = len(parts) if len(parts) <= _PANELS_ABREAST else 2
    lines = math.ceil(len(parts) / columns)
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
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no exit 1.5
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


def sign(figure: Figure, text: str) -> None:
    """Write a line below a figure, such as :func:`anytime_core.pages.result_pages.signature` gives."""
    figure.text(1.0, -0.01, text, ha="right", va="top", fontsize=7, color="0.45")


def factors_with_limits(table: pd.DataFrame) -> Figure:
    """Factors of compute saved at several costs: seeds, and their centre with its interval; a panel per pair.

    A seed of which only a lower bound is known is an open triangle at the limit, a dotted line.

    Args:
        table: From :func:`anytime_core.analysis.compute_saved.saved_table`.
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


def plain_logarithm(figure: Figure) -> None:
    """Write the numbers of logarithmic cost axes as 5, 10, 20, 50, which do not overlap within a factor of ten."""
    for axes in figure.axes:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())

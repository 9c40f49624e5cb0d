"""Figures of the results chapters that are no curves, drawn from tables of measures (never from live networks)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, MultipleLocator

from anytime_study.pages.figures import ends, looks, panels_of, plain_logarithm, signed_percent, sources
from anytime_study.pages.words import as_percent

_SHAPES = {
    "CIFAR-10": "s",
    "CIFAR-100": "D",
    "SVHN, training crops": "v",
    "Fashion-MNIST": "o",
    "Tiny Shakespeare": "^",
}
"""Marks of these data in every figure."""


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
    share_x: bool = True,
    changes: bool = False,
) -> Figure:
    """Values of seeds as small marks, their mean as a large one, from three on with its 95 % interval; a line per row.

    Args:
        table: A row per seed, with the columns ``value``, ``row`` and, if given, ``panel``.
        value: Column of the numbers.
        row: Column of what is compared, from top to bottom; weightings get their own colours and names.
        panel: Column that spreads the rows over panels, from left to right.
        rows, panels: Their order; that of the table if left out.
        reference: Published values by (panel, row), shown as hollow diamonds; without panels, by ("", row).
        xlabel: Axis label.
        zero: Whether to draw a line at 0.
        share_x: Whether all panels have one scale; else a small effect looks as wide as a large one.
        changes: Whether values are hundredths of a natural logarithm, which the axis shows as per cent.
    """
    shown = as_percent if changes else np.asarray
    styles = looks(rows if rows is not None else table[row], in_turn=False)
    names = [""] if panel is None else list(panels) if panels is not None else list(dict.fromkeys(table[panel]))
    height = 1.1 + 0.42 * len(styles)
    figure, axes_list = panels_of(len(names), (3.8, height), sharex=share_x)
    if len(names) > 2:
        figure.set_layout_engine("constrained", hspace=0.06)  # titles stand clear of the ticks above them
    for axes, name in zip(axes_list, names, strict=True):
        part = table if panel is None else table[table[panel] == name]
        for place, (key, look) in enumerate(styles.items()):
            values = part.loc[part[row] == key, value].dropna()
            if len(values):
                beside = np.full(len(values), place - 0.22)  # seeds a little above the line
                axes.scatter(
                    shown(values), beside, color=look.colour, marker=look.marker, s=14, alpha=0.5, linewidths=0
                )
                mean, arms = _with_arms(shown([values.mean(), *ends(values)]))
                axes.errorbar(mean, place, xerr=arms, color=look.colour, marker=look.marker, ms=7, capsize=3)
            published = (reference or {}).get((name, key))
            if published is not None:
                axes.plot(shown(published), place, marker="D", ms=8, mfc="none", mec="0.25", mew=1.4, linestyle="none")
        if zero:
            axes.axvline(0, color="0.4", linewidth=1)
        if changes:
            axes.xaxis.set_major_locator(MaxNLocator(4))
            signed_percent(axes.xaxis)
        axes.set(yticks=range(len(styles)), yticklabels=[look.text for look in styles.values()], title=name)
        axes.set_ylim(len(styles) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
    figure.supxlabel(xlabel, fontsize="medium")
    return figure


def _with_arms(mean_low_high: np.ndarray) -> tuple[float, list[list[float]] | None]:
    """A mean, and how far its interval reaches to both sides; None without one."""
    mean, low, high = mean_low_high
    return mean, None if np.isnan(low) else [[mean - low], [high - mean]]


def dose(table: pd.DataFrame, x: str, xlabel: str, *, series: Mapping[str, str], log_x: bool = False) -> Figure:
    """The change in each setting against something that might explain it: means, from three on with 95 % intervals.

    Args:
        table: A row per pair, with the columns ``dataset``, ``place`` (what is averaged), ``x`` and of ``series``.
        x: Column.
        xlabel: Its label.
        series: Columns with changes by their names, the one that matters most last.
        log_x: Whether x is on a logarithmic axis.
    """
    figure, axes = plt.subplots()
    axes.axhline(0, color="0.3", linewidth=1)
    sets = {name: _SHAPES.get(name, "D") for name in dict.fromkeys(table["dataset"])}
    styles = sources(series)
    # a step to the side for each series, or one would cover the other
    aside = {name: 1 + 0.012 * (place - (len(series) - 1) / 2) for place, name in enumerate(series)}
    for (name, column), (dataset, marker) in product(series.items(), sets.items()):
        for _, own in table[table["dataset"] == dataset].groupby("place"):
            mean, arms = _with_arms(as_percent([own[column].mean(), *ends(own[column])]))
            at = aside[name] * own[x].mean()
            axes.errorbar(at, mean, yerr=arms, color=styles[name].colour, marker=marker, ms=7, capsize=3)
    if log_x:
        plain_logarithm(axes, (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0))
    axes.set(xlabel=xlabel, ylabel="change in test errors (%)")
    marks = [Line2D([], [], color=look.colour, linewidth=3, label=name) for name, look in styles.items()]
    shapes = [Line2D([], [], color="0.3", marker=m, linestyle="none", label=name) for name, m in sets.items()]
    axes.legend(handles=[*(marks if len(marks) > 1 else []), *shapes], title=None, fontsize="small")
    return figure


def seed_by_seed(tables: Mapping[str, pd.DataFrame], published: Mapping[str, float]) -> Figure:
    """A point per seed: the change at a quarter of the cost (right: more errors), and at the last exit (down: fewer).

    Args:
        tables: By name of the source, with the columns ``quarter`` and ``last``; the last one is highlighted.
        published: The paper's changes by column.
    """
    figure, axes = plt.subplots()
    axes.axhline(0, color="0.3", linewidth=1)
    axes.axvline(0, color="0.3", linewidth=1)
    paper = as_percent([published["quarter"], published["last"]])
    axes.plot(*paper, marker="D", mfc="none", mec="0.35", ms=8, linestyle="none", label="the paper")
    for name, look in sources(tables).items():
        places = (as_percent(tables[name][column]) for column in ("quarter", "last"))
        axes.plot(*places, marker=look.marker, color=look.colour, ms=7, alpha=0.8, linestyle="none", label=name)
    corners = {("right", "bottom"): "early price, late gain", ("right", "top"): "worse at both"}
    for (across, up), text in (corners | {("left", "bottom"): "better at both"}).items():
        place = {"left": 0.02, "right": 0.98}[across], {"bottom": 0.04, "top": 0.96}[up]
        axes.text(*place, text, transform=axes.transAxes, ha=across, va=up, fontsize="small", style="italic")
    lines = MultipleLocator(5)
    low, high = lines.view_limits(*axes.get_ylim())
    axes.yaxis.set_major_locator(lines)
    # room beyond the outer grid lines, which would strike the words of the corners through
    axes.set(ylim=(low - 3.5, max(high, 5) + 3.5), xlim=(min(axes.get_xlim()[0], -7), axes.get_xlim()[1] + 1))
    axes.set(xlabel="change in test errors at a quarter of the cost (%)", ylabel="at the last exit (%)")
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")  # inside it would hide seeds
    return figure

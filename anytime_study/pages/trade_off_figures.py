"""Figures of the answer: what AdaLoss changes against equal weights, over the cost, seed by seed, and over headroom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from anytime_study.analysis.trade_offs import AT
from anytime_study.pages.figures import ends, looks
from anytime_study.pages.words import as_percent

_TICKS = {0.25: "1/4", 0.5: "1/2", 0.75: "3/4", 1.0: "all"}
_GREY = "0.55"
_SHAPES = {"CIFAR-10": "s", "Fashion-MNIST": "o"}  # of these data in every figure


def _colours(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each source: the last one, which matters most, is coloured, the others are grey."""
    accent, (*others, last) = looks(["adaloss"])["adaloss"].colour, names
    return {name: (_GREY, marker) for name, marker in zip(others, "o^v", strict=False)} | {last: (accent, "s")}


def change_over_cost(sources: Mapping[str, pd.DataFrame], published: Mapping[str, float]) -> Figure:
    """Change of test error by AdaLoss against the cost at which the network is stopped; 95 % intervals as bands.

    Args:
        sources: By name, a row per seed with the columns of :data:`AT`; the last one is highlighted.
        published: The paper's changes by column.
    """
    figure, axes = plt.subplots()
    places = list(AT.values())
    axes.axhline(0, color="0.3", linewidth=1)
    axes.text(1.0, 0.35, "equal weights", ha="right", va="bottom", fontsize="small", color="0.3")
    paper = [as_percent(published[name]) for name in AT]
    axes.plot(places, paper, color="0.35", linestyle="--", marker="D", mfc="none", ms=7, label="the paper, 300 epochs")
    for name, (colour, marker) in _colours(sources).items():
        table = sources[name]
        means = [as_percent(table[column].mean()) for column in AT]
        axes.plot(places, means, color=colour, marker=marker, linewidth=2.2, label=name)
        if len(table) > 2:
            low, high = np.array([[as_percent(end) for end in ends(table[column])] for column in AT]).T
            axes.fill_between(places, low, high, color=colour, alpha=0.2, linewidth=0)
        else:
            for column, place in AT.items():
                axes.plot([place] * len(table), table[column].map(as_percent), "o", color=colour, ms=4, alpha=0.6)
    axes.set_xticks(places, [_TICKS[place] for place in places])
    axes.set(xlabel="how much of the network's cost is spent", ylabel="change in test errors (%)")
    axes.grid(visible=False, axis="x")
    axes.legend(title=None, fontsize="small")
    return figure


def seed_by_seed(sources: Mapping[str, pd.DataFrame], published: Mapping[str, float]) -> Figure:
    """A point per seed: the change at a quarter of the cost (right: more errors), and at the last exit (down: fewer).

    Args:
        sources: As for :func:`change_over_cost`.
        published: As there.
    """
    figure, axes = plt.subplots()
    axes.axhline(0, color="0.3", linewidth=1)
    axes.axvline(0, color="0.3", linewidth=1)
    x, y = as_percent(published["quarter"]), as_percent(published["last"])
    axes.plot(x, y, marker="D", mfc="none", mec="0.35", ms=8, linestyle="none", label="the paper, 300 epochs")
    for name, (colour, marker) in _colours(sources).items():
        table = sources[name]
        places = table["quarter"].map(as_percent), table["last"].map(as_percent)
        axes.plot(*places, marker=marker, color=colour, ms=7, alpha=0.8, linestyle="none", label=name)
    for place, text in {
        (0.98, 0.04): "early price, late gain",
        (0.98, 0.96): "worse at both",
        (0.02, 0.04): "better at both",
    }.items():
        across, up = ("right" if place[0] > 0.5 else "left"), ("top" if place[1] > 0.5 else "bottom")
        axes.text(
            *place, text, transform=axes.transAxes, ha=across, va=up, fontsize="small", color="0.3", style="italic"
        )
    low, high = axes.get_ylim()
    axes.set(ylim=(low - 2, max(high, 3) + 2), xlim=(min(axes.get_xlim()[0], -7), axes.get_xlim()[1] + 1))
    axes.set(xlabel="change in test errors at a quarter of the cost (%)", ylabel="at the last exit (%)")
    axes.legend(fontsize="small", loc="lower left", bbox_to_anchor=(0.28, 0.12))
    return figure


def dose(table: pd.DataFrame, x: str, xlabel: str, *, series: Mapping[str, str], log_x: bool = False) -> Figure:
    """The change in each setting against something that might explain it: means with 95 % intervals.

    Args:
        table: A row per pair, with the columns ``dataset``, ``place`` (what is averaged), ``x`` and of ``series``.
        x: Column.
        xlabel: Its label.
        series: Columns with changes by their names, the one that matters most last.
        log_x: Whether x is on a logarithmic axis.
    """
    figure, axes = plt.subplots()
    axes.axhline(0, color="0.3", linewidth=1)
    others = [name for name in dict.fromkeys(table["dataset"]) if name not in _SHAPES]
    shapes_of = _SHAPES | dict(zip(others, "D^v", strict=False))
    sets = {name: shapes_of[name] for name in dict.fromkeys(table["dataset"])}
    colours = {name: colour for name, (colour, _) in _colours(series).items()}
    for (name, column), (dataset, marker) in product(series.items(), sets.items()):
        for _, own in table[table["dataset"] == dataset].groupby("place"):
            mean, (low, high) = as_percent(own[column].mean()), ends(own[column])
            arms = None if np.isnan(low) else [[mean - as_percent(low)], [as_percent(high) - mean]]
            axes.errorbar(own[x].mean(), mean, yerr=arms, color=colours[name], marker=marker, ms=7, capsize=3)
    if log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel=xlabel, ylabel="change in test errors (%)")
    marks = [Line2D([], [], color=colour, linewidth=3, label=name) for name, colour in colours.items()]
    shapes = [Line2D([], [], color="0.3", marker=m, linestyle="none", label=name) for name, m in sets.items()]
    axes.legend(handles=[*(marks if len(marks) > 1 else []), *shapes], title=None, fontsize="small")
    return figure

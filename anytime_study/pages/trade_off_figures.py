"""Figures of the answer: what AdaLoss changes against equal weights, over the cost, seed by seed, and over headroom."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anytime_study.analysis.trade_offs import AT
from anytime_study.pages.figures import ends, looks
from anytime_study.pages.words import as_percent

_TICKS = {0.25: "1/4", 0.5: "1/2", 0.75: "3/4", 1.0: "all"}
_GREY = "0.55"


def _colours(names: Mapping[str, pd.DataFrame]) -> dict[str, tuple[object, str]]:
    """Colour and marker of each source: the last one, which matters most, is coloured, the others are grey."""
    accent = looks(["adaloss"])["adaloss"].colour
    return {name: (accent, "s") if name == list(names)[-1] else (_GREY, "o") for name in names}


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
    axes.set(ylim=(low - 2, max(high, 3) + 2), xlim=(min(axes.get_xlim()[0], -5), axes.get_xlim()[1] + 1))
    axes.set(xlabel="change in test errors at a quarter of the cost (%)", ylabel="at the last exit (%)")
    axes.legend(fontsize="small", loc="lower left", bbox_to_anchor=(0.28, 0.12))
    return figure


def dose(table: pd.DataFrame, x: str, xlabel: str, *, log_x: bool = False) -> Figure:
    """The change at the last exit in each setting against something that might explain it; bars are 95 % intervals.

    Args:
        table: A row per pair, with the columns ``dataset``, ``point`` (what is averaged), ``x`` and ``last``.
        x: Column.
        xlabel: Its label.
        log_x: Whether x is on a logarithmic axis.
    """
    figure, axes = plt.subplots()
    axes.axhline(0, color="0.3", linewidth=1)
    sets = list(dict.fromkeys(table["dataset"]))
    styles = looks(sets)
    for name in sets:
        rows = table[table["dataset"] == name]
        for number, (_, own) in enumerate(rows.groupby("point")):
            mean, (low, high) = as_percent(own["last"].mean()), ends(own["last"])
            arms = None if np.isnan(low) else [[mean - as_percent(low)], [as_percent(high) - mean]]
            look = styles[name]
            axes.errorbar(
                own[x].mean(),
                mean,
                yerr=arms,
                color=look.colour,
                marker=look.marker,
                ms=7,
                capsize=3,
                linestyle="none",
                label=name if number == 0 else None,
            )
    if log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel=xlabel, ylabel="change in test errors at the last exit (%)")
    _below(axes)
    axes.legend(title=None, fontsize="small")
    return figure


def _below(axes: Axes) -> None:
    """Which way is better, in the corner."""
    axes.text(
        0.02,
        0.03,
        "below the line: AdaLoss is better",
        transform=axes.transAxes,
        fontsize="small",
        color="0.3",
        style="italic",
    )

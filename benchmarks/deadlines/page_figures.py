"""Pictures of a report of deadlines. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.deadlines.page import accuracy_table, mean_curve
from benchmarks.deadlines.report import Confidence, Trial

DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")


def accuracy_figure(trials: Mapping[str, Trial]) -> Figure:
    """Accuracy against the deadline with intervals, and below it the exits that answered.

    Args:
        trials: Of one trained network, by the name in the legend; the exits are those of the first.
    """
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(7.5, 6.2), height_ratios=(3, 2))
    for place, (name, trial) in enumerate(trials.items()):
        _curve(top, place, name, accuracy_table(trial), "accuracy")
    top.set_ylabel("accuracy (%)")
    top.legend(loc="lower right")
    first = next(iter(trials.values()))
    exits_shares(bottom, first)
    bottom.set_xlabel("deadline (ms)")
    for axes in (top, bottom):
        axes.axvline(1000 * first.full_s, color="0.3", linewidth=1, linestyle=":")
    top.annotate(
        "last exit,\nmedian time",
        (1000 * first.full_s, top.get_ylim()[0]),
        xytext=(4, 4),
        textcoords="offset points",
        fontsize="small",
    )
    return figure


def exits_shares(axes: plt.Axes, trial: Trial) -> None:
    """Share of answers of each exit against the deadline, stacked; light is early."""
    middles = [500 * (part.low_s + part.high_s) for part in trial.bins]
    shares = np.array([np.array(part.exits) / part.count for part in trial.bins])  # [bins, K]
    colours = plt.get_cmap("crest")(np.linspace(0.05, 0.95, shares.shape[1]))
    axes.stackplot(middles, 100 * shares.T, colors=colours, edgecolor="white", linewidth=0.3)
    axes.set(ylabel="answers of\neach exit (%)", ylim=(0, 100))
    axes.margins(x=0)


def deadline_error_figure(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Expected test error against the deadline: means over seeds with intervals.

    Args:
        curves: By name, rows of :func:`benchmarks.deadlines.page.expected_errors`.
    """
    figure, axes = plt.subplots()
    for place, (name, table) in enumerate(curves.items()):
        _curve(axes, place, name, mean_curve(table), "error")
    axes.set(xlabel="deadline (ms)", ylabel="test error (%)")
    axes.legend()
    return figure


def _curve(axes: plt.Axes, place: int, name: str, table: pd.DataFrame, value: str) -> None:
    """A share in per cent against the deadline with its interval, in the look of this place in the legend."""
    colour = f"C{place}"
    axes.plot(
        table["deadline_ms"],
        100 * table[value],
        color=colour,
        linestyle=DASHES[place % 4],
        marker=MARKERS[place % 4],
        markersize=4,
        label=name,
    )
    axes.fill_between(table["deadline_ms"], 100 * table["low"], 100 * table["high"], color=colour, alpha=0.15)


def confidence_figure(confidence: Confidence) -> Figure:
    """Test error over mean multiply-adds: each image leaves when it is sure, or all stop at one exit."""
    figure, axes = plt.subplots()
    table = pd.DataFrame([point.model_dump() for point in confidence.curve])
    looks = {"budgeted": ("each image leaves when it is sure", "-", ""), "anytime": ("all stop at one exit", "--", "o")}
    for place, (setting, (name, dashes, marker)) in enumerate(looks.items()):
        rows = table[table["setting"] == setting].sort_values("mean_macs")
        axes.plot(
            rows["mean_macs"] / 1e6, 100 * rows["error"], color=f"C{place}", linestyle=dashes, marker=marker, label=name
        )
    axes.set(xlabel="mean cost of a test image (million multiply-adds)", ylabel="test error (%)")
    axes.legend()
    return figure

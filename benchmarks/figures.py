"""Pictures of reports."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from anytime_study.analysis.statistics import mean_interval
from anytime_study.pages.figures import label
from benchmarks.page import interval_of_share
from benchmarks.report import Comparison, Row, Trial

DASHES, MARKERS = ("-", "--", ":"), ("o", "s", "^")


def ratios_figure(comparison: Comparison, limit: float | None = None) -> Figure:
    """Median ratio and its interval for each contender; the baseline is the line at 1, a limit is dashed."""
    ratios = dict(reversed(comparison.ratios.items()))
    figure, axes = plt.subplots(figsize=(7.5, 1.5 + 0.3 * len(ratios)))
    for place, ratio in enumerate(ratios.values()):
        axes.plot([ratio.low, ratio.high], [place, place], color="C0", linewidth=2)
        axes.plot(ratio.median, place, "o", color="C0")
    axes.set_yticks(range(len(ratios)), [label(name) for name in ratios])
    axes.axvline(1, color="0.4", linewidth=1)
    if limit is not None:
        axes.axvline(limit, color="0.4", linewidth=1, linestyle="--")
    axes.set_xlabel(f"{comparison.unit}, ratio to {label(comparison.baseline)}")
    return figure


def accuracy_figure(trials: Mapping[str, Trial]) -> Figure:
    """Accuracy against the deadline with Wilson's intervals, and below it the exits that answered in the first trial.

    Args:
        trials: Of one trained network, by the name in the legend.
    """
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(7.5, 6.2), height_ratios=(3, 2))
    for place, (name, trial) in enumerate(trials.items()):
        right = [part.correct or 0 for part in trial.bins]
        calls = [part.count for part in trial.bins]
        ends = np.array([interval_of_share(*each) for each in zip(right, calls, strict=True)])  # [bins, 2]
        look = {"color": f"C{place}", "linestyle": DASHES[place % 3], "marker": MARKERS[place % 3], "markersize": 4}
        top.plot(_middles(trial), 100 * np.divide(right, calls), label=name, **look)
        top.fill_between(_middles(trial), *(100 * ends.T), color=f"C{place}", alpha=0.15)
    top.set_ylabel("accuracy (%)")
    top.legend(loc="lower right")
    first = next(iter(trials.values()))
    shares = np.array([np.divide(part.exits, part.count) for part in first.bins])  # [bins, K]
    colours = plt.get_cmap("crest")(np.linspace(0.05, 0.95, shares.shape[1]))  # light is early
    bottom.stackplot(_middles(first), 100 * shares.T, colors=colours, edgecolor="white", linewidth=0.3)
    bottom.set(xlabel="deadline (ms)", ylabel="answers of\neach exit (%)", ylim=(0, 100))
    bottom.margins(x=0)
    for axes in (top, bottom):
        axes.axvline(1000 * first.full_s, color="0.3", linewidth=1, linestyle=":")
    where = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": "small"}
    top.annotate("last exit,\nmedian time", (1000 * first.full_s, top.get_ylim()[0]), **where)
    return figure


def deadline_error_figure(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Expected test error against the deadline: means over seeds with intervals.

    Args:
        curves: By name, rows of :func:`benchmarks.page.expected_errors`.
    """
    figure, axes = plt.subplots()
    table = pd.concat([curve.assign(network=name, percent=100 * curve["error"]) for name, curve in curves.items()])
    names = {"x": "deadline_ms", "y": "percent", "hue": "network", "style": "network"}
    sns.lineplot(table, **names, markers=True, errorbar=_interval, ax=axes)
    axes.set(xlabel="deadline (ms)", ylabel="test error (%)")
    axes.legend(title=None)
    return figure


def confidence_figure(row: Row) -> Figure:
    """Test error over mean multiply-adds: each image leaves when it is sure, or all stop at one exit."""
    figure, axes = plt.subplots()
    looks = {"budgeted": ("each image leaves when it is sure", "-", ""), "anytime": ("all stop at one exit", "--", "o")}
    for name, (told, dashes, marker) in looks.items():
        table = pd.DataFrame(row.tables[name]).sort_values("mean_macs")
        axes.plot(table["mean_macs"] / 1e6, 100 * table["error"], label=told, linestyle=dashes, marker=marker)
    axes.set(xlabel="mean cost of a test image (million multiply-adds)", ylabel="test error (%)")
    axes.legend()
    return figure


def _middles(trial: Trial) -> list[float]:
    return [500 * (part.low_s + part.high_s) for part in trial.bins]


def _interval(values: pd.Series) -> tuple[float, float]:
    found = mean_interval(values)
    return found.low, found.high

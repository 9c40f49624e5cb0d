"""Pictures of reports."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from anytime_study.pages.figures import label
from benchmarks.page import interval_of_share
from benchmarks.report import Comparison, Trial

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


def _middles(trial: Trial) -> list[float]:
    return [500 * (part.low_s + part.high_s) for part in trial.bins]

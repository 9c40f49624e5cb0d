"""Pictures of reports."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from anytime_study.pages.figures import label
from benchmarks.page import interval_of_share
from benchmarks.report import Comparison, Trial


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


def accuracy_figure(trial: Trial) -> Figure:
    """Accuracy of a trained network against the deadline with Wilson's intervals, above the exits that answered."""
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(5.6, 5.2), height_ratios=(3, 2))
    right, calls = [part.correct or 0 for part in trial.bins], [part.count for part in trial.bins]
    ends = np.array([interval_of_share(*each) for each in zip(right, calls, strict=True)])  # [bins, 2]
    middles = [500 * (part.low_s + part.high_s) for part in trial.bins]
    top.plot(middles, 100 * np.divide(right, calls), marker="o", markersize=4)
    top.fill_between(middles, *(100 * ends.T), alpha=0.18, linewidth=0)
    top.set_ylabel("accuracy (%)")
    shares = np.array([np.divide(part.exits, part.count) for part in trial.bins])  # [bins, K]
    colours = plt.get_cmap("crest")(np.linspace(0.05, 0.95, shares.shape[1]))  # light is early
    bottom.stackplot(middles, 100 * shares.T, colors=colours, edgecolor="white", linewidth=0.3)
    bottom.set(xlabel="deadline (ms)", ylabel="answers of\neach exit (%)", ylim=(0, 100))
    bottom.margins(x=0)
    for axes, colour in ((top, "0.3"), (bottom, "white")):
        axes.axvline(1000 * trial.full_s, color=colour, linewidth=1, linestyle=":")
    where = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": "small"}
    top.annotate("last exit,\nmedian time", (1000 * trial.full_s, top.get_ylim()[0]), **where)
    return figure

"""Figures of the results chapters that are no curves, drawn from tables of measures (never from live networks)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from anytime_study.pages.figures import ends, looks, panels_of


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
        share_x: Whether all panels have one scale; else a small effect looks as wide as a large one.
        changes: Whether values are hundredths of a natural logarithm, which the axis shows as per cent.
    """
    shown = (lambda numbers: 100 * np.expm1(np.asarray(numbers) / 100)) if changes else np.asarray
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
                mean, low, high = shown([values.mean(), *ends(values)])
                arms = None if np.isnan(low) else [[mean - low], [high - mean]]
                axes.errorbar([mean], [place], xerr=arms, color=look.colour, marker=look.marker, ms=7, capsize=3)
            published = (reference or {}).get((name, key))
            if published is not None:
                axes.plot(shown(published), place, marker="D", ms=8, mfc="none", mec="0.25", mew=1.4, linestyle="none")
        if zero:
            axes.axvline(0, color="0.4", linewidth=1)
        if changes:
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.xaxis.set_major_formatter(lambda at, _: f"{at:+g} %".replace("-", "−") if at else "0")
        axes.set(yticks=range(len(styles)), yticklabels=[look.text for look in styles.values()], title=name)
        axes.set_ylim(len(styles) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
    figure.supxlabel(xlabel, fontsize="medium")
    return figure


def ratio_and_place(table: pd.DataFrame, names: Sequence[str]) -> Figure:
    """Where the weights lie against the ratio of losses: a mark per run, a cross at the mean of each data set.

    Args:
        table: A row per run, with the columns ``data``, ``ratio`` and ``place`` (per cent of the network's cost).
        names: The data sets in the order of the legend.
    """
    figure, axes = plt.subplots()
    for name, look in looks(names).items():
        part = table[table["data"] == name]
        axes.scatter(part["ratio"], part["place"], color=look.colour, marker=look.marker, s=26, alpha=0.6, label=name)
        axes.plot(part["ratio"].mean(), part["place"].mean(), "+", color=look.colour, ms=16, mew=2.5)
    axes.set(xlabel="training loss of the first exit / of the last", ylabel="place of the weight (% of the cost)")
    axes.legend(title=None, fontsize="small")
    return figure


def weights_over_steps(weights: Mapping[str, np.ndarray]) -> Figure:
    """Weights of all exits in every step as shades, a panel per rule, on one scale.

    Args:
        weights: [steps, K] by the panel's title; 0 or more.
    """
    largest = max(float(of_rule.max()) for of_rule in weights.values())
    figure, axes_list = panels_of(len(weights), (3.6, 2.9))
    for axes, (title, of_rule) in zip(axes_list, weights.items(), strict=True):
        steps, exits = of_rule.shape
        # cells around whole numbers, so that step t and exit i stand at t and i
        corners = np.arange(steps + 1) + 0.5, np.arange(exits + 1) + 0.5
        shades = axes.pcolormesh(*corners, of_rule.T, vmin=0, vmax=largest, cmap="Greys")
        axes.set(title=title, xlabel="step", yticks=range(1, exits + 1))
        axes.grid(visible=False)
    axes_list[0].set_ylabel("exit")
    figure.colorbar(shades, ax=axes_list, label="weight")
    return figure

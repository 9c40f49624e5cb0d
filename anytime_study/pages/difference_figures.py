"""What weightings change against equal weights, exit by exit: pictures of comparisons whose seeds are paired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from anytime_study.analysis.trade_offs import AT
from anytime_study.pages.figures import Look, draw_means, looks, panels_of, signed_percent, sources
from anytime_study.pages.words import as_percent

PAPER = "the paper"
"""What hollow diamonds are, in every legend."""


def changes_by_exit(
    exits: pd.DataFrame, *, against: str = "const", measure: str = "test_error", within: Sequence[str] = ()
) -> pd.DataFrame:
    """The change of every weighting against one of them, seed by seed and exit by exit.

    Args:
        exits: From :func:`anytime_study.runs.tables.exits_table`. A weighting has one run per seed and ``within``.
        against: The weighting that the others are compared with. Runs whose seed it does not have are left out.
        measure: A column of errors or losses, above 0.
        within: Further columns that are equal in the two runs of a pair, such as ``dataset`` or ``network``.

    Returns:
        A row per pair and exit: ``weighting``, the columns ``within``, ``seed``, ``exit``, ``fraction`` (of the
        network's cost, up to 1) and ``change``, in hundredths of a natural logarithm (see
        :mod:`anytime_study.analysis.quantities`). Exits without weight are left out: nothing trained them.

    Raises:
        pandas.errors.MergeError: ``against`` has two runs of one seed.
    """
    pair = [*within, "seed", "exit"]
    trained = exits[(exits["outcome"] == "finished") & (exits["weight"] > 0)]
    is_base = trained["weighting"] == against
    base = trained.loc[is_base, [*pair, measure, "macs_cumulative"]]
    whole = base.groupby([*within, "seed"])["macs_cumulative"].transform("max")
    base = base.assign(fraction=base["macs_cumulative"] / whole, reference=base[measure])
    both = trained.loc[~is_base, ["weighting", *pair, measure]].merge(
        base[[*pair, "fraction", "reference"]], on=pair, validate="many_to_one"
    )
    both["change"] = 100 * np.log(both[measure] / both["reference"])
    return both[["weighting", *pair, "fraction", "change"]]


def difference_curves(
    changes: pd.DataFrame,
    *,
    x: str = "fraction",
    panel: str | None = None,
    panels: Sequence[str] | None = None,
    published: Mapping[tuple[str, str], Mapping[float, float]] | None = None,
    styles: Mapping[str, Look] | None = None,
    against: str = "CONST",
    what: str = "errors",
) -> Figure:
    """How many per cent more or fewer errors each weighting makes than the one at the line at 0.

    A curve is the mean over seeds, its band the 95 % interval of that mean (Student's t of the paired changes), small
    points are seeds. AdaLoss is coloured, other weightings are grey. Fewer than three have no band. All panels
    have the same axes, made for the points: a wide band may leave the picture.

    Args:
        changes: From :func:`changes_by_exit`, or another table with the columns ``weighting``, ``seed``, ``x`` and
            ``change`` (hundredths of a natural logarithm; the axis shows per cent). All seeds of a curve have the same
            x. Not empty.
        x: ``"fraction"`` of the network's cost, ``"exit"``, or another column, which names the axis.
        panel: Column that spreads the curves over panels, such as ``dataset``.
        panels: Their order; that of the table if left out.
        published: Changes from the literature, in the same unit, shown as hollow diamonds:
            ``{(panel, weighting): {x: change}}``; without panels, the panel is "". One that is no curve is grey.
        styles: How the curves look, if not as :func:`anytime_study.pages.figures.looks` says.
        against: The name of the line at 0.
        what: What is counted or measured, in the plural.
    """
    names = [""] if panel is None else list(panels) if panels is not None else list(dict.fromkeys(changes[panel]))
    styles, published = styles or looks(changes["weighting"]), published or {}
    step = 0.008 * (changes[x].max() - changes[x].min())  # to the side, or bands would hide one another
    aside = changes["weighting"].map({name: place for place, name in enumerate(styles)}) - (len(styles) - 1) / 2
    moved = changes.assign(**{x: changes[x] + step * aside})
    figure, axes_list = panels_of(len(names), (4.0, 3.9), sharex=True)
    for axes, name in zip(axes_list, names, strict=True):
        part = moved if panel is None else moved[moved[panel] == name]
        if len(part):
            draw_means(axes, part, x, "change", hue="weighting", styles=styles, in_per_cent=True)
        for (where, weighting), theirs in published.items():
            if where == name:
                colour = styles[weighting].colour if weighting in styles else "0.35"
                axes.add_line(diamonds(list(theirs), as_percent(list(theirs.values())), colour))
        axes.axhline(0, color="0.3", linewidth=1.2, zorder=1)
        axes.set(title=name, xlabel="share of the network's cost" if x == "fraction" else x)
        axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %") if x == "fraction" else "{x:g}")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=x == "exit"))
        subplot = axes.get_subplotspec()
        axes.set_ylabel(f"{what}, compared with {against}" if subplot is None or subplot.is_first_col() else "")
        if (legend := axes.get_legend()) is not None:
            legend.remove()
    first, last = axes_list[0], axes_list[-1]
    seen = [*changes["change"], 0, *(change for one in published.values() for change in one.values())]
    low, high = as_percent([min(seen), max(seen)])
    room = 0.25 * max(high - low, 1)
    first.set_ylim(low - room, high + room)  # all panels share it
    signed_percent(first.yaxis)
    for place, text, side in ((0.98, f"more {what}", "top"), (0.02, f"fewer {what}", "bottom")):
        first.text(0.02, place, text, transform=first.transAxes, va=side, color="0.35", fontsize="small")
    if len(styles) > 1 or published:
        drawn = {styles[weighting].colour for _, weighting in published if weighting in styles}
        theirs = [diamonds([], [], drawn.pop() if len(drawn) == 1 else "0.35", PAPER)] if published else []
        by_text = {line.get_label(): line for axes in axes_list for line in axes.get_legend_handles_labels()[0]}
        last.legend(handles=[*by_text.values(), *theirs], title=None, fontsize="small")
    return figure


def diamonds(places: Sequence[float], values: Sequence[float] | np.ndarray, colour: str, label: str = "_") -> Line2D:
    """Hollow marks of published values, joined by a thin line."""
    line = Line2D(np.asarray(places), np.asarray(values), linewidth=1, linestyle="--", marker="D", markersize=8)
    line.set(color=colour, markerfacecolor="none", markeredgewidth=1.5, zorder=5, label=label)
    return line


def change_over_cost(tables: Mapping[str, pd.DataFrame], published: Mapping[str, float]) -> Figure:
    """Change of test error by AdaLoss against the cost at which the network is stopped, a curve per source.

    Args:
        tables: By name of the source, a row per seed with the columns of :data:`AT`; the last one is highlighted.
        published: The paper's changes by column.
    """
    long = pd.concat([table[list(AT)].assign(weighting=name, seed=range(len(table))) for name, table in tables.items()])
    changes = long.melt(["weighting", "seed"], list(AT), "at", "change")
    changes["fraction"] = changes["at"].map(AT)
    theirs = {("", PAPER): {AT[column]: published[column] for column in AT}}
    figure = difference_curves(changes, published=theirs, styles=sources(tables), against="equal weights")
    figure.axes[0].set_xticks(list(AT.values()))
    return figure

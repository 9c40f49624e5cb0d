"""What weightings change against equal weights, exit by exit: pictures of comparisons whose seeds are paired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from anytime_study.pages.figures import Look, ends, looks, panels_of


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
    against: str = "CONST",
    what: str = "errors",
) -> Figure:
    """How many per cent more or fewer errors each weighting makes than the one at the line at 0.

    A curve is the mean over seeds, its band the 95 % interval of that mean (Student's t of the paired changes), small
    points are seeds. AdaLoss is coloured, other weightings are grey. One seed has no band. All panels have the same
    axes, made for the points: a band of two seeds may leave the picture.

    Args:
        changes: From :func:`changes_by_exit`, or another table with the columns ``weighting``, ``seed``, ``x`` and
            ``change`` (hundredths of a natural logarithm; the axis shows per cent). All seeds of a curve have the same
            x. Not empty.
        x: ``"fraction"`` of the network's cost, or ``"exit"``.
        panel: Column that spreads the curves over panels, such as ``dataset``.
        panels: Their order; that of the table if left out.
        published: Changes from the literature, in the same unit, shown as hollow diamonds:
            ``{(panel, weighting): {x: change}}``; without panels, the panel is "".
        against: The name of the line at 0.
        what: What is counted or measured, in the plural.
    """
    names = [""] if panel is None else list(panels) if panels is not None else list(dict.fromkeys(changes[panel]))
    styles = looks(changes["weighting"])
    step = 0.008 * (changes[x].max() - changes[x].min())  # to the side, or bands would hide one another
    figure, axes_list = panels_of(len(names), (4.0, 3.9), sharex=True)
    for axes, name in zip(axes_list, names, strict=True):
        part = changes if panel is None else changes[changes[panel] == name]
        for place, (weighting, look) in enumerate(styles.items()):
            own = part[part["weighting"] == weighting]
            if len(own):
                _curve(axes, own[x] + step * (place - (len(styles) - 1) / 2), own["change"], look)
            theirs = (published or {}).get((name, weighting), {})
            axes.add_line(_diamonds(list(theirs), _percent(list(theirs.values())), look.colour))
        axes.axhline(0, color="0.3", linewidth=1.2, zorder=1)
        axes.set(title=name, xlabel="share of the network's cost" if x == "fraction" else x)
        axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %") if x == "fraction" else "{x:g}")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=x == "exit"))
    seen = [*changes["change"], 0, *(change for one in (published or {}).values() for change in one.values())]
    low, high = _percent([min(seen), max(seen)])
    room = 0.25 * max(high - low, 1)
    axes_list[0].set_ylim(low - room, high + room)  # all panels share it
    axes_list[0].yaxis.set_major_formatter(lambda value, _: f"{value:+g} %".replace("-", "−") if value else "0")
    for axes in axes_list:
        spec = axes.get_subplotspec()
        if spec is None or spec.is_first_col():
            axes.set_ylabel(f"{what}, compared with {against}")
    for place, text, side in ((0.98, f"more {what}", "top"), (0.02, f"fewer {what}", "bottom")):
        axes_list[0].text(0.02, place, text, transform=axes_list[0].transAxes, va=side, color="0.35", fontsize="small")
    if len(styles) > 1 or published:
        whose = {styles[weighting].colour for _, weighting in published or {} if weighting in styles}
        _legend(axes_list[-1], diamonds=(whose.pop() if len(whose) == 1 else "0.3") if published else "")
    return figure


def _curve(axes: Axes, places: pd.Series, changes: pd.Series, look: Look) -> None:
    """One weighting: seeds, band and mean."""
    by_place = changes.groupby(places)
    means, bounds = by_place.mean(), [ends(values) for _, values in by_place]
    low, high = (_percent(side) for side in zip(*bounds, strict=True))
    axes.fill_between(means.index, low, high, color=look.colour, alpha=0.18, linewidth=0)
    if by_place.size().max() > 1:
        axes.scatter(places, _percent(changes), color=look.colour, s=10, alpha=0.45, linewidths=0)
    line = Line2D(means.index, _percent(means), color=look.colour, marker=look.marker, markersize=6, linewidth=2)
    front = 4 if look.text == "AdaLoss" else 3
    line.set(label=look.text, linestyle=(0, look.dashes) if look.dashes else "-", zorder=front)
    axes.add_line(line)


def _legend(axes: Axes, *, diamonds: str) -> None:
    """With published values if their diamonds have a colour."""
    handles, texts = axes.get_legend_handles_labels()
    if diamonds:
        handles, texts = [*handles, _diamonds([], [], diamonds)], [*texts, "published"]
    axes.legend(handles, texts, title=None, fontsize="small")


def _diamonds(places: npt.ArrayLike, values: npt.ArrayLike, colour: str) -> Line2D:
    """Hollow marks of published values."""
    line = Line2D(np.asarray(places), np.asarray(values), linestyle="none", marker="D", markersize=8, color=colour)
    line.set(markerfacecolor="none", markeredgewidth=1.5, zorder=5)
    return line


def _percent(changes: npt.ArrayLike) -> np.ndarray:
    """Hundredths of a natural logarithm as per cent."""
    return 100 * np.expm1(np.asarray(changes, dtype=float) / 100)

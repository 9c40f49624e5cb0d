"""Figures of the book, drawn from tables of records (never from live networks)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from matplotlib_inline.backend_inline import set_matplotlib_formats

from anytime_study.analysis.statistics import mean_interval

if TYPE_CHECKING:  # pages of theory draw figures without waiting for torch to load
    from pandas.api.typing import SeriesGroupBy
    from torch import Tensor

# One look per weighting through the whole book: colour (safe for colour-blind readers), marker and dashes, so that no
# figure depends on colour alone.
_PALETTE = sns.color_palette("colorblind")
_BLACK, _OLIVE = (0.15, 0.15, 0.15), (0.54, 0.51, 0.0)  # instead of the palette's yellow, which is faint on white
_LOOKS = {
    "const": ("CONST", _PALETTE[0], "o", ""),
    "adaloss": ("AdaLoss", _PALETTE[3], "s", (4, 1.5)),
    "opt": ("OPT", _PALETTE[2], "D", (1, 1)),
    "linear": ("LINEAR", _PALETTE[1], "^", (3, 1, 1, 1)),
    "half_end": ("HALF-END", _PALETTE[6], "<", (6, 2)),
    "sieve": ("SIEVE", _PALETTE[9], ">", (2, 2)),
    "exponential": ("EXPONENTIAL", _PALETTE[7], "h", (1, 2)),
    "adaloss_released": ("AdaLoss, released", _PALETTE[5], "v", (5, 1, 1, 1)),
    "adaloss_formula": ("AdaLoss, formula", _PALETTE[4], "P", (2, 1)),
    "sampled": ("sampled", _BLACK, "*", (3, 2)),
    "gls": ("geometric mean (GLS)", _PALETTE[6], "p", (6, 1)),
    "uw": ("uncertainty weighting (UW)", _PALETTE[9], "X", (4, 2)),
    "imtl_l": ("IMTL-L", _PALETTE[7], "d", (2, 1, 1, 1)),
    "dwa": ("dynamic weight average (DWA)", _OLIVE, "H", (5, 2)),
    "stch": ("smooth Tchebycheff (STCH)", _PALETTE[5], "8", (1, 3)),
}


def use_book_style() -> None:
    """Set the style of all figures of this process; drawn figures are the same bytes in every run."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    plt.rcParams.update(
        {
            "figure.figsize": (7.5, 4.2),
            "figure.constrained_layout.use": True,
            "savefig.facecolor": "white",  # a page in dark mode keeps a light plate behind the figure
            "svg.hashsalt": "anytime",  # else element names differ from run to run
        }
    )
    set_matplotlib_formats("svg", metadata={"Date": None})  # sharp at every size, and no date in the file


def label(weighting: str) -> str:
    """How the book writes a weighting: ``const`` -> CONST, ``opt(exit=2)`` -> OPT, exit 2."""
    name, _, options = weighting.partition("(")
    name, options = _LOOKS.get(name, (name,))[0], options.rstrip(")").replace("exit=", "exit ")
    if name == "OPT" and not options:
        options = "last exit"
    return f"{name}, {options}" if options else name


def error_against_cost(table: pd.DataFrame, *, measure: str = "test_error") -> Figure:
    """Error of each exit against its cost, a curve per weighting; OPT runs are points, each its only trained exit.

    Curves are means over seeds with Student's t intervals (95 %) where there are several; seeds are small marks. The
    weightings are drawn a little beside each other; all have the same costs.

    Args:
        table: From :func:`anytime_study.runs.tables.exits_table`, of one data set and network.
        measure: A column of errors, from 0 to 1.
    """
    figure, axes = plt.subplots()
    alone = table["weighting"].str.startswith("opt")
    several_alone = table.loc[alone, "weighting"].nunique() > 1
    if several_alone:  # one set of points for all of them
        table = table.assign(weighting=table["weighting"].mask(alone, "opt"))
    groups = table.groupby("weighting", sort=False)
    span = (table["macs_cumulative"].max() - table["macs_cumulative"].min()) / 1e6
    for place, (weighting, rows) in enumerate(groups):
        # a step to the side for each weighting, or their intervals would cover each other
        aside = 0.008 * span * (place - (groups.ngroups - 1) / 2)
        name, colour, marker, dashes = look(str(weighting))
        single = str(weighting).startswith("opt")
        if single:  # weight 0 elsewhere: the other exits were never trained
            rows = rows[rows["weight"] > 0]
            name = "OPT, each exit alone" if several_alone else name
        cost = "macs_fixed" if single else "macs_cumulative"
        by_exit = rows.groupby(cost)[measure]
        means = by_exit.mean()
        several = rows["seed"].nunique() > 1  # one run has no spread to show
        axes.errorbar(
            means.index / 1e6 + aside,
            means,
            yerr=_arms(by_exit) if several else None,
            label=name,
            color=colour,
            marker=marker,
            dashes=dashes or (None, None),
            capsize=3,
        )
        axes.scatter(
            rows[cost] / 1e6 + aside, rows[measure], color=colour, marker=marker, s=10, alpha=0.4, linewidths=0
        )
    axes.set(xlabel="cost of an image in millions of multiply-adds (MACs)", ylabel=measure.replace("_", " "))
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(title=None)
    return figure


def _arms(groups: SeriesGroupBy) -> np.ndarray:
    """[2, groups]: from the mean down and up to the ends of its interval; none where there is one value."""
    arms = []
    for _, values in groups:
        interval = mean_interval(values) if len(values) > 1 else None
        arms.append([interval.mean - interval.low, interval.high - interval.mean] if interval else [np.nan, np.nan])
    return np.array(arms).T


def sample_images(images: Tensor, labels: Tensor, class_names: Sequence[str], *, columns: int = 10) -> Figure:
    """A grid of images with their class names: one, or one below the other where an image has several labels.

    Args:
        images: uint8 [N, C, H, W], C = 1 or 3.
        labels: int64 [N], or [N, T].
        class_names: Names by label.
        columns: Images in a row; full rows only are shown.
    """
    rows = len(images) // columns
    lines = labels.view(len(labels), -1).tolist()  # [N, T]
    height = 0.9 + 0.15 * len(lines[0])  # inches: the image and its names
    figure, panels = plt.subplots(rows, columns, figsize=(0.85 * columns, height * rows), squeeze=False)
    for axes, image, of_image in zip(panels.flat, images.cpu(), lines, strict=False):
        axes.imshow(image.permute(1, 2, 0).numpy(), cmap="gray_r")  # [H, W, C]; the map serves one-channel images
        axes.set_title("\n".join(class_names[index] for index in of_image), fontsize=8)
        axes.set_axis_off()
    return figure


def over_epochs(table: pd.DataFrame, measure: str, weightings: Sequence[str]) -> Figure:
    """A measure of every exit over the epochs, on a log scale, one panel per weighting; means over seeds.

    Args:
        table: From :func:`anytime_study.runs.tables.epochs_table`.
        measure: ``"train_loss"`` or ``"weight"``.
        weightings: The panels, from left to right.
    """
    figure, panels = plt.subplots(1, len(weightings), sharey=True, squeeze=False, figsize=(3.9 * len(weightings), 3.8))
    last = int(table["exit"].max())
    for axes, weighting in zip(panels[0], weightings, strict=True):
        _exit_curves(axes, table[table["weighting"] == weighting], measure, last)
        axes.set(title=label(weighting), xlabel="epoch", ylabel="")
    panels[0][0].set_ylabel({"train_loss": "training loss (nats)", "weight": "weight $B_i$"}.get(measure, measure))
    panels[0][-1].legend(title="exit", ncols=1 + last // 8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _exit_curves(axes: Axes, rows: pd.DataFrame, measure: str, last: int) -> None:
    """One line per exit, from light (first) to dark (last), with its own dashes."""
    shades = sns.color_palette("crest", last)
    for exit_number in sorted(rows["exit"].unique().tolist()):
        means = rows[rows["exit"] == exit_number].groupby("epoch")[measure].mean()
        axes.plot(
            means.index,
            means,
            color=shades[exit_number - 1],
            linestyle=["-", "--", "-.", ":"][exit_number % 4],
            label=str(exit_number),
        )
    axes.set_yscale("log")


def look(key: str, place: int | None = None) -> tuple[str, tuple[float, float, float], str, tuple[float, ...] | str]:
    """Name, colour, marker and dashes of a weighting; variants share those of their kind.

    Args:
        key: A weighting, or another thing that is compared.
        place: Its place among the others: things that are no weightings get the looks in turn.
    """
    kind = key.partition("(")[0]
    if kind not in _LOOKS and place is not None:
        _, colour, marker, dashes = list(_LOOKS.values())[place % len(_LOOKS)]
        return label(key), colour, marker, dashes
    _, colour, marker, dashes = _LOOKS.get(kind, ("", _PALETTE[7], "x", ""))
    return label(key), colour, marker, dashes

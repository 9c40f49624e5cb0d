"""Figures of the book, drawn from tables of records (never from live networks): how they look, and curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter
from matplotlib_inline.backend_inline import set_matplotlib_formats

from anytime_study.analysis.statistics import mean_interval
from anytime_study.pages.words import FEWEST, as_percent

if TYPE_CHECKING:  # pages of theory draw figures without waiting for torch to load
    from torch import Tensor

_COLOURS = sns.color_palette("colorblind").as_hex()
# One look per weighting through the whole book: colour, marker and dashes, so that no figure depends on colour alone.
# AdaLoss is coloured, its variants are paler; what it is compared with is black or grey.
_ADALOSS, _PALE, _BLACK, _DARK, _GREY = "#d55e00", "#e69d66", "#1a1a1a", "#555555", "#8a8a8a"
_LOOKS = {
    "const": ("CONST", _BLACK, "o", ""),
    "adaloss": ("AdaLoss", _ADALOSS, "s", ""),
    "opt": ("OPT", _DARK, "D", (1, 1)),
    "linear": ("LINEAR", _GREY, "^", (3, 1, 1, 1)),
    "half_end": ("HALF-END", _DARK, "<", (6, 2)),
    "sieve": ("SIEVE", _GREY, ">", (2, 2)),
    "exponential": ("EXPONENTIAL", _GREY, "h", (1, 2)),
    "adaloss_released": ("AdaLoss, released", _PALE, "v", (5, 1, 1, 1)),
    "adaloss_formula": ("AdaLoss, formula", _PALE, "P", (2, 1)),
    "sampled": ("sampled", _GREY, "*", (3, 2)),
    "gls": ("geometric mean (GLS)", _DARK, "p", (6, 1)),
    "uw": ("uncertainty weighting (UW)", _DARK, "X", (4, 2)),
    "imtl_l": ("IMTL-L", _GREY, "d", (2, 1, 1, 1)),
    "dwa": ("dynamic weight average (DWA)", _GREY, "H", (5, 2)),
    "stch": ("smooth Tchebycheff (STCH)", _DARK, "8", (1, 3)),
}
# Things that are no weightings, such as data sets, get these in turn; safe for colour-blind readers.
_IN_TURN = [
    (_COLOURS[place], marker, dashes)
    for place, marker, dashes in [
        (0, "o", ""),
        (1, "s", (4, 1.5)),
        (2, "D", (1, 1)),
        (4, "^", (3, 1, 1, 1)),
        (9, "<", (6, 2)),
        (7, ">", (2, 2)),
    ]
]
_ABREAST = 2  # panels; more of them in a line would be too small to read


def use_book_style() -> None:
    """Set the style of all figures of this process; drawn figures are the same bytes in every run."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    plt.rcParams.update(
        {
            "figure.figsize": (5.6, 3.8),  # a page shows figures at this size, and a phone at two thirds of it
            "figure.constrained_layout.use": True,
            # the page's own ground shows through; in the dark theme it inverts the figure (custom.css)
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
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


def short_label(weighting: str) -> str:
    """Its abbreviation, where it has one, ``UW``; else its label, ``AdaLoss (formula)``."""
    name, _, more = label(weighting).partition(", ")
    return name.partition("(")[2].rstrip(")") or (f"{name} ({more})" if more else name)


class Look(NamedTuple):
    """How a weighting, or another thing that is compared, is drawn."""

    text: str
    colour: str
    marker: str
    dashes: tuple[float, ...] | str

    @property
    def line(self) -> dict[str, Any]:
        """Colour and dashes for matplotlib."""
        return {"color": self.colour, "linestyle": (0, self.dashes or (1, 0))}


def looks(keys: Iterable[str], *, in_turn: bool = True, highlight: str | None = None) -> dict[str, Look]:
    """A look for each; variants of a weighting have their kind's, and only its colour beside the kind itself.

    What else is compared gets a colour each in turn, unless AdaLoss is named among it (``"small, AdaLoss"``) or one is
    to be highlighted: then that is what is coloured, and the rest is black and grey.

    Args:
        keys: What is compared.
        in_turn: Whether things that are no weightings get a look each, or all the same grey.
        highlight: Which of them alone has a colour.
    """
    found, keys = {}, [str(key) for key in dict.fromkeys(keys)]
    bright = [key for key in keys if key == highlight or (highlight is None and "AdaLoss" in key)]
    for place, key in enumerate(keys):
        colour, marker, dashes = _IN_TURN[place % len(_IN_TURN)] if in_turn else (_DARK, "o", "")
        if bright:
            accent = _COLOURS[0] if key == highlight else _ADALOSS
            colour = accent if key in bright else (_BLACK, _GREY, _DARK)[place % 3]
        kind, _, options = key.partition("(")
        _, colour, marker, dashes = _LOOKS.get(kind, ("", colour, marker, dashes))
        if options and kind in keys and kind != "opt":  # of which each exit alone is a point
            _, marker, dashes = _IN_TURN[place % len(_IN_TURN)]
        found[key] = Look(label(key), colour, marker, dashes)
    return found


def sources(names: Iterable[str]) -> dict[str, Look]:
    """Looks of what shows the same change, such as data sets: the last one, which matters most, is coloured."""
    *others, last = names
    found = {name: Look(name, _GREY, marker, "") for name, marker in zip(others, "o^v", strict=False)}
    return found | {last: Look(last, _ADALOSS, "s", "")}


def ends(values: Sequence[float] | pd.Series) -> tuple[float, float]:
    """Both ends of the 95 % interval of a mean, for seaborn's ``errorbar``; NaN for fewer than three values."""
    interval = mean_interval(values) if len(values) >= FEWEST else None
    return (interval.low, interval.high) if interval else (math.nan, math.nan)


def panels_of(count: int, size: tuple[float, float], **options: Any) -> tuple[Figure, list[Axes]]:
    """Panels of this size (inches) with a common y axis, at most two in a line."""
    columns = min(count, _ABREAST)
    lines = math.ceil(count / columns)
    figure, grid = plt.subplots(
        lines, columns, sharey=True, squeeze=False, figsize=(max(5.6, size[0] * columns), size[1] * lines), **options
    )
    for unused in grid.flat[count:]:
        unused.remove()
        grid[lines - 2, -1].xaxis.set_tick_params(labelbottom=True)  # the one above it is now the last of its column
    return figure, figure.axes


def draw_means(
    axes: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    hue: str,
    styles: Mapping[str, Look],
    bars: bool = False,
    steps: bool = False,
    in_per_cent: bool = False,
) -> None:
    """Means over seeds with 95 % intervals from three on, a curve per value of ``hue``; seeds are small.

    Args:
        axes: Where to draw.
        table: A row per seed and point. All seeds of a curve have the same x.
        x, y: Columns of the numbers.
        hue: Column of what is compared.
        styles: From :func:`looks`.
        bars: Whether intervals are bars instead of bands.
        steps: Whether a value holds until the next one is there (anytime use), instead of a straight line.
        in_per_cent: Whether y is in hundredths of a natural logarithm, to be shown in per cent.
    """
    shown = as_percent if in_per_cent else np.asarray
    names = table[hue].astype(str)
    texts = names.map({name: look.text for name, look in styles.items()})
    used = {look.text: look for look in styles.values()}
    sns.lineplot(
        table,
        x=x,
        y=y,
        hue=texts,
        style=texts,
        palette={text: look.colour for text, look in used.items()},
        markers=False if steps else {text: look.marker for text, look in used.items()},
        dashes={text: look.dashes for text, look in used.items()},
        estimator=lambda values: float(shown(values.mean())),
        errorbar=lambda values: tuple(shown(ends(values))),
        err_style="bars" if bars else "band",
        err_kws={"capsize": 3} if bars else {"alpha": 0.18, "linewidth": 0, "step": "post" if steps else None},
        drawstyle="steps-post" if steps else "default",
        markersize=6,
        markeredgewidth=0,
        ax=axes,
    )
    for text, own in () if steps else table.groupby(texts, sort=False):  # marks on steps would look like exits
        if own.groupby(x).size().max() > 1:
            look = used[str(text)]
            axes.scatter(own[x], shown(own[y]), color=look.colour, marker=look.marker, s=10, alpha=0.4, linewidths=0)
    axes.set(xlabel=x, ylabel="")
    if x == "exit":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no exit 1.5


def signed_percent(axis: Axis) -> None:
    """Numbers on an axis as changes in per cent: ``+5 %``, ``−5 %``, ``0``."""
    axis.set_major_formatter(lambda at, _: f"{at:+g} %".replace("-", "−") if at else "0")


def mean_curves(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    xlabel: str,
    ylabel: str,
    hue: str = "weighting",
    highlight: str | None = None,
    bars: bool = False,
    steps: bool = False,
    log_x: bool = False,
    percent: bool = False,
) -> Figure:
    """A figure of :func:`draw_means`.

    Args:
        table, x, y, hue, bars, steps: As there.
        xlabel, ylabel: Axis labels.
        highlight: Which of the curves alone has a colour; the others are grey and black.
        log_x: Whether x is on a logarithmic axis.
        percent: Whether y is a fraction to be shown as per cent.
    """
    figure, axes = plt.subplots()
    styles = looks(table[hue], highlight=highlight)
    draw_means(axes, table, x, y, hue=hue, styles=styles, bars=bars, steps=steps)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if log_x:
        plain_logarithm(axes, (1.0, 2.0, 5.0))  # numbers that do not overlap within a factor of ten
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.legend(title=None, fontsize="small")
    return figure


def plain_logarithm(axes: Axes, multiples: Sequence[float]) -> None:
    """A logarithmic x axis with these multiples of powers of ten as plain numbers."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=multiples))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def error_against_cost(table: pd.DataFrame) -> Figure:
    """Test error of each exit against its cost, a curve per weighting; OPT runs are points, each its only trained exit.

    The weightings are drawn a little beside each other; all have the same costs.

    Args:
        table: From :func:`anytime_study.runs.tables.exits_table`, of one data set and network.
    """
    alone = table["weighting"].str.startswith("opt")
    table = table[~alone | (table["weight"] > 0)]  # weight 0 elsewhere: the other exits were never trained
    alone, hue = alone[table.index], table["weighting"]
    if hue[alone].nunique() > 1:  # one set of points for all of them
        hue = hue.mask(alone, "opt(each exit alone)")
    cost = table["macs_cumulative"].mask(alone, table["macs_fixed"]) / 1e6
    place = pd.Series(pd.factorize(hue)[0], table.index)
    # a step to the side for each weighting, or their intervals would cover each other
    aside = 0.008 * (cost.max() - cost.min()) * (place - place.max() / 2)
    figure = mean_curves(
        table.assign(cost=cost + aside, weighting=hue),
        "cost",
        "test_error",
        xlabel="cost of an image in millions of multiply-adds (MACs)",
        ylabel="test error",
        bars=True,
        percent=True,
    )
    figure.axes[0].set_ylim(bottom=0)
    return figure


def over_epochs(table: pd.DataFrame, measure: str, weightings: Sequence[str]) -> Figure:
    """A measure of every exit over the epochs, on a log scale, one panel per weighting; means over seeds.

    Args:
        table: From :func:`anytime_study.runs.tables.epochs_table`.
        measure: ``"train_loss"`` or ``"weight"``.
        weightings: The panels, from left to right, at most two in a line.
    """
    last = int(table["exit"].max())
    shades = dict(enumerate(sns.color_palette("crest", last), start=1))  # from light (first) to dark (last)
    dashes = {number: ["", (4, 1.5), (3, 1, 1, 1), (1, 1)][number % 4] for number in shades}
    figure, panels = panels_of(len(weightings), (3.9, 3.8))
    for axes, weighting in zip(panels, weightings, strict=True):
        rows = table[table["weighting"] == weighting]
        looks_of = {"hue": "exit", "style": "exit", "palette": shades, "dashes": dashes}
        sns.lineplot(rows, x="epoch", y=measure, **looks_of, errorbar=None, legend="full", ax=axes)
        if own := axes.get_legend():  # one for all panels is enough
            own.remove()
        axes.set(title=label(weighting), xlabel="epoch", ylabel="")
    for first in panels[::_ABREAST]:
        first.set_ylabel({"train_loss": "training loss (nats)", "weight": "weight $B_i$"}.get(measure, measure))
    panels[0].set_yscale("log")  # of all; seaborn's means on such an axis would be geometric
    legend = panels[-1].legend(title="exit", ncols=1 + last // 8, loc="center left", bbox_to_anchor=(1, 0.5))
    legend.set_in_layout(len(weightings) <= _ABREAST)  # beside a third panel there is room
    return figure


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
    height = 0.9 + 0.19 * len(lines[0])  # inches: the image and its names
    figure, panels = plt.subplots(rows, columns, figsize=(0.85 * columns, height * rows), squeeze=False)
    for axes, image, of_image in zip(panels.flat, images.cpu(), lines, strict=False):
        axes.imshow(image.permute(1, 2, 0).numpy(), cmap="gray_r")  # [H, W, C]; the map serves one-channel images
        axes.set_title("\n".join(class_names[index] for index in of_image), fontsize=10)
        axes.set_axis_off()
    return figure

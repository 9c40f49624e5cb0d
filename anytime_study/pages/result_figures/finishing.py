"""What is done to a figure once it is drawn."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter


def sign(figure: Figure, text: str) -> None:
    """Write a line below a figure, such as :func:`anytime_study.pages.result_pages.signature` gives."""
    figure.text(1.0, -0.01, text, ha="right", va="top", fontsize=7, color="0.45")


def plain_logarithm(figure: Figure) -> None:
    """Write the numbers of logarithmic cost axes as 5, 10, 20, 50, which do not overlap within a factor of ten."""
    for axes in figure.axes:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())

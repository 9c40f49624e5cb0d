"""What captions of figures say of the runs behind them: counted from what is drawn, never typed.

A caption is in the metadata of the cell that draws, ``mystnb.figure.caption``, and shows such a text by
``{glue:text}``, after ``glue("errors_seeds", seeds_text(errors, "weighting"), display=False)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from anytime_study.datasets import find_card
from anytime_study.pages.words import FEWEST

if TYPE_CHECKING:  # pages of theory have no tables of runs
    import pandas as pd

    from anytime_study.runs.config import RunConfig


def seeds_text(table: pd.DataFrame, *by: str, intervals: bool = True) -> str:
    """How many seeds a figure shows, and by what its 95 % intervals are made: ``5 seeds, Student's t``.

    Args:
        table: A row or more per seed, with the column ``seed``.
        by: The columns that name a mark of the figure; marks may have different numbers of seeds.
        intervals: Whether the figure has intervals by :func:`anytime_study.analysis.statistics.mean_interval`.
    """
    seeds = table.groupby(list(by))["seed"].nunique() if by else table[["seed"]].nunique()
    fewest, most = int(seeds.min()), int(seeds.max())
    count = "1 seed" if most == 1 else f"{most} seeds" if fewest == most else f"{fewest} to {most} seeds"
    if not intervals:
        return count
    if most < FEWEST:
        return f"{count}, so no interval"
    return f"{count}, Student's t" + ", none for fewer than three" * (fewest < FEWEST)


def images_text(configs: Iterable[RunConfig]) -> str:
    """On how many test images, or characters, the errors of these runs are counted: ``10,000 test images``."""
    cards = [find_card(config.dataset) for config in configs]
    counts = sorted({card.num_test * (card.image_shape[0] if card.reads_text else 1) for card in cards})
    what = "characters" if any(card.reads_text for card in cards) else "images"
    return " or ".join(f"{count:,}" for count in counts) + f" test {what}"

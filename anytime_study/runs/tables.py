"""Records as one tidy table: a row per run and exit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd
from IPython.display import HTML

if TYPE_CHECKING:  # pages of theory show tables without waiting for torch to load
    from anytime_study.runs.record import RunRecord

SPLITS = ("train", "validation", "test")


def exits_table(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Scores, costs and last weight of every exit.

    Columns: run, dataset, network, weighting, seed, exit (1 … K), macs_cumulative, macs_fixed (multiply-adds), weight
    (B at the end of training), and for train, validation and test ``<split>_loss`` (nats) and ``<split>_error`` (0–1).
    """
    rows = [
        {
            "run": record.name,
            "dataset": record.config.dataset,
            "network": record.config.network,
            "weighting": record.config.weighting,
            "seed": record.config.seed,
            "exit": index + 1,
            "macs_cumulative": record.costs.macs_cumulative[index],
            "macs_fixed": record.costs.macs_fixed[index],
            "weight": record.epoch_weights[-1][index],
            **{f"{split}_loss": getattr(record, split).loss[index] for split in SPLITS},
            **{f"{split}_error": getattr(record, split).error[index] for split in SPLITS},
        }
        for record in records
        for index in range(record.num_exits)
    ]
    return pd.DataFrame(rows)


def epochs_table(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Training over time: a row per run, epoch and exit.

    Columns: run, weighting, seed, epoch (1 … E), exit (1 … K), train_loss (nats; training mode, augmented), weight (B
    after the epoch).
    """
    rows = [
        {
            "run": record.name,
            "weighting": record.config.weighting,
            "seed": record.config.seed,
            "epoch": epoch,
            "exit": exit_number,
            "train_loss": loss,
            "weight": weight,
        }
        for record in records
        for epoch, (losses, weights) in enumerate(zip(record.epoch_losses, record.epoch_weights, strict=True), start=1)
        for exit_number, (loss, weight) in enumerate(zip(losses, weights, strict=True), start=1)
    ]
    return pd.DataFrame(rows)


def show(table: pd.DataFrame, *, digits: int = 3) -> HTML:
    """A table as a page shows it: no index, and numbers with ``digits`` digits after the point."""
    table = table.rename_axis(columns=None)  # pandas would give a name of all columns an empty column of its own
    return HTML(table.to_html(index=False, border=0, float_format=lambda number: f"{number:.{digits}f}"))

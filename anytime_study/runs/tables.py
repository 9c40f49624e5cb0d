"""Records as tidy tables."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:  # pages of theory show tables without waiting for torch to load
    from anytime_study.runs.record import Outcome, RunRecord


def exits_table(records: Iterable[Outcome]) -> pd.DataFrame:
    """A row per run and exit, and one without an exit for a run that diverged.

    Columns: ``run``, ``outcome``, each field of :class:`RunConfig` (lists as JSON), ``exit`` (1 … K),
    ``macs_cumulative`` and ``macs_fixed`` (multiply-adds), ``weight`` (B after the last epoch), ``<split>_loss`` (nats)
    and ``<split>_error`` (0 to 1) of train, validation and test, ``seconds`` (of training), and each field of
    :class:`Provenance` as ``made_<field>``.
    """
    return pd.DataFrame([row for record in records for row in _rows(record)])


def _rows(record: Outcome) -> Iterator[dict[str, Any]]:
    config = record.config.model_dump(mode="json")
    run = {name: json.dumps(value) if isinstance(value, list) else value for name, value in config.items()}
    run = {"run": record.name, "outcome": record.outcome, **run}
    made = {f"made_{name}": value for name, value in record.provenance.model_dump().items()}
    made = {"seconds": record.timing.seconds, **made}
    if record.outcome == "diverged":
        yield {**run, **made}
        return
    columns = {
        "exit": range(1, record.num_exits + 1),
        "macs_cumulative": record.costs.macs_cumulative,
        "macs_fixed": record.costs.macs_fixed,
        "weight": record.epoch_weights[-1],
    }
    for split in ("train", "validation", "test"):
        columns |= {f"{split}_{score}": values for score, values in getattr(record, split)}
    for values in zip(*columns.values(), strict=True):
        yield {**run, **dict(zip(columns, values, strict=True)), **made}


def epochs_table(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Training over time: a row per run, epoch and exit.

    Columns: run, weighting, seed, epoch (1 … E), exit (1 … K), train_loss (nats; training mode, augmented; NaN at an
    exit that was not trained, such as those after OPT's), weight (B after the epoch).
    """
    rows = [
        {
            "run": record.name,
            "weighting": record.config.weighting,
            "seed": record.config.seed,
            "epoch": epoch,
            "exit": exit_number,
            "train_loss": math.nan if loss == weight == 0 else loss,  # the record has 0 where no loss was computed
            "weight": weight,
        }
        for record in records
        for epoch, (losses, weights) in enumerate(zip(record.epoch_losses, record.epoch_weights, strict=True), start=1)
        for exit_number, (loss, weight) in enumerate(zip(losses, weights, strict=True), start=1)
    ]
    return pd.DataFrame(rows)

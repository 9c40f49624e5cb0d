"""What one weighting changes against another, pair by pair of runs that differ in nothing else.

The measures of claims know in which setting they compare, and want three seeds. Pages that follow a study while it runs
show what is there: these tables have a row per pair, in whatever settings there are records of.

    table = change_table(pairs_of([experiment]))
    table.groupby("setting")["last"].mean()      # hundredths of a natural logarithm, close to per cent
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from anytime_study.analysis.comparisons import finished
from anytime_study.analysis.quantities import error_at, log_change, own_objective, percent_over, ratio_of_losses
from anytime_study.datasets import find_card

if TYPE_CHECKING:  # torch comes with the records, not with this module
    from anytime_study.runs.config import RunConfig
    from anytime_study.runs.record import RunRecord
    from anytime_study.studies.experiments import Experiment

AT = {"quarter": 0.25, "half": 0.5, "three_quarters": 0.75, "last": 1.0}
"""Columns of :func:`change_table` by the fraction of the cost at which errors are read."""

ADALOSS, CONST = {"weighting": "adaloss"}, {"weighting": "const"}

Pair = tuple["RunRecord", "RunRecord"]


def setting(config: RunConfig) -> str:
    """The training setting in words, ``CIFAR-10, 45,000 images × 20 epochs``."""
    return f"{find_card(config.dataset).title}, {config.num_train:,} images × {config.epochs} epochs"


def place(config: RunConfig) -> str:
    """Setting and network in short, for a row of a figure: ``CIFAR-10 × 20, ResANN n = 3``."""
    data, _, _ = find_card(config.dataset).title.partition(",")
    part = f", {config.num_train:,}" if config.num_train == 10_000 else ""
    spec = config.network_spec
    name = {"resann": "ResANN", "denseann": "DenseANN", "msdnet": "MSDNet", "gpt": "decoder"}.get(spec.name, spec.name)
    depth = f" n = {spec.options['n']}" if spec.name == "resann" else ""
    return f"{data}{part} × {config.epochs}, {name}{depth}"


def pairs(
    records: Iterable[RunRecord],
    first: Mapping[str, object] = ADALOSS,
    second: Mapping[str, object] = CONST,
    *,
    own_rates: bool = False,
) -> list[Pair]:
    """Runs that differ as said, in fields of the config, and in nothing else; in the order of their setting and seed.

    With ``own_rates`` each weighting has its own learning rate; else the rates of a pair are equal. A run on a CPU
    and one on a GPU are no pair: one seed draws other crops there.
    """
    apart = {*first, *second, "device", "workers", *(["learning_rate"] if own_rates else [])}
    found: dict[tuple[str, bool], list[RunRecord | None]] = {}
    for record in records:
        shared = record.config.model_dump_json(exclude=apart), "NVIDIA" in record.provenance.device
        for place, fields in enumerate((first, second)):
            if all(getattr(record.config, name) == value for name, value in fields.items()):
                found.setdefault(shared, [None, None])[place] = record
    both = [(a, b) for a, b in found.values() if a is not None and b is not None]
    return sorted(both, key=lambda pair: (setting(pair[1].config), pair[1].config.network, pair[1].config.seed))


def pairs_of(
    experiments: Iterable[Experiment], first: Mapping[str, object] = ADALOSS, second: Mapping[str, object] = CONST
) -> list[Pair]:
    """The pairs of several experiments, each once."""
    found = [pair for one in experiments for pair in pairs(finished(one), first, second, own_rates=bool(one.own_rates))]
    return list({(a.name, b.name): (a, b) for a, b in found}.values())


def change_table(found: Iterable[Pair]) -> pd.DataFrame:
    """A row per pair.

    Columns: ``setting``, ``place`` (the same in short, with the network), ``dataset``, ``network``, ``epochs``,
    ``batch_size``, ``learning_rate`` (of the second), ``seed`` and ``config`` (all else that both have, and both
    learning rates, as JSON); by :data:`AT`, and as ``first`` at the first exit, 100 ln of the first one's test error
    over the second one's; ``first_loss`` and ``last_loss``, the same of the training losses of these exits;
    ``objective``, their mean over all exits; ``ratio``, the second one's training loss at its first exit over that at
    its last.
    """
    columns = ["setting", "place", "dataset", "network", "epochs", "batch_size", "learning_rate", "seed", "config"]
    columns += ["first", *AT, "first_loss", "last_loss", "objective", "ratio"]
    return pd.DataFrame([_row(*pair) for pair in found], columns=columns)


def _row(a: RunRecord, b: RunRecord) -> dict[str, object]:
    config = b.config
    shared = ("dataset", "network", "epochs", "batch_size", "learning_rate", "seed")
    both = config.model_dump(mode="json", exclude={"weighting", "seed"})
    both["learning_rate"] = [a.config.learning_rate, config.learning_rate]
    return {
        "setting": setting(config),
        "place": place(config),
        **{name: getattr(config, name) for name in shared},
        "config": json.dumps(both, sort_keys=True),
        "first": log_change(a.test.error[0], b.test.error[0]),
        **{name: log_change(error_at(a, at), error_at(b, at)) for name, at in AT.items()},
        "first_loss": log_change(a.train.loss[0], b.train.loss[0]),
        "last_loss": log_change(a.train.loss[-1], b.train.loss[-1]),
        "objective": own_objective(a) - own_objective(b),
        "ratio": ratio_of_losses(b),
    }


def averaged_by_seed(table: pd.DataFrame) -> pd.DataFrame:
    """The changes of a seed averaged over all networks; seeds that lack one of them are left out. Indexed by seed."""
    complete = table.groupby("seed")["network"].nunique()
    kept = table[table["seed"].isin(complete[complete == table["network"].nunique()].index)]
    return kept.groupby("seed")[["first", *AT, "objective", "ratio"]].mean()


def headroom_table(records: Iterable[RunRecord], *, own_rates: bool = False) -> pd.DataFrame:
    """How much lower the last exit's error is when it has the weight to itself, against CONST of the same seed.

    Columns: ``setting``, ``place``, ``seed``, ``alone`` (opt or half_end), ``error`` and ``loss``: by how many per
    cent the last exit's test error and training loss are lower.
    """
    records = list(records)
    rows = [
        {
            "setting": setting(b.config),
            "place": place(b.config),
            "seed": b.config.seed,
            "alone": alone,
            "error": -percent_over(a.test.error[-1], b.test.error[-1]),
            "loss": -percent_over(a.train.loss[-1], b.train.loss[-1]),
        }
        for alone in ("opt", "half_end")
        for a, b in pairs(records, {"weighting": alone}, own_rates=own_rates)
    ]
    return pd.DataFrame(rows, columns=["setting", "place", "seed", "alone", "error", "loss"])


def published_changes(table3a: pd.DataFrame) -> dict[str, float]:
    """The same changes, in hundredths of a logarithm, from the paper's Table 3a; by the names in :data:`AT`."""
    increases = table3a.pivot(index="cost_fraction", columns="scheme", values="relative_error_increase_percent")
    by_fraction = dict(zip(increases.index, zip(increases["AdaLoss"], increases["CONST"], strict=True), strict=True))
    return {name: log_change(*(100 + value for value in by_fraction[fraction])) for name, fraction in AT.items()}


def published_objective(fig2a: pd.DataFrame) -> float:
    """The change of the mean of ln training loss from the paper's Fig. 2a, times 100."""
    increases = fig2a.pivot(index="exit", columns="scheme", values="relative_train_loss_increase_percent")
    return float(100 * np.log((100 + increases["AdaLoss"]) / (100 + increases["CONST"])).mean())

"""Data of the explorables in book/_assets/explorables that are drawn from records: a script for ``window``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import scipy.stats

from anytime_study.pages.stop_it_yourself import data_script
from anytime_study.runs.record import RunRecord

SCRIPT = "explorables-data.js"
MOST_SEEDS = 20


def explorables_script(kinds: Mapping[str, Mapping[str, Any]], records: Path) -> str:
    """The script ``SCRIPT``.

    Args:
        kinds: From :func:`anytime_study.pages.stop_it_yourself.write_scripts`; the records of their networks are used.
        records: data/records.

    Returns:
        JavaScript that sets ``window.EXPLORABLES_DATA`` to an object of ``playedBack``, by kind ``title`` and
        ``networks``, each with ``name``, ``record``, ``losses`` and ``weights`` [epochs][K]; ``pairedSeeds``, of
        :func:`paired_seeds`, for the kind that has the most seeds; and ``t95``, the quantiles of Student's t for
        95 % intervals with 1, 2, … degrees of freedom.
    """
    found = {path.stem: path for path in records.glob("*/*.json")}
    played = {
        kind: {
            "title": data["title"],
            "networks": [_played(network["name"], found[network["record"]]) for network in data["networks"]],
        }
        for kind, data in kinds.items()
    }
    pairs = [paired_seeds([found[network["record"]] for network in data["networks"]]) for data in kinds.values()]
    most = max(pairs, key=lambda pair: len(pair["seeds"]))
    quantiles = scipy.stats.t.ppf(0.975, range(1, 2 * MOST_SEEDS)).tolist()
    return data_script("EXPLORABLES_DATA", {"playedBack": played, "pairedSeeds": most, "t95": quantiles})


def _played(name: str, path: Path) -> dict[str, Any]:
    record = RunRecord.load(path)
    epochs = {"losses": record.epoch_losses, "weights": record.epoch_weights}
    shorter = {what: [[float(f"{value:.4g}") for value in row] for row in rows] for what, rows in epochs.items()}
    return {"name": name, "record": record.name, **shorter}


def paired_seeds(pair: list[Path]) -> dict[str, Any]:
    """Test errors at the last exit of runs that differ from two records in their seed alone.

    Args:
        pair: The records.

    Returns:
        ``seeds``, those that both have, in order, and ``errors`` of each, [2][seeds], from 0 to 1.
    """
    errors = []
    for path in pair:
        wanted = RunRecord.load(path).config
        beside = path.parent.glob(f"{path.stem.split('-seed')[0]}-seed*.json")
        runs = [RunRecord.load(other) for other in beside]
        same = [run for run in runs if run.config.model_copy(update={"seed": wanted.seed}) == wanted]
        errors.append({run.config.seed: run.test.error[-1] for run in same})
    seeds = sorted(set.intersection(*map(set, errors)))
    return {"seeds": seeds, "errors": [[one[seed] for seed in seeds] for one in errors]}

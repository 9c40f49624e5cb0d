"""A study file lists what to run; here it becomes the list of its runs."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from anytime_core.errors import InputError
from anytime_study.foundations import ROOT
from anytime_study.foundations.validation import read_yaml, validated
from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import Outcome, RunRecord, finished, load_outcome, outcomes
from anytime_study.studies.own_rates import with_own_rate

_log = logging.getLogger(__name__)

RECORDS = ROOT / "data" / "records"

Tier = Literal["quick", "laptop", "cifar", "language", "paper"]


class Study(BaseModel):
    """A set of runs that answer one question. ``book/rerun.md`` explains the fields to those who write a file.

    Attributes:
        title: For people.
        tier: Where it can be run; also the folder of its records. A study of one's own is in none of the book's.
        experiment: What it belongs to: claims of this experiment are judged by its records.
        committed: Whether its records are in git. Such records are kept when code changes: a run is made again only
            if its record is missing.
        common: Fields of :class:`RunConfig` that all runs share.
        own_rates: Learning rates by the name of the weighting, for runs whose fields give none.
        grids: Each is a set of fields; where a field has a list, every value is run, with every value of the others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    title: str
    tier: Literal[Tier, "local"] = "local"
    committed: bool = False
    experiment: str | None = None
    common: dict[str, Any] = {}
    own_rates: dict[str, float] = {}
    grids: list[dict[str, Any]] = Field(min_length=1)

    @property
    def records(self) -> Path:
        """Folder of the study's records."""
        return RECORDS / self.tier


def load_study(path: Path | str) -> tuple[Study, list[RunConfig]]:
    """Read a study file and expand it.

    Args:
        path: A YAML file.

    Returns:
        The study, and its runs in the order of the file, each once.

    Raises:
        InputError: the file cannot be read, is not YAML, or a run is not valid; names file, run and field.
    """
    content = read_yaml(Path(path), where=f"study {path}", expected="names with values (title, tier, …)")
    study = validated(Study, content, where=f"study {path}")
    runs: dict[str, RunConfig] = {}
    for number, grid in enumerate(study.grids, start=1):
        where = f"study {path}, grid {number}"
        for fields in combinations({**study.common, **grid}, where=where):
            config = validated(RunConfig, with_own_rate(fields, study.own_rates), where=where)
            runs.setdefault(config.name, config)
    return study, list(runs.values())


def combinations(fields: dict[str, Any], *, where: str) -> list[dict[str, Any]]:
    """All combinations of the values of those fields that have lists.

    Args:
        fields: A grid.
        where: For the message: what the grid is part of.

    Raises:
        InputError: a list is empty, which would leave the study without runs.
    """
    for name, value in fields.items():
        if value == []:
            raise InputError(f"bad {where}: {name}: expected at least one value, found an empty list")
    choices = [value if isinstance(value, list) else [value] for value in fields.values()]
    return [dict(zip(fields, values, strict=True)) for values in itertools.product(*choices)]


def made(config: RunConfig, folder: Path) -> Outcome | None:
    """The record of a run; None if there is none, or one that is damaged: that has to be made again, says the log."""
    path = folder / f"{config.name}.json"
    try:
        return load_outcome(path) if path.exists() else None
    except InputError as error:
        _log.warning("%s; the run has to be made again", error)
        return None


def load_records(runs: Sequence[RunConfig], folder: Path) -> list[RunRecord]:
    """The records of these runs, in their order.

    Raises:
        InputError: some are missing, or one cannot be read or is not the record of its run; names the files.
    """
    found = outcomes(runs, folder)
    if missing := [config.name for config in runs if config.name not in found]:
        raise InputError(f"bad records in {folder}: {len(missing)} of {len(runs)} missing, such as {missing[0]}.json")
    return [finished(found[config.name], folder / f"{config.name}.json") for config in runs]

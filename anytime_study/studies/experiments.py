"""What the studies of an experiment plan in one tier, and the records that there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anytime_core.errors import InputError

if TYPE_CHECKING:  # torch comes with the records, not with this module
    from anytime_study.runs.config import RunConfig
    from anytime_study.runs.record import DivergedRecord, RunRecord


@dataclass(frozen=True)
class Experiment:
    """What the studies of one experiment plan in one tier, and what has come of it.

    Attributes:
        name: Of the experiment.
        main: Fields of the main grid that all runs share unless a measure says otherwise; the rest have defaults.
        planned: Every run of its studies, by the run's name.
        outcomes: Records by the run's name; planned runs without one have not been made.
        own_rates: Learning rates by weighting that its studies fix, chosen beforehand on validation images.
    """

    name: str
    main: Mapping[str, Any]
    planned: Mapping[str, RunConfig]
    outcomes: Mapping[str, RunRecord | DivergedRecord]
    own_rates: Mapping[str, float] = field(default_factory=dict)


def load_experiments(tier: str, *, records: Path | None = None, studies: Path | None = None) -> dict[str, Experiment]:
    """All experiments of a tier by name.

    The main grid of an experiment is that of its study file with its own name; or of all its studies, if their common
    fields are the same.

    Args:
        tier: quick, laptop, cifar, language or paper.
        records: Folder of the tier's records instead of data/records/<tier>.
        studies: Folder with <tier>.yaml and <tier>/*.yaml instead of workflow/studies.

    Raises:
        InputError: a study or record cannot be read, or the main grid is not clear; names the file or the experiment.
    """
    from anytime_study.runs.record import outcomes
    from anytime_study.studies.study import RECORDS, ROOT, load_study

    folder = RECORDS / tier if records is None else records
    top = ROOT / "workflow" / "studies" if studies is None else studies
    mains: dict[str, dict[str, dict[str, Any]]] = {}  # experiment -> file's stem -> common fields
    planned: dict[str, dict[str, RunConfig]] = {}
    own_rates: dict[str, dict[str, float]] = {}
    for file in [*top.glob(f"{tier}.yaml"), *sorted((top / tier).glob("*.yaml"))]:
        study, runs = load_study(file)
        if study.experiment is None or study.tier != tier:
            continue
        mains.setdefault(study.experiment, {})[file.stem] = study.common
        planned.setdefault(study.experiment, {}).update({config.name: config for config in runs})
        if own_rates.setdefault(study.experiment, study.own_rates) != study.own_rates:
            raise InputError(f"bad study {file.name}: own_rates: expected those of the other studies of its experiment")
    return {
        name: Experiment(name, _main_grid(name, mains[name]), runs, outcomes(runs.values(), folder), own_rates[name])
        for name, runs in planned.items()
    }


def _main_grid(experiment: str, commons: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if experiment in commons:
        return commons[experiment]
    first, *others = commons.values()
    if any(other != first for other in others):
        raise InputError(
            f"bad studies of {experiment}: expected one named {experiment}.yaml, whose common fields are those of the "
            f"main grid, found {', '.join(commons)}"
        )
    return first

"""What results chapters compare beside the measures of the claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from anytime_core.errors import InputError
from anytime_study.analysis.selection import RATES, Selection, best_rate, validation_error
from anytime_study.foundations.validation import validated
from anytime_study.studies.experiments import Experiment

if TYPE_CHECKING:  # torch comes with the records, not with this module
    from anytime_study.runs.record import RunRecord


def of_tier(experiments: Mapping[str, Experiment], name: str) -> Experiment:
    """The experiment, or one without any run where the tier has no study of it."""
    return experiments.get(name, Experiment(name, {}, {}, {}))


def together(first: Experiment, *others: Experiment) -> Experiment:
    """Experiments with one main grid as one: measures can then compare the runs of all.

    Args:
        first: Gives the name. An experiment without any run adds nothing.
        others: The others.

    Raises:
        InputError: main grids differ, so that "all else the same" means nothing.
    """
    some = [experiment for experiment in (first, *others) if experiment.planned]
    if any(experiment.main != some[0].main for experiment in some):
        found = "; ".join(f"{experiment.name}: {dict(experiment.main)}" for experiment in some)
        raise InputError(f"bad experiments: expected one main grid, found {found}")
    planned = {name: config for experiment in some for name, config in experiment.planned.items()}
    outcomes = {name: outcome for experiment in some for name, outcome in experiment.outcomes.items()}
    return Experiment(first.name, some[0].main if some else {}, planned, outcomes)


def finished(experiment: Experiment, **fields: Any) -> list[RunRecord]:
    """Records of the runs that came to their end and whose config has these values, in the order of the plan."""
    made = (experiment.outcomes.get(name) for name in experiment.planned)
    return [
        record
        for record in made
        if record is not None
        and record.outcome == "finished"
        and all(getattr(record.config, name) == value for name, value in fields.items())
    ]


def of_main_grid(experiment: Experiment) -> list[RunRecord]:
    """Records of the finished runs that differ from the experiment's main grid in weighting and seed alone.

    Raises:
        InputError: the main grid makes no run.
    """
    from anytime_study.runs.config import RunConfig

    main = validated(RunConfig, dict(experiment.main), where=f"main grid of {experiment.name}")
    shared = {name: getattr(main, name) for name in RunConfig.model_fields if name not in ("weighting", "seed")}
    return finished(experiment, **shared)


def left_out(shown: Iterable[str], wanted: Iterable[str]) -> str:
    """A sentence on what is not shown, since its runs have not been made or diverged; empty if all is there."""
    there = set(shown)
    missing = list(dict.fromkeys(name for name in wanted if name not in there))
    return f"*Not shown, for want of finished runs: {'; '.join(missing)}.*" if missing else ""


def rates_tried(experiment: Experiment, weightings: Iterable[str]) -> pd.DataFrame:
    """How each weighting's learning rate was chosen on validation images, and whether the grid was wide enough.

    Args:
        experiment: Whose records are read.
        weightings: Those with runs at every rate of the protocol ``tuned_rate``.

    Returns:
        A row per weighting and rate with which no run diverged: ``weighting``, ``learning_rate``, ``error`` (of
        validation images, 0–1), ``seeds`` (their number), ``best`` (the chosen rate) and ``at_the_edge`` (chosen, and
        no larger or no smaller rate was tried, so that a better one may lie beyond). Weightings whose runs have not
        been made are left out.
    """
    rows: list[dict[str, Any]] = []
    for weighting in weightings:
        by_rate = Selection(experiment, "tuned_rate").by_rate(weighting=weighting)
        best = best_rate(by_rate) if by_rate else None
        rows += [
            {
                "weighting": weighting,
                "learning_rate": rate,
                "error": validation_error(records),
                "seeds": len(records),
                "best": rate == best,
                "at_the_edge": rate == best and rate in (min(RATES), max(RATES)),
            }
            for rate, records in by_rate.items()
        ]
    return pd.DataFrame(rows, columns=["weighting", "learning_rate", "error", "seeds", "best", "at_the_edge"])

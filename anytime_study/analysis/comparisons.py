"""What results chapters compare beside the measures of the claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from anytime_core.errors import InputError
from anytime_study.analysis.selection import RATES, Selection, best_rate, validation_error
from anytime_study.studies.experiments import Experiment

if TYPE_CHECKING:  # torch comes with the records, not with this module
    from anytime_study.runs.record import RunRecord


def of_tier(experiments: Mapping[str, Experiment], name: str) -> Experiment:
    """The experiment, or one without any run where the tier has no study of it."""
    return experiments.get(name, Experiment(name, {}, {}, {}))


def together(first: Experiment, second: Experiment) -> Experiment:
    """Two experiments with one main grid as one, with the first one's name: measures then compare the runs of both.

    Raises:
        InputError: main grids differ, so that "all else the same" means nothing.
    """
    if first.planned and second.planned and first.main != second.main:
        found = "; ".join(f"{experiment.name}: {dict(experiment.main)}" for experiment in (first, second))
        raise InputError(f"bad experiments: expected one main grid, found {found}")
    main = first.main if first.planned else second.main
    return Experiment(first.name, main, {**first.planned, **second.planned}, {**first.outcomes, **second.outcomes})


def finished(experiment: Experiment, **fields: Any) -> list[RunRecord]:
    """Records of the runs that came to their end and whose config has these values, in the order of the plan.

    Of a weighting with a learning rate of its own, those at that rate.
    """
    made = (experiment.outcomes.get(name) for name in experiment.planned)
    rates = experiment.own_rates
    return [
        record
        for record in made
        if record is not None
        and record.outcome == "finished"
        and rates.get(record.config.weighting_spec.name, record.config.learning_rate) == record.config.learning_rate
        and all(getattr(record.config, name) == value for name, value in fields.items())
    ]


def left_out(shown: Iterable[str], wanted: Iterable[str]) -> str:
    """A sentence on what is not shown, since its runs have not been made or diverged; empty if all is there."""
    there = set(shown)
    missing = list(dict.fromkeys(name for name in wanted if name not in there))
    return f"*Not shown, for want of finished runs: {'; '.join(missing)}.*" if missing else ""


def rates_tried(experiment: Experiment, weightings: Iterable[str]) -> pd.DataFrame:
    """How each weighting's learning rate was chosen on validation images, and whether the grid was wide enough.

    Args:
        experiment: Whose records are read.
        weightings: Those with runs at every rate of the protocol ``tuned_rate``; others are left out.

    Returns:
        A row per weighting and rate with which no run diverged: ``weighting``, ``learning_rate``, ``error`` (of
        validation images, 0–1), ``seeds`` (their number), ``best`` (the chosen rate) and ``at_the_edge`` (chosen, and
        no larger or no smaller rate was tried, so that a better one may lie beyond).
    """
    rows: list[tuple[Any, ...]] = []
    for weighting in weightings:
        by_rate = Selection(experiment, "tuned_rate").by_rate(weighting=weighting)
        best = best_rate(by_rate) if by_rate else None
        rows += [
            (weighting, rate, validation_error(records), len(records), rate == best)
            for rate, records in by_rate.items()
        ]
    table = pd.DataFrame(rows, columns=["weighting", "learning_rate", "error", "seeds", "best"])
    return table.assign(at_the_edge=table["best"] & table["learning_rate"].isin([min(RATES), max(RATES)]))

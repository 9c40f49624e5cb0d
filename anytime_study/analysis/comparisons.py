"""What results chapters compare beside the measures of the claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from anytime_core.errors import InputError
from anytime_study.analysis.curves import interpolated
from anytime_study.analysis.measures.pairs import percent_over
from anytime_study.analysis.selection import RATES, MissingRuns, Selection, best_rate, validation_error
from anytime_study.foundations.validation import validated
from anytime_study.studies.experiments import Experiment

if TYPE_CHECKING:  # torch comes with the records, not with this module
    from anytime_study.runs.record import RunRecord

WHERE = ("last exit", "mean over exits")
"""At which exits two runs are compared."""


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


def errors_at_costs(records: Iterable[RunRecord], fractions: Sequence[float]) -> pd.DataFrame:
    """Test error at fractions of each network's cumulative cost, linear between exits.

    Source: so the paper's Table 3b is read off its curves.

    Returns:
        A row per run and fraction: network, weighting, seed, fraction, error (0–1).
    """
    rows = []
    for record in records:
        costs = record.costs.macs_cumulative
        errors = interpolated(costs, record.test.error, np.array(fractions) * costs[-1])
        config = record.config
        rows += [
            {
                "network": config.network,
                "weighting": config.weighting,
                "seed": config.seed,
                "fraction": fraction,
                "error": float(error),
            }
            for fraction, error in zip(fractions, errors, strict=True)
        ]
    return pd.DataFrame(rows, columns=["network", "weighting", "seed", "fraction", "error"])


def over_tuned(
    experiment: Experiment, compared: Iterable[tuple[str, str, bool]], *, reference: str = "const"
) -> tuple[pd.DataFrame, float | None]:
    """Test errors over those of one weighting at the best of its three learning rates: the sceptic's baseline.

    Args:
        experiment: Whose records are compared.
        compared: For each row its name, its weighting, and whether that has its own best rate too, or the main grid's.
        reference: The tuned weighting.

    Returns:
        A row per name, place (see :data:`WHERE`) and seed: ``name``, ``where``, ``seed``, ``value`` in per cent; and
        the rate of the reference. Rows whose runs have not been made are left out. Without the reference's runs the
        table is empty and the rate None.
    """
    tuned = Selection(experiment, "tuned_rate").pick(weighting=reference)
    rows: list[dict[str, Any]] = []
    for name, weighting, own_rate in compared:
        selection = Selection(experiment, "tuned_rate" if own_rate else "one_rate")
        runs = selection.pick(weighting=weighting)
        for where in WHERE:
            try:
                values = selection.paired(
                    lambda a, b, at=where: percent_over(_error(a, at), _error(b, at)), runs, tuned
                )
            except MissingRuns:
                continue
            rows += [{"name": name, "where": where, "seed": seed, "value": value} for seed, value in values.items()]
    rates = {record.config.learning_rate for record in tuned.values()}
    return pd.DataFrame(rows, columns=["name", "where", "seed", "value"]), rates.pop() if rates else None


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


def _error(record: RunRecord, where: str) -> float:
    return record.test.error[-1] if where == WHERE[0] else float(np.mean(record.test.error))

"""What the results chapters have in common: their header, and tables of measures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from anytime_core.errors import InputError
from anytime_study.analysis.measures import measured
from anytime_study.analysis.selection import MissingRuns, Selection
from anytime_study.datasets import find_card
from anytime_study.pages.publishing import ORIGIN_BEGINS, ORIGIN_ENDS
from anytime_study.pages.words import as_change, capital, listed, number

if TYPE_CHECKING:  # torch comes with the records, not with this module
    from anytime_study.analysis.claims import Protocol
    from anytime_study.foundations.provenance import Provenance
    from anytime_study.runs.config import RunConfig
    from anytime_study.runs.record import RunRecord
    from anytime_study.studies.experiments import Experiment

Value = TypeVar("Value")
PAPER = Path(__file__).parents[2] / "data" / "paper"  # published numbers, a CSV file per table or figure
_TIER = "[tier](../glossary.html#term-tier)"  # outputs of cells have no roles of MyST


def published(name: str) -> pd.DataFrame:
    """The numbers of a table or figure of the paper, such as ``table3a``."""
    return pd.read_csv(PAPER / f"{name}.csv")


def header(experiment: Experiment, tier: str) -> str:
    """What runs the page rests on, in Markdown, with their origin in a fold that goes to the end of the page."""
    made = [outcome for outcome in experiment.outcomes.values() if outcome.outcome == "finished"]
    planned = len(experiment.planned)
    if not made:
        return f"No run has finished yet ({_TIER} *{tier}*). There is nothing to show."
    configs = [record.config for record in made]
    there = len(experiment.outcomes)
    runs = f"{planned} training runs" if there == planned else f"{there} of {planned} planned training runs so far"
    seeds, titles = {config.seed for config in configs}, {find_card(config.dataset).title for config in configs}
    inputs, epochs = (
        " or ".join(f"{value:,}" for value in sorted({getattr(config, name) for config in configs}))
        for name in ("num_train", "epochs")
    )
    text = (
        f"Drawn from {runs} ({_TIER} *{tier}*): {listed(sorted(titles))}, {inputs} training {_inputs(configs)}, "
        f"{epochs} epochs, {number(len(seeds))} {'seeds' if len(seeds) > 1 else 'seed'}."
    )
    if diverged := there - len(made):
        text += f" {capital(number(diverged))} of them diverged: the loss became NaN or infinite."
    return f"{text}\n\n{origin(made, tier)}"


def _inputs(configs: Iterable[RunConfig]) -> str:
    """What the networks read."""
    return "windows of text" if any(find_card(config.dataset).reads_text for config in configs) else "images"


def origin(made: Sequence[RunRecord], tier: str) -> str:
    """Data, schedule, seeds, machines and commits of these runs: a table in a fold, which :func:`publish` moves.

    Args:
        made: At least one finished run.
        tier: Theirs.
    """

    def all_of(value: Callable[[RunRecord], Any]) -> str:
        return ", ".join(map(str, sorted({value(run) for run in made})))

    rows = {
        "group of runs": tier,
        "seeds (the same for all that is compared)": all_of(lambda run: run.config.seed),
        "networks": _networks(made),
        f"training {_inputs(run.config for run in made)}": all_of(lambda run: run.config.num_train),
        "epochs": all_of(lambda run: run.config.epochs),
        "batch size": all_of(lambda run: run.config.batch_size),
        "learning rates": all_of(lambda run: run.config.learning_rate),
        "precision": all_of(lambda run: run.config.precision),
        "hardware": all_of(lambda run: _hardware(run.provenance)),
        "PyTorch": all_of(lambda run: run.provenance.torch),
        "commits": all_of(lambda run: (run.provenance.commit or "unknown")[:7]),
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items() if value]
    return "\n".join([ORIGIN_BEGINS, "", "| setting | value |", "| --- | --- |", *lines, "", ORIGIN_ENDS])


def _hardware(made: Provenance) -> str:
    return f"{made.device}, {made.threads} thread{'s' * (made.threads > 1)}"


_MOST_NETWORKS = 3  # more are told by the page itself


def _networks(made: Sequence[RunRecord]) -> str:
    """Exits and cost of each network, if they are few."""
    from anytime_study.runs.registries import sized_name

    found = {run.config.network: run for run in made if not run.config.weighting.startswith("opt(")}
    if not 1 <= len(found) <= _MOST_NETWORKS:
        return ""
    return "; ".join(
        f"`{sized_name(network)}`, {run.num_exits} exits, {run.costs.macs_cumulative[-1] / 1e6:.1f} million MACs"
        for network, run in sorted(found.items())
    )


def require_runs(experiment: Experiment, tier: str) -> None:
    """Refuse a page whose figures cannot be drawn without runs.

    Raises:
        InputError: no run of the experiment has finished; says how to make them.
    """
    if not any(outcome.outcome == "finished" for outcome in experiment.outcomes.values()):
        raise InputError(
            f"no runs: expected finished runs of {experiment.name} in tier {tier}, found none of "
            f"{len(experiment.planned)}; anytime study workflow/studies/{tier}/{experiment.name}.yaml makes them"
        )


def if_made(function: Callable[..., Value], *arguments: Any, **settings: Any) -> Value | None:
    """What a function gives; None if runs that it needs have not been made."""
    try:
        return function(*arguments, **settings)
    except MissingRuns:
        return None


def collect(
    experiment: Experiment,
    measures: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]],
    *,
    protocol: Protocol = "one_rate",
) -> pd.DataFrame:
    """Many measures in one tidy table; those whose runs have not been made are left out.

    Args:
        experiment: Whose records are measured.
        measures: For each, the columns that name it, and its settings as data/claims.yaml has them.
        protocol: Under which learning rates.

    Returns:
        A row per measure and seed: the naming columns, ``seed`` and ``value``.
    """
    rows: list[dict[str, Any]] = []
    names: list[str] = []
    for columns, settings in measures:
        names = list(columns)
        values = if_made(measured, Selection(experiment, protocol), settings)
        rows += [] if values is None else [{**columns, "seed": seed, "value": value} for seed, value in values.items()]
    return pd.DataFrame(rows, columns=[*names, "seed", "value"])


def compared(
    experiment: Experiment,
    pairs: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
    places: Mapping[str, Mapping[str, Any]],
    *,
    protocol: Protocol = "one_rate",
) -> pd.DataFrame:
    """The change of test error from one run of a pair to the other, for many pairs, at some places.

    Args:
        experiment: Whose records are measured.
        pairs: By name, the fields in which the run and the one it is compared with differ from the main grid.
        places: By name, ``{"exit": 1}``, ``{"fraction": 0.25}`` of each network's cost, or ``{}``: the last exit.
        protocol: Under which learning rates.

    Returns:
        A row per pair, place and seed: ``name``, ``where``, ``seed`` and ``value``, in hundredths of a natural
        logarithm. What has not been made is left out.
    """
    wanted = [
        ({"name": name, "where": where}, {"first": first, "second": second, **place})
        for name, (first, second) in pairs.items()
        for where, place in places.items()
    ]
    by_cost = any("fraction" in place for place in places.values())
    measure = "log_error_change" if by_cost else "error_difference"  # the latter is in per cent
    found = collect(experiment, [(name, {"name": measure, **how}) for name, how in wanted], protocol=protocol)
    return found if by_cost else found.assign(value=as_change(found["value"]))


def sums_of_weights(records: Iterable[RunRecord]) -> pd.Series:
    """The sum of the weights after each epoch, mean over seeds; by weighting and epoch, both in the index."""
    rows = [
        (record.config.weighting, epoch, sum(weights))
        for record in records
        for epoch, weights in enumerate(record.epoch_weights, start=1)
    ]
    return pd.DataFrame(rows, columns=["weighting", "epoch", "sum"]).groupby(["weighting", "epoch"])["sum"].mean()

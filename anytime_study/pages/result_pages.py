"""What the results chapters have in common: their header, their tables of measures, their verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from anytime_core.errors import InputError
from anytime_study.analysis.measures import measured
from anytime_study.analysis.selection import MissingRuns, Selection
from anytime_study.analysis.statistics import mean_interval
from anytime_study.analysis.verdicts import Verdict

if TYPE_CHECKING:  # torch comes with the records, not with this module
    from anytime_study.analysis.claims import Protocol
    from anytime_study.runs.record import RunRecord
    from anytime_study.studies.experiments import Experiment

PAPER = Path(__file__).parents[2] / "data" / "paper"  # published numbers, a CSV file per table or figure


def published(name: str) -> pd.DataFrame:
    """The numbers of a table or figure of the paper, such as ``table3a``."""
    return pd.read_csv(PAPER / f"{name}.csv")


def header(experiment: Experiment, tier: str) -> str:
    """What the page rests on, in Markdown: runs made and planned, data, schedule, seeds, hardware."""
    made = [outcome for outcome in experiment.outcomes.values() if outcome.outcome == "finished"]
    diverged = len(experiment.outcomes) - len(made)
    text = f"**Tier *{tier}*:** {len(experiment.outcomes)} of {len(experiment.planned)} planned runs have been made"
    text += f", {diverged} of them diverged" if diverged else ""
    if not made:
        return f"{text}. There is nothing to show yet."
    configs = [record.config for record in made]
    provenances = [record.provenance for record in made]
    return (
        f"{text}; seeds {_listed({config.seed for config in configs})}, paired over what is compared. "
        f"{_networks(made)}Training images: {_listed({config.num_train for config in configs})}; "
        f"epochs: {_listed({config.epochs for config in configs})}; "
        f"batch: {_listed({config.batch_size for config in configs})}; "
        f"learning rate: {_listed({config.learning_rate for config in configs})}; "
        f"precision: {_listed({config.precision for config in configs})}. "
        f"Hardware: {_listed({f'{made.device}, {made.threads} thread(s)' for made in provenances})}; "
        f"PyTorch {_listed({made.torch for made in provenances})}; "
        f"commits {_listed({(made.commit or 'unknown')[:7] for made in provenances})}."
    )


_MOST_NETWORKS = 3  # more are told by the page itself


def _networks(made: Sequence[RunRecord]) -> str:
    """Exits and cost of each network, if they are few."""
    from anytime_study.runs.registries import sized_name

    found = {run.config.network: run for run in made if not run.config.weighting.startswith("opt(")}
    if not 1 <= len(found) <= _MOST_NETWORKS:
        return ""
    told = [
        f"`{sized_name(network)}`, {run.num_exits} exits, {run.costs.macs_cumulative[-1] / 1e6:.1f} million MACs"
        for network, run in sorted(found.items())
    ]
    return f"Network{'s' if len(told) > 1 else ''}: {'; '.join(told)}. "


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in sorted(values))


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
        try:
            values = measured(Selection(experiment, protocol), settings)
        except MissingRuns:
            continue
        rows += [{**columns, "seed": seed, "value": value} for seed, value in values.items()]
    return pd.DataFrame(rows, columns=[*names, "seed", "value"])


def interval_text(values: Sequence[float] | pd.Series, *, digits: int = 1) -> str:
    """Mean and 95 % interval as text, such as ``2.7 [0.4, 5.0]``; a mean alone where there is one value.

    The space inside the brackets does not break, so that a narrow column keeps the interval on one line.
    """

    def written(value: float) -> str:
        return f"{value:z.{digits}f}".replace("-", "−")  # z: no minus before a zero

    if not len(values):
        return ""
    if len(values) == 1:
        return written(float(next(iter(values))))
    interval = mean_interval(values)
    return f"{written(interval.mean)} [{written(interval.low)},\N{NO-BREAK SPACE}{written(interval.high)}]"


def verdict_table(found: Sequence[Verdict]) -> pd.DataFrame:
    """Verdicts as a page shows them.

    Columns: claim (in words), source (where, and the paper's number), ours (mean and interval, a line per protocol),
    seeds, verdict, with what it waits for.
    """
    rows = []
    for verdict in found:
        number = "" if verdict.published is None else f": {verdict.published:+.1f}".replace("-", "−")
        rows.append(
            {
                "claim": verdict.says,
                "source": verdict.where + number,
                "ours": ours_text(verdict),
                "seeds": ", ".join(dict.fromkeys(str(trial.interval.n) for trial in verdict.trials)),
                "verdict": verdict.verdict + _waiting(verdict) + (", amended" if verdict.amended else ""),
            }
        )
    return pd.DataFrame(rows)


def ours_text(verdict: Verdict) -> str:
    """Mean and interval of each protocol that was tested."""
    several = len(verdict.trials) > 1
    return "; ".join(
        interval_text(trial.values) + (f" ({trial.protocol.replace('_', ' ')})" if several else "")
        for trial in verdict.trials
    )


def _waiting(verdict: Verdict) -> str:
    missing = ", ".join(protocol.replace("_", " ") for protocol in verdict.untested)
    return f" (runs with {missing} are missing)" if verdict.waits else ""


def counted(found: Sequence[Verdict]) -> str:
    """How many claims with each effect, as a phrase."""
    counts = Counter(verdict.effect for verdict in found)
    return ", ".join(f"{count} {word}" for word, count in counts.most_common())


def signature(experiment: Experiment, tier: str) -> str:
    """One line under a figure that travels alone: tier, seeds, hardware, commits."""
    made = [outcome for outcome in experiment.outcomes.values() if outcome.outcome == "finished"]
    return (
        f"tier {tier} · seeds {_listed({record.config.seed for record in made})} · "
        f"{_listed({record.provenance.device for record in made})} · "
        f"commits {_listed({(record.provenance.commit or 'unknown')[:7] for record in made})}"
    )

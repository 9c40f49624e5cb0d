"""What the results chapters have in common: their header, their tables of measures, their verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from anytime_core.errors import InputError
from anytime_study.analysis.measures import measured
from anytime_study.analysis.selection import MissingRuns, Selection
from anytime_study.analysis.statistics import mean_interval
from anytime_study.analysis.verdicts import CONTROLLED, NOT_TESTED, WITHDRAWN, Trial, Verdict
from anytime_study.datasets import find_card
from anytime_study.pages.publishing import ORIGIN_BEGINS, ORIGIN_ENDS
from anytime_study.pages.words import change_in_a_table, listed, number, percent

if TYPE_CHECKING:  # torch comes with the records, not with this module
    from anytime_study.analysis.claims import Protocol
    from anytime_study.runs.config import RunConfig
    from anytime_study.runs.record import RunRecord
    from anytime_study.studies.experiments import Experiment

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
    all_made = len(experiment.outcomes) == planned
    runs = (
        f"{planned} training runs"
        if all_made
        else f"{len(experiment.outcomes)} of {planned} planned training runs so far"
    )
    seeds, titles = {config.seed for config in configs}, {find_card(config.dataset).title for config in configs}
    inputs, epochs = (_either(getattr(config, name) for config in configs) for name in ("num_train", "epochs"))
    text = (
        f"Drawn from {runs} ({_TIER} *{tier}*): {listed(sorted(titles))}, {inputs} training {_inputs(configs)}, "
        f"{epochs} epochs, {number(len(seeds))} {'seeds' if len(seeds) > 1 else 'seed'}."
    )
    if diverged := len(experiment.outcomes) - len(made):
        text += f" {number(diverged).capitalize()} of them diverged: the loss became NaN or infinite."
    return f"{text}\n\n{origin(made, tier)}"


def _inputs(configs: Iterable[RunConfig]) -> str:
    """What the networks read."""
    return "windows of text" if any(find_card(config.dataset).reads_text for config in configs) else "images"


def _either(values: Iterable[int]) -> str:
    """``6``, or ``6 or 12``."""
    return " or ".join(f"{value:,}" for value in sorted(set(values)))


def origin(made: Sequence[RunRecord], tier: str) -> str:
    """Data, schedule, seeds, machines and commits of these runs: a table in a fold, which :func:`publish` moves.

    Args:
        made: At least one finished run.
        tier: Theirs.
    """
    configs, provenances = [record.config for record in made], [record.provenance for record in made]
    rows = {
        "group of runs": tier,
        "seeds (the same for all that is compared)": _listed({config.seed for config in configs}),
        "networks": _networks(made),
        f"training {_inputs(configs)}": _listed({config.num_train for config in configs}),
        "epochs": _listed({config.epochs for config in configs}),
        "batch size": _listed({config.batch_size for config in configs}),
        "learning rates": _listed({config.learning_rate for config in configs}),
        "precision": _listed({config.precision for config in configs}),
        "hardware": _listed({f"{run.device}, {run.threads} thread{'s' * (run.threads > 1)}" for run in provenances}),
        "PyTorch": _listed({run.torch for run in provenances}),
        "commits": _listed({(run.commit or "unknown")[:7] for run in provenances}),
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items() if value]
    return "\n".join([ORIGIN_BEGINS, "", "| setting | value |", "| --- | --- |", *lines, "", ORIGIN_ENDS])


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


def verdict_table(found: Sequence[Verdict], *, unsaid: Collection[str] = ()) -> pd.DataFrame:
    """Verdicts as a page shows them.

    Args:
        found: Of some claims.
        unsaid: Limits that the page tells of all of them at once, see :func:`limits`.

    Returns:
        A row per verdict.

    Columns: claim (in words), found (the effect with its scope, and what limits it), here (mean and 95 % interval, a
    line per protocol), the paper (where, and its number), seeds. A phone shows the first two.
    """
    rows = [
        {
            "claim": verdict.says,
            "found": found_text(verdict, unsaid=unsaid),
            "here": ours_text(verdict),
            "the paper": _published(verdict),
            "seeds": ", ".join(dict.fromkeys(str(trial.interval.n) for trial in verdict.trials)),
        }
        for verdict in found
    ]
    return pd.DataFrame(rows)


AMENDED = "rule amended"


def limits(verdict: Verdict) -> list[str]:
    """What limits a finding: its scope, a flag, an amended rule, runs that are missing."""
    told = [verdict.scope or "", verdict.flag, AMENDED if verdict.amended else "", _waiting(verdict)]
    return [limit for limit in told if limit]


def found_text(verdict: Verdict, *, unsaid: Collection[str] = ()) -> str:
    """The effect in words, with its :func:`limits`."""
    if verdict.effect == "withdrawn":
        return f"withdrawn: {WITHDRAWN[verdict.claim]}"
    effect = "smaller than matters" if verdict.effect == "no effect as large as δ" else verdict.effect
    told = "; ".join(limit for limit in limits(verdict) if limit not in unsaid)
    return f"{effect} ({told})" if told else effect


def ours_text(verdict: Verdict) -> str:
    """Mean and interval under each protocol that was tested, with the unit."""
    several = len({trial.protocol for trial in verdict.trials}) > 1
    return "; ".join(
        _measured(trial) + (f" ({_PROTOCOLS[trial.protocol]})" if several else "") for trial in verdict.trials
    )


_PROTOCOLS = {"one_rate": "one rate for all", "tuned_rate": "each at its best rate", "own_rate": "each at its own rate"}
_LOGARITHMS = ("log_error_change", "own_objective_change")
_UNITS = {
    "eann_inflation": "(factor − bound)",
    "concentration_difference": "% of the cost",
    "spread_difference": "doublings",
    "early_exit_excess": "points",
    "gain_on_headroom": "% per % of headroom",
}


def _unit(measure: Mapping[str, Any]) -> str:
    """Of a measure; differences of percentages are percentage points."""
    return "points" if "minus" in measure else _UNITS.get(measure["name"], "%")


def _measured(trial: Trial) -> str:
    written = change_in_a_table if trial.measure["name"] in _LOGARITHMS else interval_text
    return f"{written(trial.values)} {_unit(trial.measure)}"


def _published(verdict: Verdict) -> str:
    if not verdict.published:  # none, or a bound of theory
        return "" if verdict.where == "this study" else verdict.where
    unit = f" {_unit(verdict.trials[0].measure)}" if verdict.trials else ""
    return f"{verdict.where}: {percent(verdict.published)}{unit}"


def _waiting(verdict: Verdict) -> str:
    missing = ", ".join(_PROTOCOLS[protocol] for protocol in verdict.untested)
    return f"waits for runs with {missing}" if verdict.waits else ""


def judged(found: Sequence[Verdict]) -> str:
    """When the rules of some claims were written, and what became of the claims.

    ``We wrote the rules before the runs and amended them afterwards. Of three claims, two are undecided, and of one the
    opposite is shown.``
    """
    shown = [verdict for verdict in found if verdict.effect == "shown as claimed"]
    controlled = sum(verdict.flag == CONTROLLED for verdict in shown)
    return " ".join([_when_written(found), _became(found), *_controls(controlled, len(shown))])


def _when_written(found: Sequence[Verdict]) -> str:
    tested = [verdict for verdict in found if verdict.trials]
    amended = sum(verdict.amended for verdict in tested)
    if not tested:
        return "We write the rules before the runs."
    if not amended:
        return "We wrote the rules before the runs and have not changed them since."
    if amended == len(tested):
        return "We wrote the rules before the runs and amended them afterwards."
    return f"We wrote the rules before the runs and amended {number(amended)} of {number(len(tested))} afterwards."


_BECAME = {  # by effect, in the order in which they are told: what follows "is" or "are"
    "shown as claimed": "shown as claimed",
    "no effect as large as δ": "shown to have no effect that matters",
    "undecided": "undecided",
    NOT_TESTED: "not tested yet",
    "withdrawn": "withdrawn",
    "shown opposite": "",  # "of one the opposite is shown" reads better
}


def _became(found: Sequence[Verdict]) -> str:
    counts = Counter(verdict.effect for verdict in found)
    if len(counts) == 1:
        (word,) = (_BECAME[effect] for effect in counts)
        if len(found) == 1:
            return f"The only claim is {word}." if word else "Of the only claim, the opposite is shown."
        all_of_them = "both" if len(found) == 2 else f"all {number(len(found))}"
        if not word:
            return f"Of {all_of_them} claims, the opposite is shown."
        return f"{all_of_them.capitalize()} claims are {word}."
    told = [
        f"{number(counts[effect])} {'is' if counts[effect] == 1 else 'are'} {word}"
        if word
        else f"of {number(counts[effect])} the opposite is shown"
        for effect, word in _BECAME.items()
        if effect in counts
    ]
    return f"Of {number(len(found))} claims, {', '.join(told[:-1])}, and {told[-1]}."


def _controls(controlled: int, shown: int) -> list[str]:
    """Of how many of the claims that are shown a control without AdaLoss shows the same."""
    if not controlled:
        return []
    if controlled == shown:
        of_them, whose = (
            ("that one", "its") if shown == 1 else (f"all {number(shown)}" if shown > 2 else "both", "their")
        )
        return [f"A control without AdaLoss shows the same for {of_them}, so AdaLoss is not {whose} cause."]
    of_them = f"{number(controlled)} of those shown"
    return [f"For {of_them}, a control without AdaLoss shows the same, so AdaLoss is not the cause."]

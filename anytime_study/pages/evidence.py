"""The records that speak to the book's question, from three tiers, as the pages of the answer show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from anytime_study.analysis.comparisons import finished
from anytime_study.analysis.selection import validation_error
from anytime_study.analysis.trade_offs import averaged_by_seed, change_table, headroom_table, pairs, pairs_of, setting
from anytime_study.analysis.verdicts import Verdict, verdicts
from anytime_study.datasets import find_card
from anytime_study.pages.figures import label
from anytime_study.pages.found import Found, Relevant, Sources
from anytime_study.pages.result_pages import collect, origin
from anytime_study.pages.words import both_changes, interval_text
from anytime_study.studies.experiments import Experiment, load_experiments
from anytime_study.studies.study import RECORDS, ROOT, load_study

if TYPE_CHECKING:  # torch comes with the records, not with this module
    from anytime_study.runs.record import RunRecord

PRIMARY = "adaloss-trades-early-for-late"
_DOSE = ("trade_off", "dose", "scripts", "three_sets")  # experiments with AdaLoss and CONST at several settings
_GARMENTS = ("weightings", "eann", "small_against_large")  # the same network at four depths
COSTS = {0.25: "a quarter", 0.5: "half", 0.75: "three quarters", 1.0: "all"}
"""Shares of a network's cost in words."""


@dataclass(frozen=True)
class Evidence:
    """Experiments of both tiers, and the verdicts of the tier cifar.

    Attributes:
        laptop, cifar: Experiments by name.
        records: Folder of the records of both tiers.
        found: Verdicts of the tier cifar, in the order of the claims.
        relevant: The smallest relevant changes.
        language: Experiments of that tier by name; they join :attr:`everywhere`.
    """

    laptop: Mapping[str, Experiment]
    cifar: Mapping[str, Experiment]
    records: Path
    found: list[Verdict]
    relevant: Relevant
    language: Mapping[str, Experiment] = field(default_factory=dict)

    def short(self, *names: str) -> pd.DataFrame:
        """Pairs of six epochs at one learning rate and batch size, a row each: of these experiments of the laptop."""
        table = change_table(pairs_of([self.laptop[name] for name in names if name in self.laptop]))
        return table[table["learning_rate"].eq(0.1) & table["batch_size"].eq(128)]

    @cached_property
    def own_data(self) -> pd.DataFrame:
        """Pairs on the paper's own kind of data, in all settings that count, a row each."""
        by_place: dict[str, pd.DataFrame] = {}
        for name in _DOSE:  # two may have a setting, at other learning rates: the one with more seeds shows it
            for place, own in self._own(name).groupby("place", sort=False):
                if len(own) > len(by_place.get(str(place), ())):
                    by_place[str(place)] = own
        return pd.concat([*by_place.values()] or [change_table([])], ignore_index=True)

    def _own(self, name: str) -> pd.DataFrame:
        """Pairs of an experiment of the tier cifar with batches of 128, a row each."""
        table = change_table(pairs_of([self.cifar[name]] if name in self.cifar else []))
        return table[table["batch_size"].eq(128)]

    @property
    def other(self) -> Found:
        """Six epochs of Fashion-MNIST, each seed averaged over the networks."""
        changes = averaged_by_seed(self.short(*_GARMENTS))
        return Found("Fashion-MNIST, trained for six epochs", changes, epochs=6)

    @property
    def shorter(self) -> Found:
        """CIFAR-10 with 10,000 images for 40 epochs, at one rate: needs fewer hours than the primary comparison."""
        table = self._own("scripts")[lambda own: own["setting"] == "CIFAR-10, 10,000 images × 40 epochs"]
        return Found("CIFAR-10, with 10,000 images and 40 epochs", table.set_index("seed"), epochs=40)

    @property
    def sources(self) -> Sources:
        """All that may answer the question."""
        return Sources(self.counted, self.shorter, self.same_rate, self.relevant, self._rates)

    @property
    def counted(self) -> Found:
        """The primary comparison on CIFAR-10; without a seed as long as none has finished."""
        if (experiment := self._primary) is None:
            return Found("CIFAR-10", change_table([]).set_index("seed"))
        changes = change_table(pairs_of([experiment])).set_index("seed")
        planned, epochs = experiment.planned, int(experiment.main["epochs"])
        seeds = len({config.seed for config in planned.values()})
        outcomes = [outcome for name, outcome in experiment.outcomes.items() if name in planned]
        lost = len({outcome.config.seed for outcome in outcomes if outcome.outcome != "finished"})
        verdict = next(verdict for verdict in self.found if verdict.claim == PRIMARY)
        return Found(f"CIFAR-10, trained for {epochs} epochs", changes, seeds, verdict, epochs, lost)

    @cached_property
    def _primary(self) -> Experiment | None:
        """The primary comparison: only runs that differ from its main grid in weighting, seed or rate alone."""
        from anytime_study.runs.config import RunConfig

        if (experiment := self.cifar.get("trade_off")) is None:
            return None
        apart = {"weighting", "seed", "learning_rate"}
        main = RunConfig(**experiment.main).model_dump(exclude=apart)
        same = {name: one for name, one in experiment.planned.items() if one.model_dump(exclude=apart) == main}
        return replace(experiment, planned=same)

    @property
    def same_rate(self) -> Found:
        """The primary comparison's AdaLoss against equal weights at its learning rate, by the control runs."""
        high, where = self._rates[1], self.counted.where
        changes = self._exchanged(("adaloss", high), ("const", high)).set_index("seed")
        return Found(f"{where} at one learning rate", changes, epochs=self.counted.epochs)

    @property
    def _rates(self) -> tuple[float, float]:
        """Of equal weights and of AdaLoss in the primary comparison."""
        rates = self._primary.own_rates if self._primary else {}
        return rates.get("const", 0), rates.get("adaloss", 0)

    def _exchanged(self, *apart: tuple[str, float]) -> pd.DataFrame:
        """Pairs of two weightings with these rates, of the primary comparison and its control."""
        primary, control = self._primary, self.cifar.get("common_rates")
        runs = [*finished(primary), *finished(control)] if primary and control else []
        return change_table(pairs(runs, *({"weighting": name, "learning_rate": rate} for name, rate in apart)))

    def at_common_rates(self) -> str:
        """What the weighting changes at one learning rate, and the rate alone, in the primary comparison's setting."""
        low, high = self._rates
        told, seeds = [], 0
        for who, first, second in (
            (f"With a learning rate of {high:g} for both, AdaLoss makes", ("adaloss", high), ("const", high)),
            (f"The rate alone, {high:g} instead of {low:g}, gives equal weights", ("const", high), ("const", low)),
            (f"With a learning rate of {low:g} for both, AdaLoss makes", ("adaloss", low), ("const", low)),
        ):
            if len(changes := self._exchanged(first, second)):
                told.append(f"{who} {both_changes(changes, short=len(changes) == seeds)}.")
                seeds = len(changes)
        return " ".join(told)

    def origins(self) -> str:
        """Where the numbers come from, a fold per tier; see :func:`anytime_study.pages.result_pages.origin`."""
        told = []
        for tier, experiments in (("cifar", self.cifar), ("laptop", self.laptop)):
            runs = {record.name: record for experiment in experiments.values() for record in finished(experiment)}
            told += [origin([*runs.values()], tier)] if runs else []
        return "\n\n".join(told)

    def gate(self) -> list[RunRecord]:
        """The runs that chose the regime; they count nowhere else."""
        return self._of_study("gate")

    def rates(self) -> pd.DataFrame:
        """Validation error by weighting and learning rate on CIFAR-10, per cent; one seed, counted nowhere else.

        Columns: weighting, learning_rate, error (the mean over exits; of OPT, the last exit), best (of its weighting),
        and at_the_edge (best, and no larger or no smaller rate was tried).
        """
        rows = [
            (record.config.weighting, record.config.learning_rate, 100 * validation_error({0: record}))
            for record in self._of_study("rates")
        ]
        table = pd.DataFrame(rows, columns=["weighting", "learning_rate", "error"])
        by = table.groupby("weighting")
        best = table["error"] == by["error"].transform("min")
        rate, (lowest, highest) = table["learning_rate"], (by["learning_rate"].transform(end) for end in ("min", "max"))
        return table.assign(best=best, at_the_edge=best & (rate.eq(lowest) | rate.eq(highest)))

    def _of_study(self, name: str) -> list[RunRecord]:
        """Finished runs of a study of the tier cifar that belongs to no experiment."""
        from anytime_study.runs.record import load_outcome

        _, planned = load_study(ROOT / f"workflow/studies/cifar/{name}.yaml")
        files = (self.records / "cifar" / f"{config.name}.json" for config in planned)
        return [record for file in files if file.exists() and (record := load_outcome(file)).outcome == "finished"]

    @property
    def everywhere(self) -> pd.DataFrame:
        """All pairs of all tiers, with the title of their data, and ``headroom`` under OPT where it was measured."""
        short = self.short(*self.laptop)
        text = change_table(pairs_of(self.language.values()))
        parts = [self.own_data, short[short["dataset"] == "fashion-mnist"], text]
        table = pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)
        rooms = [headroom_table(record for one in self.language.values() for record in finished(one))]
        for own_rates in (False, True):  # with rates of their own, OPT and CONST may have been trained at two
            counted = {
                record.name: record
                for experiment in (*self.laptop.values(), *self.cifar.values())
                for record in finished(experiment)
                if bool(experiment.own_rates) == own_rates
                and record.config.batch_size == 128
                and (own_rates or record.config.learning_rate == 0.1)
            }
            rooms.append(headroom_table(counted.values(), own_rates=own_rates))
        room = pd.concat(rooms)[lambda table: table["alone"] == "opt"].groupby("place")["error"].mean()
        titles = {name: find_card(name).title for name in table["dataset"].unique()}
        return table.assign(dataset=table["dataset"].map(titles), headroom=table["place"].map(room))


def load_evidence(records: Path | None = None, *, studies: Path | None = None) -> Evidence:
    """Read everything.

    Args:
        records: A folder with the folders ``laptop``, ``cifar`` and ``language`` instead of data/records.
        studies: Folder of the studies instead of workflow/studies.

    Raises:
        InputError: a study, a record or the claims cannot be read or do not fit together.
    """
    from anytime_study.analysis.claims import load_claims

    folder = records or RECORDS
    laptop, cifar, language = (
        load_experiments(tier, records=folder / tier, studies=studies) for tier in ("laptop", "cifar", "language")
    )
    found = verdicts(load_claims(), cifar, tier="cifar")
    return Evidence(laptop, cifar, folder, found, relevant_changes(), language)


def relevant_changes(claim: str = PRIMARY) -> Relevant:
    """As a claim of late gain and early price in data/claims.yaml has them."""
    from anytime_study.analysis.claims import load_claims

    found = next(one for one in load_claims().claims if one.id == claim)
    late, early = (part.decision.delta or 0.0 for part in found.parts)
    return {"quarter": early, "last": late}


def gate_table(records: list[RunRecord]) -> pd.DataFrame:
    """Headroom of both regimes of the gate: a row each, with what is not measured yet left empty.

    Columns: ``regime``, ``ratio`` (of CONST's training losses), ``opt`` and ``half_end`` (of test error), ``opt_loss``
    and ``half_end_loss`` (of training loss); per cent.
    """
    rows: dict[str, dict[str, object]] = {setting(record.config): {} for record in records}
    for record in records:
        if record.config.weighting == "const":
            rows[setting(record.config)]["ratio"] = record.train.loss[0] / record.train.loss[-1]
    for (regime, alone), own in headroom_table(records).groupby(["setting", "alone"]):
        rows[str(regime)].update({str(alone): own["error"].mean(), f"{alone}_loss": own["loss"].mean()})
    table = pd.DataFrame.from_dict(rows, orient="index").sort_index().rename_axis("regime").reset_index()
    return table.reindex(columns=["regime", "ratio", "opt", "half_end", "opt_loss", "half_end_loss"])


def over_opt(experiment: Experiment, weightings: Iterable[str], measure: str = "increase_over_opt") -> pd.DataFrame:
    """By how many per cent each weighting exceeds OPT: mean and interval as text.

    Args:
        experiment: Whose records are measured.
        weightings: Those of them that have runs become rows, in this order.
        measure: Of errors; or ``train_loss_over_opt``.

    Returns:
        A row per weighting (index), a column for each of :data:`COSTS`, NaN where OPT has no run.
    """
    wanted = [
        ({"weighting": weighting, "cost": text}, {"name": measure, "weighting": weighting, "fraction": fraction})
        for weighting in weightings
        for fraction, text in COSTS.items()
    ]
    by = collect(experiment, wanted).groupby(["weighting", "cost"], sort=False)["value"]
    return by.agg(interval_text).unstack().reindex(columns=list(COSTS.values()))


def over_opt_beside(evidence: Evidence, table3a: pd.DataFrame) -> pd.DataFrame:
    """Test errors over OPT in per cent, the paper's Table 3a beside this study, where that has runs.

    Columns: weighting, source, and the four costs.
    """
    weightings = ["const", "linear", "adaloss"]
    theirs = table3a.assign(weighting=table3a["scheme"].str.lower(), cost=table3a["cost_fraction"].map(COSTS))
    theirs = theirs.pivot(index="weighting", columns="cost", values="relative_error_increase_percent")
    found = {"the paper": theirs.map(lambda value: interval_text([value]))}
    for source, experiments in {"Fashion-MNIST": evidence.laptop, "CIFAR-10": evidence.cifar}.items():
        if "weightings" in experiments:
            found[source] = over_opt(experiments["weightings"], weightings)
    together = pd.concat(found, names=["source", "weighting"]).reset_index().fillna("not yet")
    order = together["weighting"].map(weightings.index)
    shown = together.assign(weighting=together["weighting"].map(label)).iloc[order.argsort(kind="stable")]
    last = list(COSTS.values())[-1]
    return shown[["weighting", "source", *COSTS.values()]].rename(columns={last: "all of the cost"})


def confirmatory(evidence: Evidence) -> pd.DataFrame:
    """The claims that are tested, in their order: a row each, with what has become of it so far."""
    return pd.DataFrame(
        {"claim": verdict.says, "where it stands": _standing(verdict, evidence.cifar.get(verdict.experiment))}
        for verdict in evidence.found
        if verdict.role != "estimate"
    )


def _standing(verdict: Verdict, experiment: Experiment | None) -> str:
    if verdict.stopped_by and not verdict.queued:
        return "not tested: a claim before it was not shown"
    if verdict.trials:
        return "waits for the claims before it" if verdict.queued else verdict.effect
    if experiment is None:
        return "not started"
    then = "cannot be judged: one diverged" if "diverged:" in verdict.note else "judged when all are"
    return f"{len(experiment.outcomes)} of {len(experiment.planned)} runs made; {then}"

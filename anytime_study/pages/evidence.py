"""The records that speak to the book's question, from both tiers, as the pages of the answer show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from anytime_study.analysis.comparisons import finished
from anytime_study.analysis.selection import validation_error
from anytime_study.analysis.trade_offs import averaged_by_seed, change_table, headroom_table, pairs_of, setting
from anytime_study.analysis.verdicts import Verdict, verdicts
from anytime_study.datasets import find_card
from anytime_study.pages.answer import Found, Relevant, Sources, best_regime
from anytime_study.pages.figures import label
from anytime_study.pages.result_pages import collect, interval_text, origin
from anytime_study.studies.experiments import Experiment, load_experiments
from anytime_study.studies.study import RECORDS, ROOT, load_study

if TYPE_CHECKING:  # torch comes with the records, not with this module
    from anytime_study.runs.record import RunRecord

PRIMARY = "adaloss-trades-early-for-late"
_DOSE = ("trade_off", "dose", "scripts", "three_sets")  # experiments with AdaLoss and CONST at several settings
_GARMENTS = ("weightings", "eann", "small_against_large")  # the same network at four depths


@dataclass(frozen=True)
class Evidence:
    """Experiments of both tiers, and the verdicts of the tier cifar.

    Attributes:
        laptop, cifar: Experiments by name.
        records: Folder of the records of both tiers.
        found: Verdicts of the tier cifar, in the order of the claims.
        relevant: The smallest relevant changes.
    """

    laptop: Mapping[str, Experiment]
    cifar: Mapping[str, Experiment]
    records: Path
    found: list[Verdict]
    relevant: Relevant

    @cached_property
    def short_runs(self) -> pd.DataFrame:
        """Pairs on Fashion-MNIST at one learning rate and batch size, a row each."""
        table = change_table(pairs_of([*self.laptop.values()]))
        return table[
            (table["dataset"] == "fashion-mnist") & table["learning_rate"].eq(0.1) & table["batch_size"].eq(128)
        ]

    @cached_property
    def own_data(self) -> pd.DataFrame:
        """Pairs on the paper's own kind of data, in all settings that count, a row each."""
        tables = [change_table([])]
        for name in _DOSE:  # a setting is shown by the first that has it: two may differ in their learning rates
            if name in self.cifar:
                table = change_table(pairs_of([self.cifar[name]]))
                seen = pd.concat(tables)["place"]
                tables.append(table[table["batch_size"].eq(128) & ~table["place"].isin(seen)])
        return pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)

    @property
    def other(self) -> Found:
        """Six epochs of Fashion-MNIST, each seed averaged over the networks."""
        experiments = [self.laptop[name] for name in _GARMENTS if name in self.laptop]
        table = change_table(pairs_of(experiments))
        table = table[table["learning_rate"].eq(0.1) & table["batch_size"].eq(128)]
        return Found("Fashion-MNIST, trained for six epochs", averaged_by_seed(table), epochs=6)

    @property
    def one_network(self) -> pd.DataFrame:
        """Six epochs of Fashion-MNIST in the network for which a rule was written beforehand, a row per pair."""
        table = change_table(pairs_of([self.laptop["weightings"]])) if "weightings" in self.laptop else self.short_runs
        return table[table["learning_rate"].eq(0.1) & table["batch_size"].eq(128)]

    @property
    def shorter(self) -> Found:
        """CIFAR-10 with 10,000 images for 40 epochs: an estimate that needs fewer hours than the primary comparison."""
        table = self.own_data[self.own_data["setting"] == "CIFAR-10, 10,000 images × 40 epochs"]
        return Found("CIFAR-10, with 10,000 images and 40 epochs", table.set_index("seed"), epochs=40)

    @property
    def sources(self) -> Sources:
        """All that may answer the question."""
        return Sources(self.counted, self.shorter, self.other, self.relevant)

    @property
    def counted(self) -> Found:
        """The primary comparison on CIFAR-10; without a seed as long as none has finished."""
        empty = change_table([]).set_index("seed")
        if (experiment := self.cifar.get("trade_off")) is None:
            return Found(_as_a_place(best_regime(gate_table(self.gate()))) or "CIFAR-10", empty)
        table = change_table(pairs_of([experiment]))
        epochs = {config.epochs for config in experiment.planned.values()}
        verdict = next(verdict for verdict in self.found if verdict.claim == PRIMARY)
        return Found(
            f"CIFAR-10, trained for {max(epochs)} epochs",
            table.set_index("seed") if len(table) else empty,
            len({config.seed for config in experiment.planned.values()}),
            verdict.effect,
            max(epochs),
        )

    def origins(self) -> str:
        """Where the numbers come from, a fold per tier; see :func:`anytime_study.pages.result_pages.origin`."""
        told = []
        for tier, experiments in (("cifar", self.cifar), ("laptop", self.laptop)):
            runs = {record.name: record for experiment in experiments.values() for record in finished(experiment)}
            if runs:
                told.append(origin([*runs.values()], tier))
        return "\n\n".join(told)

    def gate(self) -> list[RunRecord]:
        """The runs that chose the regime; they count nowhere else."""
        return self._of_study("gate")

    def rates(self) -> pd.DataFrame:
        """Validation error by weighting and learning rate on CIFAR-10, per cent; one seed, counted nowhere else.

        Columns: weighting, learning_rate, error. The mean over exits; of OPT, the last exit.
        """
        rows = [
            {
                "weighting": record.config.weighting,
                "learning_rate": record.config.learning_rate,
                "error": 100 * validation_error({0: record}),
            }
            for record in self._of_study("rates")
        ]
        return pd.DataFrame(rows, columns=["weighting", "learning_rate", "error"])

    def _of_study(self, name: str) -> list[RunRecord]:
        """Finished runs of a study of the tier cifar that belongs to no experiment."""
        from anytime_study.runs.record import load_outcome

        _, planned = load_study(ROOT / f"workflow/studies/cifar/{name}.yaml")
        files = (self.records / "cifar" / f"{config.name}.json" for config in planned)
        return [record for file in files if file.exists() and (record := load_outcome(file)).outcome == "finished"]

    def headroom(self) -> pd.DataFrame:
        """Headroom by setting, seed and network, of the counted runs of both tiers at one rate and batch size."""
        tables = []
        for experiments in (self.laptop, self.cifar):
            records = {
                record.name: record
                for experiment in experiments.values()
                for record in finished(experiment)
                if record.config.batch_size == 128 and (experiment.own_rates or record.config.learning_rate == 0.1)
            }
            tables.append(headroom_table(records.values()))
        return pd.concat(tables, ignore_index=True)

    @property
    def everywhere(self) -> pd.DataFrame:
        """All pairs of both tiers, with the title of their data, and ``headroom`` under OPT where it was measured."""
        table = pd.concat([self.own_data, self.short_runs], ignore_index=True)
        room = self.headroom()
        room = room[room["alone"] == "opt"].groupby("place")["error"].mean()
        titles = {name: find_card(name).title for name in table["dataset"].unique()}
        return table.assign(dataset=table["dataset"].map(titles), headroom=table["place"].map(room))


def _as_a_place(regime: str) -> str:
    """``CIFAR-10, 45,000 images × 20 epochs`` as it reads after "on"."""
    data, _, schedule = regime.partition(", ")
    return f"{data} with {schedule.replace(' × ', ' and ')}" if regime else ""


def load_evidence(records: Path | None = None, *, studies: Path | None = None) -> Evidence:
    """Read everything.

    Args:
        records: A folder with the folders ``laptop`` and ``cifar`` instead of data/records.
        studies: Folder of the studies instead of workflow/studies.

    Raises:
        InputError: a study, a record or the claims cannot be read or do not fit together.
    """
    from anytime_study.analysis.claims import load_claims

    folder = records or RECORDS
    laptop, cifar = (load_experiments(tier, records=folder / tier, studies=studies) for tier in ("laptop", "cifar"))
    found = verdicts(load_claims(), cifar, tier="cifar")
    return Evidence(laptop, cifar, folder, found, relevant_changes())


def relevant_changes(claim: str = PRIMARY) -> Relevant:
    """As a claim of late gain and early price in data/claims.yaml has them."""
    from anytime_study.analysis.claims import load_claims

    found = next(one for one in load_claims().claims if one.id == claim)
    late, early = (part.decision.delta or 0.0 for part in found.parts)
    return Relevant(quarter=early, last=late)


def gate_table(records: list[RunRecord]) -> pd.DataFrame:
    """Headroom of both regimes of the gate: a row each, with what is not measured yet left empty.

    Columns: ``regime``, ``ratio`` (of CONST's training losses), ``opt`` and ``half_end`` (of test error), ``opt_loss``
    and ``half_end_loss`` (of training loss); per cent.
    """
    room = headroom_table(records)
    const = {setting(record.config): record for record in records if record.config.weighting == "const"}
    rows = []
    for regime in sorted({setting(record.config) for record in records}):
        row: dict[str, object] = {"regime": regime, "ratio": None}
        if regime in const:
            losses = const[regime].train.loss
            row["ratio"] = losses[0] / losses[-1]
        for alone in ("opt", "half_end"):
            own = room[(room["setting"] == regime) & (room["alone"] == alone)]
            row[alone] = own["error"].mean() if len(own) else None
            row[f"{alone}_loss"] = own["loss"].mean() if len(own) else None
        rows.append(row)
    return pd.DataFrame(rows, columns=["regime", "ratio", "opt", "half_end", "opt_loss", "half_end_loss"])


def over_opt(evidence: Evidence, table3a: pd.DataFrame) -> pd.DataFrame:
    """Test errors over OPT in per cent, the paper's Table 3a beside this study, where that has runs.

    Columns: weighting, source, and the four costs.
    """
    costs = {0.25: "a quarter", 0.5: "half", 0.75: "three quarters", 1.0: "all of the cost"}
    rows = []
    for weighting in ("const", "linear", "adaloss"):
        published = table3a[table3a["scheme"].str.lower() == weighting].set_index("cost_fraction").iloc[:, -1]
        numbers = {text: interval_text([published[fraction]]) for fraction, text in costs.items()}
        rows.append({"weighting": label(weighting), "source": "the paper", **numbers})
        for where, experiments in {"Fashion-MNIST": evidence.laptop, "CIFAR-10": evidence.cifar}.items():
            settings = [
                ({"cost": text}, {"name": "increase_over_opt", "weighting": weighting, "fraction": fraction})
                for fraction, text in costs.items()
            ]
            experiment = experiments.get("weightings")
            found = collect(experiment, settings) if experiment else pd.DataFrame()
            if len(found):
                by_cost = found.groupby("cost")["value"].agg(interval_text)
                rows.append({"weighting": label(weighting), "source": where, **by_cost.to_dict()})
    return pd.DataFrame(rows, columns=["weighting", "source", *costs.values()]).fillna("not yet")


def confirmatory(evidence: Evidence) -> pd.DataFrame:
    """The claims that are tested, in their order: a row each, with what has become of it so far."""
    tested = [verdict for verdict in evidence.found if verdict.role != "estimate"]
    return pd.DataFrame(
        {"claim": verdict.says, "where it stands": _standing(verdict, tested, evidence.cifar.get(verdict.experiment))}
        for verdict in tested
    )


def _standing(verdict: Verdict, tested: list[Verdict], experiment: Experiment | None) -> str:
    if verdict.trials:
        before = next((one for one in tested if one.claim == verdict.stopped_by), None)
        if before is None:
            return verdict.effect
        return "waits for the claims before it" if not before.trials else "not tested: a claim before it was not shown"
    if experiment is None:
        return "not started"
    return f"{len(experiment.outcomes)} of {len(experiment.planned)} runs made; judged when all are"

"""What the records of a tier say of each claim: an effect, its scope, and a flag, judged as data/claims.yaml says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from anytime_study.analysis.decisions import Effect, Evidence, all_parts, under_each
from anytime_study.analysis.measures import mean_over
from anytime_study.analysis.selection import MissingRuns, Selection
from anytime_study.analysis.statistics import Interval, mean_interval

if TYPE_CHECKING:  # torch comes with the claims and the records, not with this module
    from anytime_study.analysis.claims import Claim, Claims, Part, Protocol, Role
    from anytime_study.runs.record import RunRecord
    from anytime_study.studies.experiments import Experiment

PAPER_SCHEDULES = {  # epochs and divisions of the learning rate (Hu et al. 2019, section 5)
    "cifar10": (300, "steps"),
    "cifar100": (300, "steps"),
    "svhn": (60, "steps"),
    "ilsvrc": (90, "thirds"),
}

Scope = Literal[
    "replicated", "the paper's data, network and schedule", "the paper's data, reduced schedule", "other data"
]

NOT_TESTED = "not tested"

# Comparisons that turned out to be unfair, by claim; their numbers are shown, their verdicts are not.
_STEPS = "at one learning rate the two take steps of different length"
_BUDGETS = "the sign depends on how budgets before the first answer count"
WITHDRAWN = {
    "geometric-loss-as-adaloss": _STEPS,
    "uncertainty-weighting-as-adaloss": _STEPS,
    "eann-below-linear-ensemble": _BUDGETS,
    "eann-below-linear-ensemble-once-both-answer": _BUDGETS,
}
CONTROLLED = "not attributable to AdaLoss"


@dataclass(frozen=True)
class Trial:
    """A measure, by its name and settings, under one protocol; its values by seed, and what they show."""

    protocol: Protocol
    measure: Mapping[str, Any]
    values: pd.Series
    evidence: Evidence

    @property
    def interval(self) -> Interval:
        """Of the mean of the values, 95 %, in the measure's unit."""
        return mean_interval(self.values)


@dataclass(frozen=True)
class Verdict:
    """What the records of a tier say of one claim.

    Attributes:
        claim: Its id.
        says, where, published, role, experiment: As the claim has them.
        trials: For each part of the claim one per protocol whose runs there are.
        untested: The other protocols.
        evidence: All trials together; None if one is missing.
        scope: On what it was tested; None if it was not.
        flag: ``not attributable to AdaLoss`` where a control shows the same; else empty.
        stopped_by: The confirmatory claim before it that was not shown, so that this is an estimate only; else None.
        amended: Whether a record used for it was made under another rule, or under none.
        note: What else a reader should know: missing runs, learning rates chosen.
        queued: Whether that claim before it has not been judged yet.
    """

    claim: str
    says: str
    where: str
    published: float | None
    role: Role
    experiment: str
    trials: tuple[Trial, ...]
    untested: tuple[Protocol, ...]
    evidence: Evidence | None
    scope: Scope | None
    flag: str
    stopped_by: str | None
    amended: bool
    note: str
    queued: bool = False

    @property
    def effect(self) -> Effect | Literal["not tested", "withdrawn"]:
        """What was found. A claim whose turn did not come stays undecided, whatever its estimate."""
        if self.trials and self.claim in WITHDRAWN:
            return "withdrawn"
        if self.evidence is None:
            return "undecided" if self.trials else NOT_TESTED
        return "undecided" if self.stopped_by else self.evidence.effect

    @property
    def verdict(self) -> str:
        """Effect, scope and flag as one phrase."""
        scope = f" ({self.scope})" if self.scope else ""
        return f"{self.effect}{scope}{f', {self.flag}' if self.flag else ''}"

    @property
    def waits(self) -> bool:
        """Whether it is undecided for want of runs: one of its protocols has some, another one not."""
        return bool(self.trials and self.untested)


def verdicts(claims: Claims, experiments: Mapping[str, Experiment], *, tier: str) -> list[Verdict]:
    """Judge every claim of a tier by the records of these experiments, by name.

    Returns:
        A verdict per claim that is judged in this tier, in the order of the claims. Confirmatory ones are tested in
        that order, until one is not shown.

    Raises:
        InputError: a claim's measure does not fit its experiment.
    """
    found, stopped_by, queued = [], None, False
    for claim in claims.claims:
        if claim.judged_in(tier):
            verdict = _verdict(claim, experiments.get(claim.experiment_in(tier)), claims.rules, tier)
            if claim.role != "estimate":
                verdict = replace(verdict, stopped_by=stopped_by, queued=queued)
                if verdict.effect != "shown as claimed" and stopped_by is None:
                    stopped_by, queued = claim.id, verdict.evidence is None
            found.append(verdict)
    return found


@dataclass
class _Findings:
    """Of one claim: trials, the selections that they used, and why protocols have no trial."""

    trials: list[Trial]
    selections: list[Selection]
    untested: dict[Protocol, str]


def _measure(claim: Claim, experiment: Experiment | None, tier: str, parts: Sequence[Part]) -> _Findings:
    findings = _Findings([], [], {})
    protocols: list[Protocol] = ["own_rate"] if experiment and experiment.own_rates else claim.protocols_in(tier)
    for protocol in protocols:
        if experiment is None:
            findings.untested[protocol] = f"no study of {claim.experiment_in(tier)} in tier {tier}"
            continue
        selection = Selection(experiment, protocol)
        try:
            values = [mean_over(selection, claim.cases(part.measure, tier)) for part in parts]
        except MissingRuns as error:
            findings.untested[protocol] = str(error)
            continue
        if claim.role != "estimate" and selection.missing:  # a look before the last seed would be a second chance
            findings.untested[protocol] = "waits for its last runs: " + "; ".join(dict.fromkeys(selection.missing))
            continue
        findings.trials += [
            Trial(protocol, part.measure, of_part, part.decision.evidence(of_part.tolist()))
            for part, of_part in zip(parts, values, strict=True)
        ]
        findings.selections.append(selection)
    return findings


def _together(findings: _Findings, parts: Sequence[Part]) -> Evidence | None:
    """Under every protocol, and of all parts; None if a protocol has no runs."""
    if findings.untested or not findings.trials:
        return None
    shown = [trial.evidence for trial in findings.trials]
    return all_parts([under_each(shown[place :: len(parts)]) for place in range(len(parts))])


def _verdict(claim: Claim, experiment: Experiment | None, rules: Mapping[str, str], tier: str) -> Verdict:
    name = claim.rule_name(tier)
    findings = _measure(claim, experiment, tier, claim.parts)
    found = _together(findings, claim.parts)
    used = {run: record for selection in findings.selections for run, record in selection.used.items()}
    other_rules = [record for record in used.values() if record.rules.get(name) != rules[name]]
    notes = [f"{protocol} not tested: {reason}" for protocol, reason in findings.untested.items()]
    for selection in findings.selections:
        notes += [f"{selection.protocol}: {text}" for text in dict.fromkeys([*selection.missing, *selection.notes])]
    if other_rules:
        notes.append(f"amended: {len(other_rules)} of {len(used)} records were made under another rule")
    return Verdict(
        claim=claim.id,
        says=claim.says,
        where=claim.where,
        published=claim.published,
        role=claim.role,
        experiment=claim.experiment_in(tier),
        trials=tuple(findings.trials),
        untested=tuple(findings.untested),
        evidence=found,
        scope=_scope(claim, used, findings.trials, tier) if findings.trials else None,
        flag=_flag(claim, experiment, found, tier),
        stopped_by=None,
        amended=bool(other_rules),
        note="; ".join(notes),
    )


def _scope(claim: Claim, used: Mapping[str, RunRecord], trials: Sequence[Trial], tier: str) -> Scope:
    """Replicated: the paper's data, network and schedule, and an interval that holds the published value."""
    configs = [record.config for record in used.values()]
    published_on = frozenset(claim.published_on) or frozenset(PAPER_SCHEDULES)
    if not all(config.dataset in published_on for config in configs):
        return "other data"
    papers_network = tier == "paper" and "paper" in claim.in_tier  # which names the paper's networks
    papers_schedule = all(
        config.train_size is None and (config.epochs, config.schedule) == PAPER_SCHEDULES[config.dataset]
        for config in configs
    )
    if claim.where == "this study" or not (papers_network and papers_schedule):
        return "the paper's data, reduced schedule"
    shown = all(trial.evidence.effect == "shown as claimed" for trial in trials)
    compatible = claim.published is None or all(
        trial.interval.low <= claim.published <= trial.interval.high for trial in trials
    )
    return "replicated" if shown and compatible else "the paper's data, network and schedule"


def _flag(claim: Claim, experiment: Experiment | None, found: Evidence | None, tier: str) -> str:
    """Whether the control shows the same."""
    if claim.control is None or found is None or found.effect != "shown as claimed":
        return ""
    changed = {name: {**claim.measure[name], **fields} for name, fields in claim.control.items()}
    parts = [part.model_copy(update={"measure": {**part.measure, **changed}}) for part in claim.parts]
    control = _together(_measure(claim, experiment, tier, parts), parts)
    return CONTROLLED if control is not None and control.effect == "shown as claimed" else ""

"""What the records of a tier say of each claim, judged as data/claims.yaml says."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import pandas as pd

from anytime_study.analysis.measures import mean_over
from anytime_study.analysis.selection import MissingRuns, Selection
from anytime_study.analysis.significance import beyond_test, equivalence_test, holm, t_test
from anytime_study.analysis.statistics import Interval, mean_interval

if TYPE_CHECKING:  # torch comes with the claims and the records, not with this module
    from anytime_study.analysis.claims import Claim, Claims, Decision
    from anytime_study.analysis.claims import Protocol as ProtocolName
    from anytime_study.studies.experiments import Experiment

LEVEL = 0.05
PAPER_DATASETS = frozenset({"cifar10", "cifar100", "svhn", "ilsvrc"})

Outcome = Literal["supported", "opposite", "inconclusive"]
Word = Literal["replicated on the paper's data", "same direction on ours", "opposite", "inconclusive", "not tested"]


@dataclass(frozen=True)
class Trial:
    """A claim's measure under one protocol, tested.

    Attributes:
        protocol: one_rate or tuned_rate.
        values: By seed, in the measure's unit.
        interval: Of their mean, 95 %, not adjusted.
        claimed: Whether the mean lies on the claimed side: of the threshold, or within the margin.
        p: That it lies there, or on the other side, by chance; see :func:`judge`.
        adjusted_p: By Holm, with all trials of the experiment.
    """

    protocol: ProtocolName
    values: pd.Series
    interval: Interval
    claimed: bool
    p: float
    adjusted_p: float

    @property
    def outcome(self) -> Outcome:
        """What this protocol says by itself."""
        return _outcome(self.adjusted_p, claimed=self.claimed)

    @property
    def alone(self) -> Outcome:
        """What it would say if its experiment had no other test."""
        return _outcome(self.p, claimed=self.claimed)


@dataclass(frozen=True)
class Verdict:
    """What the records of a tier say of one claim.

    Attributes:
        claim: Its id.
        says, where, published: As the claim has them.
        experiment: Whose runs it rests on.
        decision: How values become a verdict.
        tier: Of the records.
        trials: One per protocol whose runs there are.
        untested: The other protocols.
        verdict: In the study's words.
        amended: Whether a record used for it was made under another rule, or under none.
        note: What else a reader should know: missing runs, learning rates chosen.
    """

    claim: str
    says: str
    where: str
    published: float | None
    experiment: str
    decision: Decision
    tier: str
    trials: tuple[Trial, ...]
    untested: tuple[ProtocolName, ...]
    verdict: Word
    amended: bool
    note: str

    @property
    def waits(self) -> bool:
        """Whether it is undecided for want of runs: one of its protocols has some, another one not."""
        return bool(self.trials and self.untested)

    @property
    def alone(self) -> Outcome:
        """What it would be if its claim were the only one of its experiment.

        Its protocols must still agree. That takes no adjustment: each of them has to reach the level.
        """
        return _together({trial.alone for trial in self.trials}, self.untested, self.decision)


def _outcome(p: float, *, claimed: bool) -> Outcome:
    if p >= LEVEL:
        return "inconclusive"
    return "supported" if claimed else "opposite"


def _together(outcomes: Set[Outcome], untested: Collection[ProtocolName], decision: Decision) -> Outcome:
    """All protocols have to say the same, and something that the measure can decide."""
    impossible = {"support": "opposite", "refute": "supported"}.get(decision.can_only or "")
    if untested or len(outcomes) != 1 or impossible in outcomes:
        return "inconclusive"
    (outcome,) = outcomes
    return outcome


def judge(values: pd.Series, decision: Decision) -> tuple[bool, float]:
    """Test the values of the seeds as the decision says.

    For ``below`` and ``above`` p is that of the two-sided t test against the threshold. For ``within`` it is that of
    equivalence (TOST) if the mean is within the margin, else that of the two-sided t test against the nearer margin.

    Returns:
        Whether the mean lies on the claimed side, and p.

    Raises:
        ValueError: fewer than two values.
    """
    mean = float(values.mean())
    if decision.margin is not None:
        within = abs(mean) <= decision.margin
        # doubled: which side of the margin is tested was chosen by a look at the mean
        return within, equivalence_test(values, decision.margin) if within else min(
            1.0, 2 * beyond_test(values, decision.margin)
        )
    claimed = mean < decision.threshold if decision.kind == "below" else mean > decision.threshold
    return claimed, t_test(values, decision.threshold)


def verdicts(claims: Claims, experiments: Mapping[str, Experiment], *, tier: str) -> list[Verdict]:
    """Judge every claim by the records of these experiments.

    Args:
        claims: With their rules.
        experiments: By name, of one tier.
        tier: Its name.

    Returns:
        A verdict per claim, in the order of the claims.

    Raises:
        InputError: a claim's measure does not fit its experiment.
    """
    found = {claim.id: _measure(claim, experiments.get(claim.experiment), tier) for claim in claims.claims}
    for experiment in experiments:
        _adjust([found[claim.id] for claim in claims.claims if claim.experiment == experiment])
    return [_verdict(claim, found[claim.id], claims.rules, tier) for claim in claims.claims]


@dataclass
class _Findings:
    """Of one claim: trials by protocol, the selections that they used, and why protocols have no trial."""

    trials: list[Trial]
    selections: list[Selection]
    untested: dict[ProtocolName, str]


def _measure(claim: Claim, experiment: Experiment | None, tier: str) -> _Findings:
    findings = _Findings([], [], {})
    protocols, cases = claim.in_tier(tier)
    for protocol in protocols:
        if experiment is None:
            findings.untested[protocol] = f"no study of {claim.experiment} in tier {tier}"
            continue
        selection = Selection(experiment, protocol)
        try:
            values = mean_over(selection, cases)
        except MissingRuns as error:
            findings.untested[protocol] = str(error)
            continue
        claimed, p = judge(values, claim.decision)
        findings.trials.append(Trial(protocol, values, mean_interval(values), claimed, p, adjusted_p=p))
        findings.selections.append(selection)
    return findings


def _adjust(findings: list[_Findings]) -> None:
    """Holm over all trials of an experiment. Those without runs yet count too, so that they change no other verdict."""
    without = [1.0 for each in findings for _ in each.untested]
    adjusted = iter(holm([*(trial.p for each in findings for trial in each.trials), *without]))
    for each in findings:
        each.trials = [replace(trial, adjusted_p=float(next(adjusted))) for trial in each.trials]


def _verdict(claim: Claim, findings: _Findings, rules: Mapping[str, str], tier: str) -> Verdict:
    name = claim.rule_name(tier)
    used = {run: record for selection in findings.selections for run, record in selection.used.items()}
    other_rules = [record for record in used.values() if record.rules.get(name) != rules[name]]
    # a question of this study has nothing to replicate
    published_on = frozenset(claim.published_on) or PAPER_DATASETS
    replicates = claim.where != "this study" and all(r.config.dataset in published_on for r in used.values())
    outcome = _together({trial.outcome for trial in findings.trials}, findings.untested, claim.decision)
    word: Word
    if not findings.trials:
        word = "not tested"
    elif outcome == "supported":
        word = "replicated on the paper's data" if replicates else "same direction on ours"
    else:
        word = outcome
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
        experiment=claim.experiment,
        decision=claim.decision,
        tier=tier,
        trials=tuple(findings.trials),
        untested=tuple(findings.untested),
        verdict=word,
        amended=bool(other_rules),
        note="; ".join(notes),
    )

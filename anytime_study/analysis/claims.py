"""The papers' claims and the rules by which they are judged, as data/claims.yaml states and explains them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from anytime_study.analysis import decisions
from anytime_study.foundations.validation import read_yaml, validated
from anytime_study.studies.study import ROOT, combinations

CLAIMS = ROOT / "data" / "claims.yaml"

Protocol = Literal["one_rate", "tuned_rate", "own_rate"]
Role = Literal["primary", "sequence", "estimate"]


class Decision(BaseModel):
    """How the values of the seeds become a finding; data/claims.yaml defines the three kinds.

    Attributes:
        kind: The side of the threshold that is claimed, or ``"within"`` a margin around 0.
        threshold: In the unit of the measure.
        margin: Of ``"within"``, in the unit of the measure.
        delta: δ, the smallest relevant distance from the threshold, in the unit of the measure; not with ``"within"``.
        can_only: What the values can do, if the measure is known to err to one side: support the claim, or refute it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: decisions.Kind
    threshold: FiniteFloat = 0.0
    margin: Annotated[FiniteFloat, Field(gt=0)] | None = None
    delta: Annotated[FiniteFloat, Field(gt=0)] | None = None
    can_only: Literal["support", "refute"] | None = None

    @model_validator(mode="after")
    def _margin_where_it_belongs(self) -> Decision:
        if (self.kind == "within") != (self.margin is not None):
            raise ValueError(f"margin: expected with the kind within and with no other, found {self.margin}")
        if self.kind == "within" and self.delta is not None:
            raise ValueError(f"delta: expected none with the kind within, found {self.delta}")
        return self

    def evidence(self, values: Sequence[float]) -> decisions.Evidence:
        """What the values of the seeds, [n], show; see :func:`anytime_study.analysis.decisions.evidence`."""
        found = decisions.evidence(values, self.kind, threshold=self.threshold, margin=self.margin, delta=self.delta)
        if self.can_only == "support":
            return replace(found, opposite=1.0, small=1.0)
        return replace(found, claimed=1.0) if self.can_only == "refute" else found


class Part(BaseModel):
    """One of several things that a claim says together: the name and settings of a measure, and how it decides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: dict[str, Any]
    decision: Decision


@dataclass(frozen=True)
class Case:
    """One comparison of a claim: a measure, and the fields that set its runs apart from the main grid."""

    measure: dict[str, Any]
    fields: dict[str, Any]


class TierRuns(BaseModel):
    """How a claim is judged in a tier that has other networks and data sets: by the mean of a measure over them.

    Attributes:
        runs: Each is a set of fields in which runs differ from the main grid; a list stands for each of its values.
        networks: Pairs: the network of the measure's ``first``, and that of its ``second``.
        settings: Of the measure, in addition to the claim's or instead of them.
        experiment: Whose runs it rests on there, if it is another one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    runs: Annotated[list[dict[str, Any]], Field(min_length=1)] = [{}]
    networks: Annotated[list[tuple[str, str]], Field(min_length=1)] | None = None
    settings: dict[str, Any] = {}
    experiment: str | None = None


class Claim(BaseModel):
    """One claim of the papers, or a question of this study, with the rule of its judgement.

    Attributes:
        where: In which paper it stands, and where there; or "this study".
        published: The paper's value of the measure; None if it gives none.
        role: ``primary`` and ``sequence`` are confirmatory.
        experiment: The studies of this experiment make the runs that it rests on.
        also: What it says besides; it is shown only if all parts are.
        control: Fields that replace those of the measure's ``first`` or ``second``, such as another weighting. Where
            the control shows the same, the effect is not attributable to AdaLoss.
        protocols: Under which it is judged where the study does not fix a rate for each weighting.
        in_tier: What is compared in a tier with other networks and data sets.
        tiers: The only tiers in which it is judged; if empty, all but those that have claims of their own.
        published_on: The data sets of the paper's number, where they are not all that the experiment has in the tier
            ``paper``. Runs on another one of the paper's data sets replicate nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    says: str
    where: str
    published: FiniteFloat | None = None
    role: Role = "estimate"
    experiment: str
    measure: dict[str, Any]
    decision: Decision
    also: list[Part] = []
    control: dict[Literal["first", "second"], dict[str, Any]] | None = None
    protocols: list[Protocol] = ["one_rate"]
    in_tier: dict[Literal["cifar", "paper"], TierRuns] = {}
    tiers: list[Literal["language"]] = []
    published_on: list[str] = []

    @property
    def parts(self) -> list[Part]:
        """All that it says."""
        return [Part(measure=self.measure, decision=self.decision), *self.also]

    def judged_in(self, tier: str) -> bool:
        """Whether it is judged by the records of a tier."""
        return tier in self.tiers if self.tiers else tier != "language"

    def experiment_in(self, tier: str) -> str:
        """Whose runs it rests on in a tier."""
        return self._there(tier).experiment or self.experiment

    def protocols_in(self, tier: str) -> list[Protocol]:
        """Under which it is judged in a tier: in ``paper`` a number is repeated as it was measured, tuned or not."""
        return ["one_rate"] if tier == "paper" and "paper" in self.in_tier else self.protocols

    def _there(self, tier: str) -> TierRuns:
        return next((runs for name, runs in self.in_tier.items() if name == tier), TierRuns())

    def cases(self, measure: dict[str, Any], tier: str) -> list[Case]:
        """The comparisons whose mean is judged in a tier. InputError if a list of ``runs`` has no value."""
        there = self._there(tier)
        measure = measure | there.settings
        where = f"claim {self.id}, in_tier {tier}"
        fields = [each for runs in there.runs for each in combinations(runs, where=where)]
        measures = [measure]
        if there.networks:
            sides = [{"first": {"network": first}, "second": {"network": second}} for first, second in there.networks]
            measures = [measure | {name: measure.get(name, {}) | each[name] for name in each} for each in sides]
        return [Case(each, runs) for runs in fields for each in measures]

    def rule_name(self, tier: str) -> str:
        """Under which name a record keeps the digest of the rule by which the claim is judged in a tier."""
        return f"{self.id}@{tier}" if tier in self.in_tier else self.id


class Claims(BaseModel):
    """All claims, and the definitions of the measures that they use.

    Attributes:
        protocols, measures, in_tier: Definitions in words: of each protocol, of each measure, and of what is judged in
            a tier with other networks and data sets.
        claims: In the order of the ledger.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocols: dict[Protocol, str]
    measures: dict[str, str]
    in_tier: str = ""
    claims: list[Claim]

    @model_validator(mode="after")
    def _fit_together(self) -> Claims:
        ids = [claim.id for claim in self.claims]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"claims: expected each id once, found {', '.join(twice)} more than once")
        for claim in self.claims:
            for part in claim.parts:
                if (name := part.measure.get("name")) not in list(self.measures):  # which may be of any type
                    known = ", ".join(self.measures)
                    raise ValueError(f"claim {claim.id}: expected a measure of {known}, found {name}")
            for tier in claim.in_tier:
                claim.cases(claim.measure, tier)  # whose runs must be sound too
            if missing := set(claim.protocols) - set(self.protocols):
                raise ValueError(f"claim {claim.id}: expected protocols that are defined, found {', '.join(missing)}")
        return self

    @cached_property
    def rules(self) -> dict[str, str]:
        """The SHA-256 of each claim's rule, by its :meth:`Claim.rule_name` in a tier."""
        rules = {claim.id: self._digest(claim) for claim in self.claims}
        for claim in self.claims:
            for tier, runs in claim.in_tier.items():
                rule = {"in_tier": runs.model_dump(), "rule": rules[claim.id], "definition": self.in_tier}
                rules[claim.rule_name(tier)] = _sha256(rule)
        return rules

    def _digest(self, claim: Claim) -> str:
        """Of everything that decides the verdict. Words about the claim, and its published value, are no part of it."""
        rule = claim.model_dump(include={"role", "experiment", "measure", "decision", "also", "control", "protocols"})
        rule["level"] = decisions.LEVEL
        rule["code"] = decisions.code_digest()
        rule["definitions"] = {name: self.protocols[name] for name in claim.protocols} | {
            part.measure["name"]: self.measures[part.measure["name"]] for part in claim.parts
        }
        if claim.role != "estimate":  # what is tested before it decides whether it is tested at all
            before = self.claims[: self.claims.index(claim)]
            rule["after"] = [other.id for other in before if other.role != "estimate" and other.tiers == claim.tiers]
        return _sha256(rule)


def _sha256(rule: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()


def load_claims(path: Path = CLAIMS) -> Claims:
    """Read a file of claims.

    Raises:
        InputError: it cannot be read or is not such a file; names the field.
    """
    content = read_yaml(path, where=f"claims {path}", expected="measures and claims")
    return validated(Claims, content, where=f"claims {path.name}")

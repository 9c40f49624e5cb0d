"""The papers' claims and the rules by which they are judged, as data/claims.yaml states them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from anytime_study.foundations.validation import read_yaml, validated
from anytime_study.studies.study import ROOT, combinations

CLAIMS = ROOT / "data" / "claims.yaml"

Protocol = Literal["one_rate", "tuned_rate"]


class Decision(BaseModel):
    """How the values of the seeds become a verdict; data/claims.yaml defines the three kinds.

    Attributes:
        kind: The side of the threshold that is claimed, or ``"within"`` a margin around 0.
        threshold: In the unit of the measure.
        margin: Of ``"within"``, in the unit of the measure.
        can_only: What the values can do, if the measure is known to err to one side: support the claim, or refute it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["below", "above", "within"]
    threshold: FiniteFloat = 0.0
    margin: Annotated[FiniteFloat, Field(gt=0)] | None = None
    can_only: Literal["support", "refute"] | None = None

    @model_validator(mode="after")
    def _margin_where_it_belongs(self) -> Decision:
        if (self.kind == "within") != (self.margin is not None):
            raise ValueError(f"margin: expected with the kind within and with no other, found {self.margin}")
        return self


@dataclass(frozen=True)
class Case:
    """One comparison of a claim: a measure, and the fields that set its runs apart from the main grid."""

    measure: dict[str, Any]
    fields: dict[str, Any]


class PaperRuns(BaseModel):
    """How a claim is judged in the tier ``paper``: by the mean of a measure over networks and data sets of the papers.

    Attributes:
        runs: Each is a set of fields in which runs differ from the main grid; a list stands for each of its values.
        networks: Pairs: the network of the measure's ``first``, and that of its ``second``.
        settings: Of the measure, in addition to the claim's or instead of them.
        protocols: Of which the tier has runs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    runs: Annotated[list[dict[str, Any]], Field(min_length=1)] = [{}]
    networks: Annotated[list[tuple[str, str]], Field(min_length=1)] | None = None
    settings: dict[str, Any] = {}
    protocols: list[Protocol] = ["one_rate"]


class Claim(BaseModel):
    """One claim of the papers, or a question of this study, with the rule of its judgement.

    Attributes:
        id: Short name.
        says: The claim in words.
        where: In which paper it stands, and where there; or "this study".
        published: The paper's value of the measure; None if it gives none.
        experiment: The studies of this experiment make the runs that it rests on.
        measure: Its name and settings.
        decision: From values to a verdict.
        protocols: Under which it is judged: the published way with one learning rate for all weightings, and with each
            weighting's own, chosen on validation images.
        in_paper_tier: What is compared in the tier ``paper`` instead, where that has other networks and data sets.
        published_on: The data sets of the paper's number, where they are not all that the experiment has in that tier.
            Runs on another one of the paper's data sets replicate nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    says: str
    where: str
    published: FiniteFloat | None
    experiment: str
    measure: dict[str, Any]
    decision: Decision
    protocols: list[Protocol] = ["one_rate"]
    in_paper_tier: PaperRuns | None = None
    published_on: list[str] = []

    def in_tier(self, tier: str) -> tuple[list[Protocol], list[Case]]:
        """The protocols under which it is judged in a tier, and the comparisons whose mean is judged.

        Raises:
            InputError: a set of runs has a list without a value, or more than a million combinations: in no claim that
                was loaded.
        """
        paper = self.in_paper_tier
        if tier != "paper" or paper is None:
            return self.protocols, [Case(self.measure, {})]
        measure = self.measure | paper.settings
        where = f"claim {self.id}, in_paper_tier"
        fields = [each for runs in paper.runs for each in combinations(runs, where=where)]
        measures = [_with_networks(measure, *pair) for pair in paper.networks] if paper.networks else [measure]
        return paper.protocols, [Case(each, runs) for runs in fields for each in measures]

    def rule_name(self, tier: str) -> str:
        """Under which name a record keeps the digest of the rule by which the claim is judged in a tier."""
        return f"{self.id}@paper" if tier == "paper" and self.in_paper_tier else self.id


def _with_networks(measure: dict[str, Any], first: str, second: str) -> dict[str, Any]:
    return measure | {
        name: {**measure.get(name, {}), "network": network}
        for name, network in {"first": first, "second": second}.items()
    }


class Claims(BaseModel):
    """All claims, and the definitions of the measures that they use.

    Attributes:
        protocols: Definition of each protocol, in words.
        measures: Definition of each measure, in words.
        paper_tier: How claims are judged in the tier ``paper``, in words.
        claims: In the order of the ledger.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocols: dict[Protocol, str]
    measures: dict[str, str]
    paper_tier: str = ""
    claims: list[Claim]

    @model_validator(mode="after")
    def _fit_together(self) -> Claims:
        ids = [claim.id for claim in self.claims]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"claims: expected each id once, found {', '.join(twice)} more than once")
        for claim in self.claims:
            if (name := claim.measure.get("name")) not in list(self.measures):  # which may be of any type
                raise ValueError(f"claim {claim.id}: expected a measure of {', '.join(self.measures)}, found {name}")
            claim.in_tier("paper")  # whose runs must be sound too
            if missing := set(claim.protocols) - set(self.protocols):
                raise ValueError(f"claim {claim.id}: expected protocols that are defined, found {', '.join(missing)}")
        return self

    @cached_property
    def rules(self) -> dict[str, str]:
        """The SHA-256 of each claim's rule, by its :meth:`Claim.rule_name` in a tier."""
        rules = {claim.id: self._digest(claim) for claim in self.claims}
        return rules | {
            claim.rule_name("paper"): self._paper_digest(claim) for claim in self.claims if claim.in_paper_tier
        }

    def _digest(self, claim: Claim) -> str:
        """Of everything that decides the verdict. Words about the claim, and its published value, are no part of it."""
        rule = claim.model_dump(include={"experiment", "measure", "decision", "protocols"})
        if claim.decision.can_only is None:
            del rule["decision"]["can_only"]  # younger than most rules, whose digests stay
        rule["protocols"] = {name: self.protocols[name] for name in claim.protocols}
        rule["definition"] = self.measures[claim.measure["name"]]
        return _sha256(rule)

    def _paper_digest(self, claim: Claim) -> str:
        rule = claim.model_dump(include={"in_paper_tier"})
        rule["rule"] = self._digest(claim)
        rule["definition"] = self.paper_tier
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

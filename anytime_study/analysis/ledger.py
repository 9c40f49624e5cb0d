"""The ledger: all claims of the papers with the verdicts of a tier's records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from anytime_study.analysis.statistics import Interval
from anytime_study.analysis.verdicts import Verdict, verdicts
from anytime_study.studies.experiments import load_experiments

if TYPE_CHECKING:  # torch comes with the claims and the records, not with this module
    from anytime_study.analysis.claims import Claim, Claims


def ledger(
    tier: str,
    *,
    records: Path | None = None,
    studies: Path | None = None,
    claims: Claims | None = None,
) -> list[Verdict]:
    """Judge every claim by the records of a tier, in the order of the claims.

    Args:
        tier, records, studies: Of :func:`anytime_study.studies.experiments.load_experiments`.
        claims: Instead of those in data/claims.yaml.

    Raises:
        InputError: a study, a record or the claims cannot be read or do not fit together.
    """
    from anytime_study.analysis.claims import load_claims

    claims = load_claims() if claims is None else claims
    return verdicts(claims, load_experiments(tier, records=records, studies=studies), tier=tier)


TIERS = ("paper", "cifar", "laptop")
"""From the one whose runs say most about the papers to the one whose runs say least."""


def strongest(by_tier: Mapping[str, list[Verdict]]) -> list[Verdict]:
    """For each claim the verdict of the first of :data:`TIERS` that has runs of it; of the last one if none has."""
    rows = zip(*(by_tier[tier] for tier in TIERS if tier in by_tier), strict=True)
    return [next((verdict for verdict in row if verdict.trials), row[-1]) for row in rows]


def of_weights_alone(claim: Claim) -> bool:
    """Whether a claim compares AdaLoss with equal weights in one network: nothing but the weights differs."""
    measure = claim.measure
    if measure.get("minus") == "const":
        return measure.get("weighting") == "adaloss"
    first, second = measure.get("first"), measure.get("second")
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return False
    return {**first, "weighting": "const"} == second and first.get("weighting") == "adaloss"


def ledger_lines(found: Iterable[Verdict]) -> Iterator[str]:
    """The ledger for a terminal: a line with each claim's verdict, then its numbers and notes."""
    for verdict in found:
        yield f"{verdict.verdict}{' [amended]' if verdict.amended else ''}: {verdict.claim}"
        for trial in verdict.trials:
            paper = "" if verdict.published is None else f"; paper {verdict.published:g}"
            ours = f"{_text(trial.interval)}, {trial.interval.n} seeds, p {trial.evidence.claimed:.3g}"
            yield f"    {trial.protocol}: {ours}{paper}"
        if verdict.stopped_by:
            why = "has not been judged yet" if verdict.queued else "was not shown"
            yield f"    an estimate only: {verdict.stopped_by}, which is tested before it, {why}"
        if verdict.note:
            yield f"    {verdict.note}"


def _text(interval: Interval) -> str:
    """Mean and ends, with a real minus."""
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]".replace("-", "−")

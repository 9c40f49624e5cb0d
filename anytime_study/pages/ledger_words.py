"""What the ledger says in sentences: of the papers' claims, and of those that speak of the weights alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from anytime_study.analysis.ledger import of_weights_alone
from anytime_study.analysis.verdicts import NOT_TESTED, Verdict
from anytime_study.pages.result_pages import limits
from anytime_study.pages.words import listed, number

if TYPE_CHECKING:  # torch comes with the claims
    from anytime_study.analysis.claims import Claim

_EFFECTS = {  # in the order in which they are told
    "shown as claimed": "shown as claimed",
    "shown opposite": "shown to go the other way",
    "no effect as large as δ": "too small to matter",
    "undecided": "undecided",
    "withdrawn": "withdrawn",
    NOT_TESTED: "not tested",
}


def of_the_papers(found: Sequence[Verdict]) -> str:
    """How the papers' claims stand, by effect; the study's own questions are left out."""
    papers = [verdict for verdict in found if verdict.where != "this study"]
    by_effect = [(text, sum(verdict.effect == effect for verdict in papers)) for effect, text in _EFFECTS.items()]
    told = listed(f"{number(count)} {'is' if count == 1 else 'are'} {text}" for text, count in by_effect if count)
    sentences = [f"Of {number(len(papers))} claims of the papers, {told}."]
    if flagged := sum(bool(verdict.flag) for verdict in papers):
        of_them = "One of those shown is" if flagged == 1 else f"{number(flagged).capitalize()} of those shown are"
        sentences.append(f"{of_them} shown by a control without AdaLoss too, so AdaLoss is not the cause.")
    if {verdict.scope for verdict in papers if verdict.scope} == {"other data"}:
        sentences.append("All were tested on other data than the papers'.")
    return " ".join(sentences)


def of_the_weights(found: Sequence[Verdict], claims: Mapping[str, Claim]) -> str:
    """How those of the papers' claims stand in which nothing but the weights differs."""
    alone = [one for one in found if one.where != "this study" and one.trials and of_weights_alone(claims[one.claim])]
    if not alone:
        return "No claim that compares AdaLoss with equal weights in one network has been tested yet."
    compare = "One of them compares" if len(alone) == 1 else f"{number(len(alone)).capitalize()} of them compare"
    sentences = [f"{compare} AdaLoss with equal weights in one network."]
    for effect, says in (("shown as claimed", "Shown"), ("shown opposite", "The opposite is shown of")):
        if told := [f"“{verdict.says}”" for verdict in alone if verdict.effect == effect]:
            sentences.append(f"{says}: {' '.join(told)}")
    return " ".join(sentences) if len(sentences) > 1 else f"{sentences[0]} None of these is decided so far."


def common_limits(found: Sequence[Verdict]) -> set[str]:
    """What limits every verdict that rests on runs, so that a page says it once."""
    tested = [set(limits(verdict)) for verdict in found if verdict.trials and verdict.effect != "withdrawn"]
    return set.intersection(*tested) if tested else set()


def of_amended_rules(found: Sequence[Verdict]) -> str:
    """How many rules were changed after their runs."""
    tested = [verdict for verdict in found if verdict.trials]
    amended = sum(verdict.amended for verdict in tested)
    if not amended:
        return "No rule was changed after its runs." if tested else ""
    which = "All rules" if amended == len(tested) else f"{number(amended).capitalize()} of {len(tested)} rules"
    if amended == 1 and len(tested) > 1:
        which = f"One of {len(tested)} rules"
    return f"{which} {'was' if amended == 1 else 'were'} amended after the runs; data/claims.yaml says how and why."


def of_missing_runs(found: Sequence[Verdict]) -> str:
    """How many claims have no runs yet, or not all of them."""
    untested, waiting = (sum(kind) for kind in zip(*((not one.trials, one.waits) for one in found), strict=True))
    if not untested and not waiting:
        return ""
    none = "One claim has no runs" if untested == 1 else f"{number(untested).capitalize()} claims have no runs"
    if not waiting:
        return f"{none} yet, so it has no row." if untested == 1 else f"{none} yet, so they have no row."
    some = f"{number(waiting)} {'waits' if waiting == 1 else 'wait'} for the rest of theirs"
    return f"{none} yet, and {some}." if untested else f"{some.capitalize()}."

"""What the ledger says in sentences: of the papers' claims, and of those that speak of the weights alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from anytime_study.analysis.ledger import of_weights_alone
from anytime_study.analysis.verdicts import NOT_TESTED, Verdict
from anytime_study.pages.result_pages import AMENDED, limits
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
    by_effect = {text: sum(verdict.effect == effect for verdict in papers) for effect, text in _EFFECTS.items()}
    written = str if len(papers) > _MOST_AS_WORDS else number  # words and digits are not mixed in one sentence
    told = listed(
        f"{written(count)} {'is' if count == 1 else 'are'} {text}" for text, count in by_effect.items() if count
    )
    if len(papers) == 1:
        sentences = [f"The papers' only claim is {next(text for text, count in by_effect.items() if count)}."]
    else:
        sentences = [f"Of {written(len(papers))} claims of the papers, {told}."]
    if flagged := sum(bool(verdict.flag) for verdict in papers):
        of_them = "one of those shown" if flagged == 1 else f"{number(flagged)} of those shown"
        sentences.append(f"For {of_them}, a control without AdaLoss shows the same, so AdaLoss is not the cause.")
    if {verdict.scope for verdict in papers if verdict.scope} == {"other data"}:
        sentences.append("All were tested on other data than the papers'.")
    return " ".join(sentences)


_MOST_AS_WORDS = 12


def of_the_weights(found: Sequence[Verdict], claims: Mapping[str, Claim]) -> str:
    """How those of the papers' claims stand in which nothing but the weights differs."""
    alone = [one for one in found if one.where != "this study" and one.trials and of_weights_alone(claims[one.claim])]
    if not alone:
        return "No claim that compares AdaLoss with equal weights in one network has been tested yet."
    compare = "One compares" if len(alone) == 1 else f"{number(len(alone)).capitalize()} compare"
    sentences = [f"{compare} AdaLoss with equal weights in one network."]
    for effect, of_one, of_several in (
        ("shown as claimed", "One is shown:", "{} are shown:"),
        ("shown opposite", "Of one, the opposite is shown:", "Of {}, the opposite is shown:"),
        ("no effect as large as δ", "One is too small to matter:", "{} are too small to matter:"),
    ):
        if told := [f"“{verdict.says}”" for verdict in alone if verdict.effect == effect]:
            several = of_several.format(number(len(told)))
            sentences.append(f"{of_one if len(told) == 1 else several[:1].upper() + several[1:]} {' '.join(told)}")
    open_ones = sum(verdict.effect == "undecided" for verdict in alone)
    if open_ones == len(alone):
        return f"{sentences[0]} {'It is undecided.' if open_ones == 1 else 'All are undecided.'}"
    if open_ones:
        sentences.append("One is undecided." if open_ones == 1 else f"{number(open_ones).capitalize()} are undecided.")
    return " ".join(sentences)


def common_limits(found: Sequence[Verdict]) -> set[str]:
    """What limits every verdict that rests on runs, so that a page says it once; of amended rules it tells in words."""
    tested = [set(limits(verdict)) for verdict in found if verdict.trials and verdict.effect != "withdrawn"]
    return {AMENDED} | (set.intersection(*tested) if tested else set())


_FEW = 3


def of_amended_rules(found: Sequence[Verdict]) -> str:
    """How many rules were changed after their runs, and which are as they were if these are few."""
    tested = [verdict for verdict in found if verdict.trials]
    kept = [f"“{verdict.says}”" for verdict in tested if not verdict.amended]
    amended = len(tested) - len(kept)
    if not amended:
        return "No rule was amended after its runs." if tested else ""
    if not kept:
        return "All rules were amended after the runs."
    were = "was" if amended == 1 else "were"
    counted = f"{amended} of {len(tested)} rules {were} amended after the runs"
    if len(kept) > _FEW:
        return f"{counted}."
    return f"{counted}; {'the exception is' if len(kept) == 1 else 'the exceptions are'} {' '.join(kept)}"


def of_missing_runs(found: Sequence[Verdict]) -> str:
    """How many claims have no runs yet, or not all of them."""
    untested, waiting = (sum(kind) for kind in zip(*((not one.trials, one.waits) for one in found), strict=True))
    if not untested and not waiting:
        return ""
    none = "One claim has no runs" if untested == 1 else f"{number(untested).capitalize()} claims have no runs"
    if not waiting:
        return f"{none} yet, so it has no number." if untested == 1 else f"{none} yet, so they have no numbers."
    some = f"{number(waiting)} {'waits' if waiting == 1 else 'wait'} for the rest of theirs"
    return f"{none} yet, and {some}." if untested else f"{some.capitalize()}."

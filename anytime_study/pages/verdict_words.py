"""Verdicts on claims as tables and sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from anytime_study.analysis.ledger import of_weights_alone
from anytime_study.analysis.verdicts import CONTROLLED, NOT_TESTED, WITHDRAWN, Verdict
from anytime_study.pages.words import (
    capital,
    change_in_a_table,
    interval_text,
    listed,
    number,
    part_of,
    percent,
    value_in_words,
)

if TYPE_CHECKING:  # torch comes with the claims
    from anytime_study.analysis.claims import Claim

AMENDED = "rule amended"
_PROTOCOLS = {"one_rate": "one rate for all", "tuned_rate": "each at its best rate", "own_rate": "each at its own rate"}
_LOGARITHMS = ("log_error_change", "own_objective_change")
_UNITS = {
    "eann_inflation": "(factor − bound)",
    "loss_ratio": "times",
    "concentration_difference": "% of the cost",
    "spread_difference": "doublings",
    "early_exit_excess": "points",
    "gain_on_headroom": "% per % of headroom",
}


def verdict_table(found: Sequence[Verdict], *, unsaid: Collection[str] = ()) -> pd.DataFrame:
    """Verdicts as a page shows them.

    Args:
        found: Of some claims.
        unsaid: Limits that the page tells of all of them at once, see :func:`common_limits`.

    Returns:
        A row per verdict.

    Columns: claim (in words), found (the effect with its scope, and what limits it), here (mean and 95 % interval, a
    line per protocol), the paper (where, and its number), seeds. A phone shows the first two.
    """
    rows = [
        {
            "claim": verdict.says,
            "found": _found(verdict, unsaid),
            "here": _ours(verdict),
            "the paper": _published(verdict),
            "seeds": ", ".join(dict.fromkeys(str(trial.interval.n) for trial in verdict.trials)),
        }
        for verdict in found
    ]
    return pd.DataFrame(rows)


def _limits(verdict: Verdict) -> list[str]:
    """What limits a finding: its scope, a flag, an amended rule, runs that are missing."""
    missing = ", ".join(_PROTOCOLS[protocol] for protocol in verdict.untested)
    turn = "waits for a claim before it" if verdict.queued else "a claim before it was not shown"
    waiting = f"waits for runs with {missing}" if verdict.waits else turn if verdict.stopped_by else ""
    return [limit for limit in (verdict.scope, verdict.flag, AMENDED * verdict.amended, waiting) if limit]


def _found(verdict: Verdict, unsaid: Collection[str]) -> str:
    if verdict.effect == "withdrawn":
        return f"withdrawn: {WITHDRAWN[verdict.claim]}"
    effect = "smaller than matters" if verdict.effect == "no effect as large as δ" else verdict.effect
    told = "; ".join(limit for limit in _limits(verdict) if limit not in unsaid)
    return f"{effect} ({told})" if told else effect


def _ours(verdict: Verdict) -> str:
    """Mean and interval under each protocol that was tested, with the unit."""
    several = len({trial.protocol for trial in verdict.trials}) > 1
    told = []
    for trial in verdict.trials:
        protocol, unit = f" ({_PROTOCOLS[trial.protocol]})" if several else "", _unit(trial.measure)
        in_logarithms = trial.measure["name"] in _LOGARITHMS
        digits = 2 if unit == "times" else 1
        written = change_in_a_table(trial.values) if in_logarithms else interval_text(trial.values, digits=digits)
        told.append(f"{written} {unit}{protocol}")
    return "; ".join(told)


def _unit(measure: Mapping[str, Any]) -> str:
    """Of a measure; differences of percentages are percentage points."""
    return "points" if "minus" in measure else _UNITS.get(measure["name"], "%")


def _published(verdict: Verdict) -> str:
    where = verdict.where.replace("-", "\N{NON-BREAKING HYPHEN}")  # "Fig. 4a-c" in one piece
    if not verdict.published:  # none, or a bound of theory
        return "" if verdict.where == "this study" else where
    unit = f" {_unit(verdict.trials[0].measure)}" if verdict.trials else ""
    return f"{where}: {percent(verdict.published)}{unit}"


# --- of the claims of a chapter --------------------------------------------------------------------------------------

_EFFECTS = {  # in the order in which they are told: what follows "is" or "are"
    "shown as claimed": "shown as claimed",
    "shown opposite": "shown to go the other way",
    "no effect as large as δ": "too small to matter",
    "undecided": "undecided",
    "withdrawn": "withdrawn",
    NOT_TESTED: "not tested yet",
}


def judged(found: Sequence[Verdict]) -> str:
    """When the rules of some claims were written, and what became of the claims.

    ``We wrote the rules before the runs and amended them afterwards. Of three claims, two are undecided, and of one the
    opposite is shown.``
    """
    shown = [verdict for verdict in found if verdict.effect == "shown as claimed"]
    told = [_when_written([verdict for verdict in found if verdict.trials]), _became(found)]
    if controlled := sum(verdict.flag == CONTROLLED for verdict in shown):
        of_them = "that one" if len(shown) == 1 else part_of(controlled, len(shown))
        whose = "its" if len(shown) == 1 else "their" if controlled == len(shown) else "the"
        told.append(f"A control without AdaLoss shows the same for {of_them}, so AdaLoss is not {whose} cause.")
    return " ".join(told)


def _when_written(tested: Sequence[Verdict]) -> str:
    amended = sum(verdict.amended for verdict in tested)
    if not tested:
        return "We write the rules before the runs."
    if not amended:
        return "We wrote the rules before the runs and have not changed them since."
    which = "them" if amended == len(tested) else part_of(amended, len(tested))
    return f"We wrote the rules before the runs and amended {which} afterwards."


def _became(found: Sequence[Verdict]) -> str:
    counts = Counter(verdict.effect for verdict in found)
    if len(found) == 1:
        return f"The only claim is {_EFFECTS[found[0].effect]}."
    if counts[NOT_TESTED] == len(found):
        return f"{capital(part_of(0, len(found)))} claims has been tested yet."
    if len(counts) == 1:
        return f"{capital(part_of(len(found), len(found)))} claims are {_EFFECTS[found[0].effect]}."
    told = [
        f"of {number(counts[effect])} the opposite is shown"
        if effect == "shown opposite"
        else f"{number(counts[effect])} {'is' if counts[effect] == 1 else 'are'} {_EFFECTS[effect]}"
        for effect in sorted(_EFFECTS, key="shown opposite".__eq__)  # reads better at the end
        if effect in counts
    ]
    return f"Of {number(len(found))} claims, {', '.join(told[:-1])}, and {told[-1]}."


def little_to_weigh(differ: Verdict) -> str:
    """Why weights by the losses can change little, where a claim that the losses differ was shown to be false."""
    if differ.effect != "shown opposite":
        return ""
    ratio = value_in_words(differ.trials[0].values, "", 2)
    return (
        f"There was little to weigh: with equal weights the first exit's training loss over the last one's is {ratio}."
    )


# --- of the whole ledger ---------------------------------------------------------------------------------------------


def of_the_primary(found: Sequence[Verdict]) -> str:
    """How this study's primary claim stands, empty where no such claim has a run."""
    tested = [verdict for verdict in found if verdict.role == "primary" and verdict.trials]
    if not tested:
        return ""
    first = tested[0]
    limits = f" ({told})" if (told := "; ".join(limit for limit in _limits(first) if limit != AMENDED)) else ""
    return f"This study's primary claim is {_EFFECTS[first.effect]}{limits}: “{first.says}”"


def of_the_papers(found: Sequence[Verdict]) -> str:
    """How the papers' claims stand, by effect; the study's own questions are left out."""
    papers = [verdict for verdict in found if verdict.where != "this study"]
    counts = Counter(verdict.effect for verdict in papers)
    told = [
        f"{counts[effect]} {'is' if counts[effect] == 1 else 'are'} {text}"
        for effect, text in _EFFECTS.items()
        if effect in counts
    ]
    sentences = [f"Of {len(papers)} claims of the papers, {listed(told)}."]
    if flagged := sum(bool(verdict.flag) for verdict in papers):
        of_them = f"{number(flagged)} of those shown"
        sentences.append(f"For {of_them}, a control without AdaLoss shows the same, so AdaLoss is not the cause.")
    if {verdict.scope for verdict in papers if verdict.scope} == {"other data"}:
        sentences.append("All were tested on other data than the papers'.")
    return " ".join(sentences)


def of_the_weights(found: Sequence[Verdict], claims: Mapping[str, Claim]) -> str:
    """How those of the papers' claims stand in which nothing but the weights differs."""
    alone = [one for one in found if one.where != "this study" and one.trials and of_weights_alone(claims[one.claim])]
    if not alone:
        return "No claim that compares AdaLoss with equal weights in one network has been tested yet."
    compare = f"{capital(number(len(alone)))} {'compares' if len(alone) == 1 else 'compare'}"
    sentences = [f"{compare} AdaLoss with equal weights in one network."]
    for effect, text in (
        ("shown as claimed", "{} {} shown:"),
        ("shown opposite", "Of {}, the opposite is shown:"),
        ("no effect as large as δ", "{} {} too small to matter:"),
    ):
        if told := [f"“{verdict.says}”" for verdict in alone if verdict.effect == effect]:
            begin = capital(text.format(number(len(told)), "is" if len(told) == 1 else "are"))
            sentences.append(f"{begin} {' '.join(told)}")
    if unsure := sum(verdict.effect == "undecided" for verdict in alone):
        who = "all" if unsure == len(alone) > 1 else number(unsure)
        sentences.append(f"{capital(who)} {'is' if unsure == 1 else 'are'} undecided.")
    return " ".join(sentences)


def common_limits(found: Sequence[Verdict]) -> set[str]:
    """What limits every verdict that rests on runs, so that a page says it once; of amended rules it tells in words."""
    tested = [set(_limits(verdict)) for verdict in found if verdict.trials and verdict.effect != "withdrawn"]
    return {AMENDED} | (set.intersection(*tested) if tested else set())


_FEW = 3


def of_amended_rules(found: Sequence[Verdict]) -> str:
    """How many rules were changed after their runs, and which are as they were if these are few."""
    tested = [verdict for verdict in found if verdict.trials]
    kept = [f"“{verdict.says}”" for verdict in tested if not verdict.amended]
    amended = len(tested) - len(kept)
    text = f"{amended} of {len(tested)} rules {'was' if amended == 1 else 'were'} amended after the runs"
    if not 0 < len(kept) <= _FEW:
        return f"{text}."
    return f"{text}. {'This one is' if len(kept) == 1 else 'These are'} unchanged: {' '.join(kept)}"


def of_missing_runs(found: Sequence[Verdict]) -> str:
    """How many claims have no runs yet, or not all of them."""
    untested, waiting = (sum(kind) for kind in zip(*((not one.trials, one.waits) for one in found), strict=True))
    sentences = []
    if untested:
        have, they = ("claim has", "it has no number") if untested == 1 else ("claims have", "they have no numbers")
        sentences.append(f"{capital(number(untested))} {have} no runs yet, so {they}.")
    if waiting:
        sentences.append(f"{capital(number(waiting))} {'waits' if waiting == 1 else 'wait'} for the rest of theirs.")
    return " ".join(sentences)

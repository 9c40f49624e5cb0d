"""The answer to the book's question in sentences: what AdaLoss changes, how sure that is, and where.

Every branch is written out. The same sentences serve the landing page, the page *Does AdaLoss work?* and the advice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from anytime_study.analysis.statistics import detection_power, mean_interval, seeds_needed
from anytime_study.analysis.verdicts import NOT_TESTED
from anytime_study.pages.words import FEWEST, as_percent, interval_in_words, mean_in_words, number, percent

Side = Literal["more", "fewer", "slightly", "same", "open"]

# What AdaLoss does early, at a quarter of the cost, and at the end.
CONCLUSIONS: dict[tuple[Side, Side], str] = {
    ("more", "fewer"): "AdaLoss trades early accuracy for late accuracy",
    ("more", "slightly"): "AdaLoss costs early accuracy and gives little back at the end",
    ("more", "same"): "AdaLoss costs early accuracy and gives nothing back that matters",
    ("more", "open"): "AdaLoss costs early accuracy, and whether it gives anything back at the end is still open",
    ("more", "more"): "AdaLoss is worse than equal weights, early and late",
    ("fewer", "fewer"): "AdaLoss is better than equal weights, early and late",
    ("fewer", "slightly"): "AdaLoss helps early, and a little at the end",
    ("fewer", "same"): "AdaLoss helps early and changes nothing that matters at the end",
    ("fewer", "open"): "AdaLoss helps early, and what it does at the end is still open",
    ("fewer", "more"): "AdaLoss trades late accuracy for early accuracy, the reverse of what the paper found",
    ("same", "fewer"): "AdaLoss helps at the end, at no early price that matters",
    ("same", "slightly"): "AdaLoss helps a little at the end, at no early price that matters",
    ("same", "same"): "AdaLoss and equal weights differ too little to matter, early and late",
    ("same", "open"): "AdaLoss costs nothing that matters early, and what it does at the end is still open",
    ("same", "more"): "AdaLoss is worse than equal weights at the end and no better early",
    ("open", "fewer"): "AdaLoss helps at the end, and what it costs early is still open",
    ("open", "slightly"): "AdaLoss helps a little at the end, and what it costs early is still open",
    ("open", "same"): "AdaLoss changes nothing that matters at the end, and what it costs early is still open",
    ("open", "open"): "these seeds cannot tell AdaLoss from equal weights",
    ("open", "more"): "AdaLoss is worse than equal weights at the end, and what it does early is still open",
}

_JUDGED = {
    "shown as claimed": "the trade-off is shown: fewer errors at the end, more at a quarter of the cost",
    "shown opposite": "at least one half of the claimed trade-off is refuted: the change goes the other way",
    "no effect as large as δ": "at least one half of the claimed trade-off is too small to matter",
    "undecided": "the claim stays undecided",
}


@dataclass(frozen=True)
class Found:
    """Changes of test error by AdaLoss against equal weights in one setting.

    Attributes:
        where: The setting in words, after "on": ``Fashion-MNIST, trained for six epochs``.
        changes: A row per seed, with the columns ``quarter`` and ``last`` in hundredths of a logarithm.
        planned: How many seeds are planned; 0 if that is not decided yet.
        effect: Of the claim that is judged by them, an effect or ``not tested``.
        epochs: Of training.
    """

    where: str
    changes: pd.DataFrame
    planned: int = 0
    effect: str = NOT_TESTED
    epochs: int = 0

    @property
    def seeds(self) -> int:
        """How many have a pair of runs."""
        return len(self.changes)


@dataclass(frozen=True)
class Relevant:
    """The smallest relevant changes, in hundredths of a logarithm, from data/claims.yaml."""

    quarter: float
    last: float


def side(values: Sequence[float] | pd.Series, relevant: float) -> Side:
    """On which side of 0 the mean lies, by its 95 % interval; ``slightly``: fewer, but less than is relevant."""
    interval = mean_interval(values)
    if interval.high < 0:
        return "slightly" if interval.low > -relevant else "fewer"
    if interval.low > 0:
        return "more"
    return "same" if -relevant < interval.low and interval.high < relevant else "open"


def conclusion(found: Found, relevant: Relevant) -> str:
    """What AdaLoss does, early and late, as a clause; from three seeds on."""
    early, late = side(found.changes["quarter"], relevant.quarter), side(found.changes["last"], relevant.last)
    return CONCLUSIONS["fewer" if early == "slightly" else early, late]


def measured(found: Found, *, subject: str = "AdaLoss") -> str:
    """Both changes with their intervals, in one sentence; from one seed on."""
    quarter, last = found.changes["quarter"], found.changes["last"]
    early = mean_in_words(quarter, "errors at a quarter of the cost")
    late = mean_in_words(last, "at the last exit")
    if found.seeds < FEWEST:
        sure = f"{number(found.seeds)} {'seed' if found.seeds == 1 else 'seeds'}, so no interval"
    else:
        ends = f"{interval_in_words(quarter)} and {interval_in_words(last)}"
        sure = f"95 % intervals {ends}, {number(found.seeds)} seeds"
    return f"On {found.where}, {subject} makes {early} and {late}, compared with equal weights ({sure})."


def progress(found: Found) -> str:
    """How far the runs are, and the verdict once they are complete."""
    if found.planned and found.seeds >= found.planned and found.effect in _JUDGED:
        return f"By the rule that was written before the runs, {_JUDGED[found.effect]}."
    if not found.seeds:
        return f"The main comparison, on {found.where}, has no finished pair of runs yet."
    first = number(found.seeds).capitalize()
    verb = "has" if found.seeds == 1 else "have"
    if found.planned > found.seeds:
        made = f"{first} of {number(found.planned)} planned pairs of runs {verb} finished"
        return f"{made}; the claim is judged when all have."
    return f"{first} {'pair' if found.seeds == 1 else 'pairs'} of runs {verb} finished; the claim is not judged yet."


def answer(counted: Found, other: Found, relevant: Relevant) -> str:
    """The answer in a few sentences, the finding first.

    Args:
        counted: The study on the paper's own data.
        other: Other data, which speak as long as the study has fewer than three seeds.
        relevant: Which changes matter.
    """
    told = counted if counted.seeds >= FEWEST else other
    complete = told is counted and counted.seeds >= counted.planned
    finding = conclusion(told, relevant)
    if side(told.changes["last"], relevant.last) == "slightly":
        finding += f": less than the {as_percent(relevant.last):.0f} % that we call relevant"
    sentences = [f"{_capital(finding)}." if complete else f"So far, {finding}.", measured(told, subject="it")]
    if told is counted:
        sentences += [
            progress(counted),
            f"This is one small network, trained for {counted.epochs} of the paper's 300 epochs.",
        ]
    else:
        sentences += ["These are not the paper's images, and the runs are short.", progress(counted)]
        if counted.seeds:
            sentences += [measured(counted), "That is too few to tell an effect from chance."]
    return " ".join(sentences)


def answer_short(counted: Found, other: Found, relevant: Relevant) -> str:
    """The answer in one sentence."""
    told = counted if counted.seeds >= FEWEST else other
    return f"On {told.where}, {conclusion(told, relevant)}."


def advice(counted: Found, other: Found, relevant: Relevant) -> str:
    """What the answer means for somebody who chooses a weighting, in one sentence."""
    told = counted if counted.seeds >= FEWEST else other
    early, late = side(told.changes["quarter"], relevant.quarter), side(told.changes["last"], relevant.last)
    if late != "fewer":
        return "Nothing that we measured with AdaLoss is a reason to replace them."
    if early == "more":
        return "What AdaLoss offers in our runs is a trade, not an improvement."
    return "In our runs AdaLoss improved the last exit without a clear early price, so it is worth a try."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def power(found: Found, relevant: Relevant) -> str:
    """How likely these seeds would have found the smallest relevant change at the last exit; from four seeds on."""
    if found.seeds < FEWEST + 1:
        return ""
    spread = float(found.changes["last"].std())
    chance = 100 * detection_power(found.seeds, spread, relevant.last)
    return (
        f"The change at the last exit varies by {percent(spread)} % from seed to seed (standard deviation). With "
        f"{number(found.seeds)} seeds, a true change of {as_percent(relevant.last):.0f} % would be found with a "
        f"chance of {'more than 99' if chance > 99 else f'{chance:.0f}'} %; for 80 % it takes "
        f"{number(seeds_needed(spread, relevant.last))}."
    )


def objective(changes: pd.DataFrame) -> str:
    """Whether AdaLoss lowers its own objective, over the settings of a table of pairs; empty without any."""
    if not len(changes):
        return ""
    by = changes.groupby(["setting", "network"])["objective"].mean()
    higher, count = int((by > 0).sum()), len(by)
    if count == 1:
        text = "higher" if higher else "lower"
        return f"In the one setting measured so far, AdaLoss ends with a {text} value of its own objective."
    every = "both" if count == 2 else f"all {number(count)}"
    if higher == count:
        return f"AdaLoss ends with a higher value of its own objective than equal weights in {every} settings."
    if not higher:
        return f"AdaLoss ends with a lower value of its own objective than equal weights in {every} settings."
    return (
        f"AdaLoss ends with a higher value of its own objective than equal weights in {number(higher)} of "
        f"{number(count)} settings."
    )


def halves(found: Found) -> str:
    """In how many seeds the price and the gain show, each seed by itself."""
    if not found.seeds:
        return ""
    both = int(((found.changes["quarter"] > 0) & (found.changes["last"] < 0)).sum())
    if found.seeds == 1:
        shows = "shows" if both else "does not show"
        return f"On {found.where}, the only seed so far {shows} both halves of the trade."
    if both == found.seeds:
        every = "both" if both == 2 else f"all {number(both)}"
        return f"On {found.where}, {every} seeds pay early and gain late."
    if not both:
        return f"On {found.where}, none of the {number(found.seeds)} seeds both pays early and gains late."
    pay = "pays early and gains" if both == 1 else "pay early and gain"
    return f"On {found.where}, {number(both)} of {number(found.seeds)} seeds {pay} late."


NEEDED = 8.0
"""The headroom in test error, per cent, that the gate asks for; workflow/studies/cifar/gate.yaml has the rule."""


def gate_in_words(table: pd.DataFrame) -> str:
    """What the gate says of the regimes, from :func:`anytime_study.pages.evidence.gate_table`."""
    whole = table.dropna(subset=["opt", "half_end"])
    if not len(whole):
        return "The gate runs have not all finished, so no regime can be judged yet."
    rooms = whole[["opt", "half_end"]].max(axis=1)
    told = "; ".join(f"{regime}: {percent(room)} %" for regime, room in zip(whole["regime"], rooms, strict=True))
    best = whole["regime"].iloc[int(rooms.argmax())]
    if len(whole) < len(table):
        enough = "more" if rooms.max() >= NEEDED else "less"
        return (
            f"Headroom so far ({told}) is {enough} than the {NEEDED:.0f} % that we asked for. The other regime is "
            "still being trained, so the choice between them is open."
        )
    if rooms.max() < NEEDED:
        return (
            f"Neither regime has the headroom of {NEEDED:.0f} % that we asked for ({told}), so we look for another one."
        )
    return f"Both regimes were measured ({told}). By the rule, the counted runs are trained as in “{best}”."

"""The answer to the book's question in sentences: what AdaLoss changes, how sure that is, and where.

Every branch is written out. The same sentences serve the landing page, the page *Does AdaLoss work?* and the advice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from anytime_study.analysis.statistics import detection_power, mean_interval, seeds_needed
from anytime_study.analysis.verdicts import NOT_TESTED
from anytime_study.pages.words import (
    FEWEST,
    as_percent,
    capital,
    interval_in_words,
    mean_in_words,
    number,
    part_of,
)

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


Relevant = Mapping[str, float]
"""The smallest relevant changes by column, ``quarter`` and ``last``, from data/claims.yaml."""


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
    early, late = side(found.changes["quarter"], relevant["quarter"]), side(found.changes["last"], relevant["last"])
    return CONCLUSIONS["fewer" if early == "slightly" else early, late]


def measured(found: Found, *, subject: str = "AdaLoss") -> str:
    """Both changes in one sentence, and how sure they are in another; from one seed on."""
    quarter, last = found.changes["quarter"], found.changes["last"]
    early = mean_in_words(quarter, "errors at a quarter of the cost")
    late = mean_in_words(last, "at the last exit")
    changed = f"On {found.where}, {subject} makes {early} and {late}, compared with equal weights."
    if found.seeds == 1:
        return f"{changed} This is one seed, so there is no interval."
    if found.seeds < FEWEST:
        return f"{changed} These are {number(found.seeds)} seeds, too few for an interval."
    ends = f"{interval_in_words(quarter)}, and {interval_in_words(last)}"
    return f"{changed} The 95 % intervals over {number(found.seeds)} seeds are {ends}."


def progress(found: Found) -> str:
    """How far the runs are, and the verdict once they are complete."""
    if found.planned and found.seeds >= found.planned and found.effect in _JUDGED:
        return f"By the rule that was written before the runs, {_JUDGED[found.effect]}."
    if not found.seeds:
        begun = "has no finished pair of runs yet" if found.planned else "has not begun"
        return f"The main comparison, on {found.where}, {begun}."
    first = capital(number(found.seeds))
    verb = "has" if found.seeds == 1 else "have"
    if found.planned > found.seeds:
        made = f"{first} of {number(found.planned)} planned pairs of runs {verb} finished"
        return f"{made}; the claim is judged when all have."
    return f"{first} {'pair' if found.seeds == 1 else 'pairs'} of runs {verb} finished; the claim is not judged yet."


@dataclass(frozen=True)
class Sources:
    """Runs that may answer the question, and what matters.

    Attributes:
        counted: The main comparison, on the paper's own data.
        shorter: The paper's data too, but fewer images: an estimate, which speaks as long as ``counted`` is too small.
        relevant: Which changes matter.
    """

    counted: Found
    shorter: Found
    relevant: Relevant

    @property
    def told(self) -> Found:
        """The one that speaks."""
        return self.counted if self.counted.seeds >= FEWEST else self.shorter

    @property
    def sides(self) -> tuple[Side, Side]:
        """Of :attr:`told`, early and late; open with too few seeds."""
        if self.told.seeds < FEWEST:
            return "open", "open"
        early, late = (side(self.told.changes[name], self.relevant[name]) for name in ("quarter", "last"))
        return early, late


def answer(sources: Sources) -> str:
    """The answer in a few sentences, the finding first."""
    told, counted, relevant = sources.told, sources.counted, sources.relevant
    if told.seeds < FEWEST:
        return progress(counted)
    finding = conclusion(told, relevant)
    if sources.sides[1] == "slightly":
        finding += f": less than the {as_percent(relevant['last']):.0f} % that we call relevant"
    complete = told is counted and counted.seeds >= counted.planned
    sentences = [f"{capital(finding)}." if complete else f"So far, {finding}.", measured(told, subject="it")]
    if told is counted:
        short = f"This is one small network, trained for {counted.epochs} of the paper's 300 epochs"
        short += ", each weighting at its best learning rate."
        return " ".join([*sentences, progress(counted), short])
    sentences += ["This is an estimate: one small network, a short schedule.", progress(counted)]
    if counted.seeds:
        sentences += [measured(counted), "That is too few to tell an effect from chance."]
    return " ".join(sentences)


def answer_short(sources: Sources) -> str:
    """The answer in one sentence; from three seeds on."""
    return f"On {sources.told.where}, {conclusion(sources.told, sources.relevant)}."


def advice(sources: Sources) -> str:
    """What the answer means for somebody who chooses a weighting, in one sentence."""
    early, late = sources.sides
    if late != "fewer":
        return "Nothing that we measured between exits is a reason to replace them with AdaLoss."
    if early == "more":
        return "What AdaLoss offers in our runs is a trade, not an improvement."
    return "In our runs AdaLoss improved the last exit without a clear early price, so it is worth a try."


def landing_caption(sources: Sources, published: Mapping[str, float]) -> str:
    """What the curves of the trade-off figure do, the paper's and the one that the answer speaks of."""
    paper, ours = (
        (mean_in_words([changes["quarter"]], "errors"), mean_in_words([changes["last"]], ""))
        for changes in (published, sources.told.changes[["quarter", "last"]].mean())
    )
    return f"The paper's curve goes from {paper[0]} to {paper[1]}; ours from {ours[0]} to {ours[1]}."


def against_the_paper(tables: Iterable[pd.DataFrame], published: Mapping[str, float]) -> str:
    """How many seeds gain less at the last exit than the paper's mean."""
    last = pd.concat([table["last"] for table in tables])
    less, seeds = int((last > published["last"]).sum()), len(last)
    who = "Every seed" if less == seeds else f"{capital(part_of(less, seeds))} seeds"
    gain = "gains" if less in (1, seeds) else "gain"
    return f"{who} {gain} less at the last exit than the paper does on average (hollow diamond)."


def power(found: Found, relevant: Relevant) -> str:
    """How likely these seeds would have found the smallest relevant change at the last exit; from four seeds on."""
    if found.seeds < FEWEST + 1:
        return ""
    spread = float(found.changes["last"].std())
    chance = 100 * detection_power(found.seeds, spread, relevant["last"])
    sure = "more than 99" if chance > 99 else f"{chance:.0f}"
    return (
        f"These {number(found.seeds)} seeds would find a true change of {as_percent(relevant['last']):.0f} % at the "
        f"last exit with a chance of {sure} %; for 80 % it takes {number(seeds_needed(spread, relevant['last']))}."
    )


def objective(changes: pd.DataFrame) -> str:
    """Whether AdaLoss lowers its own objective, over the rows of a table of pairs by ``place``; empty without any."""
    if not len(changes):
        return ""
    by = changes.groupby("place")["objective"]
    intervals = [mean_interval(values) for _, values in by if len(values) >= FEWEST]
    higher, rows = int((by.mean() > 0).sum()), by.ngroups
    if higher:
        some, word, where, sure = higher, "higher", "right", sum(one.low > 0 for one in intervals)
    else:
        some, word, where, sure = rows, "lower", "left", sum(one.high < 0 for one in intervals)
    places = "the only row so far" if rows == 1 else f"{part_of(some, rows)} rows"
    whole = {0: "none", some: "all"}.get(sure, number(sure))
    return (
        f"In {places} AdaLoss ends with a {word} value of its own objective on average. In {whole} of them the whole "
        f"interval lies {where} of the line."
    )


def halves(found: Found, relevant: Relevant) -> str:
    """In how many seeds the price and the gain show, each seed by itself."""
    if not found.seeds:
        return ""
    trade = found.changes[(found.changes["quarter"] > 0) & (found.changes["last"] < 0)]
    both, little = len(trade), "a little " if (trade["last"] > -relevant["last"]).all() else ""
    if not both:
        return f"On {found.where}, no seed so far both pays early and gains at the end."
    who = "the only seed so far" if found.seeds == 1 else f"{part_of(both, found.seeds)} seeds"
    pay, gain = ("pays", "gains") if both == 1 else ("pay", "gain")
    return f"On {found.where}, {who} {pay} early and {gain} {little}at the end."


NEEDED = 8.0
"""The headroom in test error, per cent, that the gate asks for; workflow/studies/cifar/gate.yaml has the rule."""


def gate_in_words(table: pd.DataFrame) -> str:
    """What the gate says of the regimes, from :func:`anytime_study.pages.evidence.gate_table`."""
    rooms = table.set_index("regime")[["opt", "half_end"]].astype(float)
    if not len(rooms) or rooms.isna().any(axis=None):
        return "The gate runs have not all finished, so no regime can be judged yet."
    best = rooms.max(axis=1)
    chosen = f"train on {best.idxmax()}" if best.max() >= NEEDED else "need another regime"
    return (
        f"A rule written before these runs takes the regime with the most headroom, if that is at least {NEEDED:.0f} "
        f"%. So the main comparison will {chosen}."
    )

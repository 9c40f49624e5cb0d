"""The answer to the book's question in sentences: what AdaLoss changes, how sure that is, and where.

Every branch is written out. The same sentences serve the landing page, the page *Does AdaLoss work?* and the advice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from anytime_study.analysis.decisions import LEVEL
from anytime_study.analysis.statistics import detection_power, mean_interval, seeds_needed
from anytime_study.analysis.verdicts import Verdict
from anytime_study.pages.found import Found, Relevant, Side, Sources, sides
from anytime_study.pages.words import (
    FEWEST,
    as_percent,
    both_changes,
    capital,
    change_in_words,
    interval_in_words,
    mean_in_words,
    number,
    part_of,
)

# What AdaLoss does early, at a quarter of the cost, and at the end; a slight change early is a `little` one.
CONCLUSIONS: dict[tuple[str, Side], str] = {
    ("more", "fewer"): "AdaLoss trades {little}early accuracy for late accuracy",
    ("more", "slightly fewer"): "AdaLoss costs {little}early accuracy and gives little back at the end",
    ("more", "same"): "AdaLoss costs {little}early accuracy and gives nothing back that matters",
    ("more", "open"): "AdaLoss costs {little}early accuracy, and whether it gives any back at the last exit is open",
    ("more", "slightly more"): "AdaLoss costs {little}early accuracy, and a little late accuracy, too",
    ("more", "more"): "AdaLoss is worse than equal weights, early and late",
    ("fewer", "fewer"): "AdaLoss is better than equal weights, early and late",
    ("fewer", "slightly fewer"): "AdaLoss helps {little}early, and a little at the end",
    ("fewer", "same"): "AdaLoss helps {little}early and changes nothing that matters at the end",
    ("fewer", "open"): "AdaLoss helps {little}early, and what it does at the end is still open",
    ("fewer", "slightly more"): "AdaLoss helps {little}early and costs a little late accuracy",
    ("fewer", "more"): "AdaLoss trades late accuracy for {little}early accuracy, the reverse of what the paper found",
    ("same", "fewer"): "AdaLoss helps at the end, at no early price that matters",
    ("same", "slightly fewer"): "AdaLoss helps a little at the end, at no early price that matters",
    ("same", "same"): "AdaLoss and equal weights do not differ enough to matter, early and late",
    ("same", "open"): "AdaLoss costs nothing that matters early, and what it does at the end is still open",
    ("same", "slightly more"): "AdaLoss changes nothing that matters early and costs a little late accuracy",
    ("same", "more"): "AdaLoss is worse than equal weights at the end and no better early",
    ("open", "fewer"): "AdaLoss helps at the end, and what it costs early is still open",
    ("open", "slightly fewer"): "AdaLoss helps a little at the end, and what it costs early is still open",
    ("open", "same"): "AdaLoss changes nothing that matters at the end, and what it costs early is still open",
    ("open", "open"): "these seeds cannot tell AdaLoss from equal weights",
    ("open", "slightly more"): "AdaLoss costs a little late accuracy, and what it does early is still open",
    ("open", "more"): "AdaLoss is worse than equal weights at the end, and what it does early is still open",
}

_JUDGED = {
    "shown as claimed": "the trade-off is shown",
    "shown opposite": "the trade-off is shown to go the other way {half}",
    "no effect as large as δ": "the trade-off is too small to matter {half}",
    "undecided": "the claim stays undecided",
}


def conclusion(found: Found, relevant: Relevant) -> str:
    """What AdaLoss does, early and late, as a clause; from three seeds on."""
    early, late = sides(found, relevant)
    little = "a little " if early.startswith("slightly") else ""
    return CONCLUSIONS[early.removeprefix("slightly "), late].format(little=little)


def measured(found: Found) -> str:
    """Both changes in one sentence, and how sure they are in another; from one seed on."""
    quarter, last = found.changes["quarter"], found.changes["last"]
    early = mean_in_words(quarter, "errors at a quarter of the cost")
    late = mean_in_words(last, "at the last exit")
    changed = f"On {found.where}, AdaLoss makes {early} and {late}, compared with equal weights."
    if found.seeds == 1:
        return f"{changed} This is one seed, so there is no interval."
    if found.seeds < FEWEST:
        return f"{changed} These are {number(found.seeds)} seeds, too few for an interval."
    ends = f"{interval_in_words(quarter)}, and {interval_in_words(last)}"
    return f"{changed} The 95 % intervals over {number(found.seeds)} seeds are {ends}."


def progress(found: Found) -> str:
    """How far the runs are, and the verdict once they are complete."""
    if found.complete and found.verdict and found.verdict.effect in _JUDGED:
        rule = "a rule that we amended after some of" if found.verdict.amended else "the rule that was written before"
        return f"By {rule} the runs, {_JUDGED[found.verdict.effect].format(half=_deciding_half(found.verdict))}."
    if not found.seeds:
        begun = "has no finished pair of runs yet" if found.planned else "has not begun"
        return f"The main comparison, on {found.where}, {begun}."
    has = "has" if found.seeds == 1 else "have"
    made = f"{capital(number(found.seeds))} of {number(found.planned)} planned pairs of runs {has} finished"
    if not found.diverged:
        return f"{made}; the claim is judged when all have."
    return f"{made}. {capital(number(found.diverged))} diverged, so the claim cannot be judged: its rule needs all."


def _deciding_half(verdict: Verdict) -> str:
    """Where a half of the claim goes the other way, or is too small to matter, by itself (Bonferroni)."""
    by = "opposite" if verdict.effect == "shown opposite" else "small"
    alone = [trial.measure for trial in verdict.trials if 2 * getattr(trial.evidence, by) < LEVEL]
    return " and ".join("at a quarter of the cost" if "fraction" in one else "at the last exit" for one in alone)


def finding(sources: Sources, where: str = "") -> str:
    """What AdaLoss does, as a sentence that may begin with a place; from three seeds on."""
    told = f"{where}{conclusion(sources.spoken, sources.relevant)}"
    told += ", each weighting at its own learning rate" * sources.needs_own_rates
    complete = sources.told is sources.counted and sources.counted.complete
    return f"{capital(told)}." if complete else f"So far, {told}."


def answer(sources: Sources) -> str:
    """The answer in a few sentences, the finding first."""
    told, counted, relevant = sources.told, sources.counted, sources.relevant
    if told.seeds < FEWEST:
        return progress(counted)
    short = f"This is one small network, trained for {counted.epochs} of the paper's 300 epochs."
    if sources.rate_explains:
        share = sources.rate_alone.mean() / counted.changes["last"].loc[sources.rate_alone.index].mean()
        part = next(words for least, words in ((0.85, "nearly all"), (0.5, "most"), (0, "a part")) if share >= least)
        low, high = sources.rates
        alone = f"{mean_in_words(sources.rate_alone, 'errors')} there, too ({interval_in_words(sources.rate_alone)})"
        return " ".join(
            [
                finding(sources, f"at one learning rate, {high:g}, "),
                f"Against equal weights on {counted.where}, it makes {both_changes(sources.same_rate.changes)}.",
                f"In our main comparison each has its own learning rate, {high:g} for AdaLoss and {low:g} for equal "
                f"weights. There AdaLoss makes {both_changes(counted.changes, short=True)}. {progress(counted)}",
                f"But raising the rate of equal weights from {low:g} to {high:g} gives {alone}, so on average {part} "
                "of that gain comes from the rate.",
                short,
            ]
        )
    sentences = [finding(sources), measured(told)]
    if " little " in sentences[0]:
        late, early = (f"{as_percent(relevant[name]):.0f} %" for name in ("last", "quarter"))
        sentences.append(f"Little means less than is relevant: {late} at the end, {early} early.")
    if told is counted:
        whose = "Each rate was" if sources.needs_own_rates else "Each weighting has its own learning rate,"
        rates = f"{whose} chosen with one seed on 10,000 images"
        if sources.same_rate.seeds < FEWEST:
            rates += ", so the rate may explain a part of these changes, or all."
        else:
            unsure = " So at one rate the gain is not confirmed." * sources.needs_own_rates
            rates += f". With AdaLoss's rate for both, it makes {both_changes(sources.same_rate.changes)}.{unsure}"
        return " ".join([*sentences, progress(counted), short, rates])
    sentences += ["This is an estimate: one small network, a short schedule.", progress(counted)]
    if counted.seeds:
        sentences += [measured(counted), "That is too few to tell an effect from chance."]
    return " ".join(sentences)


def control_in_short(sources: Sources) -> str:
    """What the control takes back of the primary claim, beside its verdict; empty where it takes nothing back."""
    if not (sources.rate_explains or sources.needs_own_rates):
        return ""
    last = mean_in_words(sources.same_rate.changes["last"], "errors at the last exit")
    return (
        f"But the verdict compares two learning rates. In a control with one rate for both, AdaLoss makes {last} "
        f"(95 % interval {interval_in_words(sources.same_rate.changes['last'])})."
    )


def advice(sources: Sources) -> str:
    """The answer in short, and what it means for somebody who chooses a weighting."""
    means = recommendation(sources)
    return means if sources.told.seeds < FEWEST else f"{finding(sources, f'on {sources.spoken.where}, ')} {means}"


def recommendation(sources: Sources) -> str:
    """What the answer means for somebody who chooses a weighting."""
    early, late = sides(sources.spoken, sources.relevant)
    if "fewer" not in (early, late):
        means = "Keep equal weights for the exits: nothing that we measured is a reason to change."
        return means + " If the last exit counts most, first try a larger learning rate." * sources.rate_explains
    if any(each == "open" or each.endswith("more") for each in (early, late)):
        beside = ", and beside equal weights at the same learning rate" * sources.needs_own_rates
        return f"Try it only where {'late' if late == 'fewer' else 'early'} accuracy counts more{beside}."
    return "It is worth a try."


def landing_curves(sources: Sources) -> dict[str, pd.DataFrame]:
    """What the figure of the landing page shows beside the paper: few curves, the one that the answer rests on last."""
    curves = {"each at its own rate": sources.counted.changes, "one learning rate": sources.same_rate.changes}
    curves = {name: changes for name, changes in curves.items() if len(changes) >= FEWEST}
    if not sources.rate_explains:
        curves = dict(reversed(curves.items()))
    return curves or {"10,000 images": sources.shorter.changes}


def landing_caption(sources: Sources, published: Mapping[str, float]) -> str:
    """From where to where the paper's curve goes, and the one that the answer rests on."""
    told = []
    for changes in (published, sources.spoken.changes[["quarter", "last"]].mean()):
        early, late = (mean_in_words([changes[name]], what) for name, what in (("quarter", "errors"), ("last", "")))
        told.append(f"from {early} to {late}")
    here = "here at one learning rate" if sources.rate_explains else "here"
    return f"{capital(told[0])} in the paper; {told[1]} {here}."


def against_the_paper(tables: Iterable[pd.DataFrame], published: Mapping[str, float]) -> str:
    """How many seeds gain less at the last exit than the paper's mean."""
    last = pd.concat([table["last"] for table in tables])
    less, seeds = int((last > published["last"]).sum()), len(last)
    who = "Every seed" if less == seeds else f"{capital(part_of(less, seeds))} seeds"
    gain = "gains" if less in (1, seeds) else "gain"
    return f"{who} {gain} less at the last exit than the paper does on average (hollow diamond)."


def power(found: Found, relevant: Relevant) -> str:
    """How likely these seeds would have found the smallest relevant changes; from four seeds on."""
    if found.seeds < FEWEST + 1:
        return ""
    told, needed = [], []
    whats = {"last": ("a true change", "at the last exit"), "quarter": ("one", "at a quarter of the cost")}
    for name, (what, where) in whats.items():
        spread = float(found.changes[name].std())
        chance = 100 * detection_power(found.seeds, spread, relevant[name])
        sure = "more than 99" if chance > 99 else f"{chance:.0f}"
        told.append(f"{what} of {as_percent(relevant[name]):.0f} % {where} with a chance of {sure} %")
        needed.append(seeds_needed(spread, relevant[name]))
    return (
        f"These {number(found.seeds)} seeds would find {' and '.join(told)}. They would find both at most with the "
        f"smaller of these chances; to bring each to 80 % takes {number(max(needed))} seeds."
    )


def objective(changes: pd.DataFrame, counted: Found) -> str:
    """Whether AdaLoss lowers its own objective: in the main comparison, and in all rows of a table by ``place``."""
    told = []
    if counted.seeds:
        change = change_in_words(counted.changes["objective"], "")
        for of_errors, of_losses in (("about as many", "about as high"), ("fewer", "lower"), ("more", "higher")):
            change = change.replace(of_errors, of_losses)
        told.append(f"In the main comparison AdaLoss ends with its own objective {change}.")
    by = changes.groupby("place")["objective"]
    ends = [mean_interval(values) for _, values in by if len(values) >= FEWEST]
    higher, rows = int((by.mean() > 0).sum()), by.ngroups
    begun = len(told)
    for some, word, where, sure in (
        (higher, "higher", "right", sum(one.low > 0 for one in ends)),
        (rows - higher, "lower", "left", sum(one.high < 0 for one in ends)),
    ):
        if some:
            if len(told) > begun:
                places, who = "the other row" if some == 1 else f"the other {number(some)} rows", "it"
            else:
                places, who = "the only row" if rows == 1 else f"{part_of(some, rows)} rows", "AdaLoss's objective"
            whole = f"{'' if sure == some else f'{number(sure)} '}with the whole interval {where} of the line"
            whole = whole if sure else f"but no interval lies wholly {where} of the line"
            told.append(f"In {places} {who} ends {word} on average, {whole}.")
    return " ".join(told)


def halves(found: Found, relevant: Relevant, where: str) -> str:
    """In how many seeds the price and the gain show, each seed by itself; ``where`` begins the sentence."""
    if not found.seeds:
        return ""
    trade = found.changes[(found.changes["quarter"] > 0) & (found.changes["last"] < 0)]
    both, little = len(trade), "a little " if (trade["last"] > -relevant["last"]).all() else ""
    if not both:
        return f"{where}, no seed both pays early and gains at the end."
    who = "the only seed" if found.seeds == 1 else f"{part_of(both, found.seeds)} seeds"
    pay, gain = ("pays", "gains") if both == 1 else ("pay", "gain")
    return f"{where}, {who} {pay} early and {gain} {little}at the end."


NEEDED = 8.0
"""The headroom in test error, per cent, that the gate asks for; workflow/studies/cifar/gate.yaml has the rule."""


def gate_in_words(table: pd.DataFrame) -> str:
    """What the gate says of the regimes, from :func:`anytime_study.pages.evidence.gate_table`."""
    rooms = table.set_index("regime")[["opt", "half_end"]].astype(float)
    if not len(rooms) or rooms.isna().any(axis=None):
        return "The gate runs have not all finished, so no regime can be judged yet."
    best = rooms.max(axis=1)
    chosen = f"trains on {best.idxmax()}" if best.max() >= NEEDED else "needs another regime"
    return (
        f"A rule written before these runs takes the regime with the most headroom, if that is at least {NEEDED:.0f} "
        f"%. So the main comparison {chosen}."
    )

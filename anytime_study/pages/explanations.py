"""What might explain a gain, in sentences: room at the end, losses that differ, the length of a step, the batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from anytime_study.analysis.comparisons import finished
from anytime_study.analysis.statistics import mean_interval, ratio_interval
from anytime_study.analysis.trade_offs import change_table, pairs
from anytime_study.pages.words import (
    FEWEST,
    change_in_a_table,
    change_in_words,
    listed,
    mean_in_words,
    part_of,
    percent,
    written,
)

if TYPE_CHECKING:
    from anytime_study.studies.experiments import Experiment


def _fields(weighting: str, batch_size: int, **others: object) -> dict[str, object]:
    return {"weighting": weighting, "batch_size": batch_size, "head_weight_decay": "same", **others}


# As rows of a figure. The first is the sum of FAIR_64 and BATCH, in logarithms.
SCRIPTS = "AdaLoss at 64 against CONST at 128"
WITH_DECAY = "AdaLoss at 64, with their decay, against CONST at 128"
BATCH = "CONST at 64 against 128"
FAIR_64 = "AdaLoss against CONST at 64"
FAIR_128 = "AdaLoss against CONST at 128"
ADALOSS_BATCH = "AdaLoss at 64 against 128"
EQUAL_STEPS = "CONST at 64 against 128, equal steps"
COMPARISONS: dict[str, tuple[Mapping[str, object], Mapping[str, object]]] = {
    SCRIPTS: (_fields("adaloss", 64), _fields("const", 128)),
    WITH_DECAY: (_fields("adaloss", 64, head_weight_decay="sieve"), _fields("const", 128)),
    FAIR_64: (_fields("adaloss", 64), _fields("const", 64)),
    FAIR_128: (_fields("adaloss", 128), _fields("const", 128)),
    BATCH: (_fields("const", 64), _fields("const", 128)),
    ADALOSS_BATCH: (_fields("adaloss", 64), _fields("adaloss", 128)),
    EQUAL_STEPS: (_fields("const", 64), _fields("const", 128)),
}


def batch_table(experiment: Experiment, *others: Experiment) -> pd.DataFrame:
    """The changes of every comparison in :data:`COMPARISONS`, a row per pair, with the column ``comparison``.

    Args:
        experiment: Says the number of images and epochs, and the weightings' own learning rates if they have some.
        others: Whose runs of that setting are compared, too.
    """
    epochs, size, rates = int(experiment.main["epochs"]), experiment.main.get("train_size"), experiment.own_rates
    runs = [run for one in (experiment, *others) for run in finished(replace(one, own_rates=rates), train_size=size)]
    tables = []
    for name, (first, second) in COMPARISONS.items():
        twice = 2 * epochs if name == EQUAL_STEPS else epochs
        of_one, of_other = {**first, "epochs": epochs}, {**second, "epochs": twice}
        found = pairs(runs, of_one, of_other, own_rates=bool(rates))
        tables.append(change_table(found).assign(comparison=name))
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def batches_in_words(tables: Mapping[str, pd.DataFrame]) -> str:
    """A paragraph per source whose runs are there, and one that names the others.

    Args:
        tables: From :func:`batch_table`, by the name of the source.
    """
    told = {source: batch_in_words(table, source) for source, table in tables.items()}
    missing = [source for source, text in told.items() if not text]
    paragraphs = [text for text in told.values() if text]
    if missing:
        paragraphs.append(f"On {listed(missing)}, the runs that tell batch and weighting apart have not finished yet.")
    return "\n\n".join(paragraphs)


def batch_in_words(table: pd.DataFrame, where: str) -> str:
    """How much of the scripts' difference is the batch, and how much the weighting; nothing without these runs."""
    values = {name: own.set_index("seed")["last"] for name, own in table.groupby("comparison")}
    whole = max(WITH_DECAY, SCRIPTS, key=lambda name: len(values.get(name, ())))
    if whole not in values or BATCH not in values:
        return ""
    like = (
        "as in the scripts" if whole == WITH_DECAY else "with the scripts' batches but without their decay of the heads"
    )
    told = [
        f"On {where}, compared {like}, AdaLoss makes {change_in_words(values[whole], 'errors at the last exit')}.",
        f"Halving the batch alone gives equal weights {change_in_words(values[BATCH])}.",
        *_share(values[BATCH], values[whole]),
    ]
    if whole == WITH_DECAY and SCRIPTS in values:
        told.append(f"Without the scripts' decay of the heads, AdaLoss makes {change_in_words(values[SCRIPTS])}.")
    fair = [(name, size) for name, size in ((FAIR_64, 64), (FAIR_128, 128)) if name in values]
    if fair:
        like = listed(change_in_words(values[name], f"at {size}") for name, size in fair)
        told.append(f"At equal batches AdaLoss makes {like}.")
    if EQUAL_STEPS in values:
        steps = change_in_words(values[EQUAL_STEPS])
        told.append(
            f"Against batches of 128 for twice the epochs, as many steps, batches of 64 give equal weights {steps}."
        )
    return " ".join(told)


def batches_in_a_table(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The changes of every comparison with their intervals: a row each, a column per source.

    Args:
        tables: From :func:`batch_table`, by the name of the source.
    """
    rows = []
    for name in COMPARISONS:
        by_source = {source: table.loc[table["comparison"] == name, "last"] for source, table in tables.items()}
        if any(map(len, by_source.values())):
            cells = {
                source: change_in_a_table(values) if len(values) else "no runs" for source, values in by_source.items()
            }
            rows.append({"change at the last exit (%)": name, **cells})
    return pd.DataFrame(rows)


def _share(batch: pd.Series, whole: pd.Series) -> list[str]:
    """A sentence on the batch's part in a whole difference, from seeds of both; none unless that is surely below 0."""
    both = pd.concat([batch, whole], axis=1, keys=["batch", "whole"]).dropna()
    if len(both) < FEWEST or mean_interval(both["whole"]).high >= 0:
        return []
    found = ratio_interval(both["batch"], both["whole"])
    if found.low <= 0 and found.high >= 1:
        return ["It may account for none of that difference or for all of it: these seeds cannot tell."]
    share, low, high = (written(100 * value, 0) for value in (found.mean, found.low, found.high))
    if found.mean <= 0:
        part, mean = "none", f"{share} %, "
    elif found.mean >= 1:
        part, mean = "all", f"{share} %, "
    else:
        part, mean = f"{share} %", ""
    return [f"So it accounts for {part} of that difference ({mean}95 % interval {low} to {high} %, {found.n} seeds)."]


def _extremes(table: pd.DataFrame, x: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The pairs of the ``place`` in which the mean of a column is smallest, and of that in which it is largest."""
    means = table.groupby("place")[x].mean().sort_values(kind="stable")
    low, *_, high = (table[table["place"] == place] for place in means.index)
    return low, high


def _value_and_place(table: pd.DataFrame, x: str, unit: str = "") -> str:
    return f"{percent(table[x].mean())}{unit} ({table['place'].iloc[0]})"


def ratio_in_words(table: pd.DataFrame) -> str:
    """The price at the first exit where CONST's losses differ least, and where they differ most."""
    if table["place"].nunique() < 2:
        return ""
    low, high = _extremes(table, "ratio")
    return (
        f"Where these losses differ least, by a factor of {_value_and_place(low, 'ratio')}, AdaLoss makes "
        f"{mean_in_words(low['first'])} at the first exit. Where they differ most, by a factor of "
        f"{_value_and_place(high, 'ratio')}, it makes {mean_in_words(high['first'])} there."
    )


def headroom_in_words(table: pd.DataFrame) -> str:
    """The change at the last exit where it could win least, and where it could win most."""
    if table["place"].nunique() < 2:
        return ""
    low, high = _extremes(table, "headroom")
    return (
        f"On {listed(dict.fromkeys(table['dataset']))}, headroom lies between "
        f"{_value_and_place(low, 'headroom', ' %')} and {_value_and_place(high, 'headroom', ' %')}. At the last exit "
        f"AdaLoss makes {change_in_words(low['last'])} where it is smallest. Where it is largest, it makes "
        f"{change_in_words(high['last'])}."
    )


_FEWEST_PLACES = 3
_TREND = 0.5
"""Fewer places, or a weaker correlation of ranks, are called no trend."""


def _trend(means: pd.DataFrame, x: str, y: str) -> int:
    """1 where y rises with x over the rows, −1 where it falls, 0 where it does neither or the rows are too few."""
    if len(means) < _FEWEST_PLACES:
        return 0
    correlation = float(means[x].rank().corr(means[y].rank()))
    return (correlation > _TREND) - (correlation < -_TREND)


def price_in_words(table: pd.DataFrame) -> str:
    """Whether the price at the first exit grows with the ratio, within each data set and between them."""
    means = table.groupby(["dataset", "place"])[["ratio", "first"]].mean().reset_index()
    told, within = [], None
    for name, own in means.groupby("dataset", sort=False):
        if len(own) >= _FEWEST_PLACES:
            does = {1: "grows with", -1: "falls with", 0: "does not follow"}[_trend(own, "ratio", "first")]
            told.append(f"Within {name}, AdaLoss's price at the first exit {does} the ratio.")
            within = own if within is None else within
    if within is None:
        return "The settings are too few to say whether AdaLoss's price at the first exit grows with the ratio."
    for name, own in means.groupby("dataset", sort=False):
        if len(own) < _FEWEST_PLACES and own["ratio"].min() > within["ratio"].max():
            more, count = int((own["first"] > within["first"].max()).sum()), len(own)
            garments = within["dataset"].iloc[0]
            pays = f"more than any setting of {garments}" if more else f"less than the dearest setting of {garments}"
            some = f" in {part_of(more, count)} settings" if 0 < more < count else ""
            told.append(f"{name} lies further right and pays {pays}{some}.")
    return " ".join(told)


def room_in_words(table: pd.DataFrame) -> str:
    """Whether the change at the last exit falls with the headroom within each data set, as if AdaLoss used it."""
    told = []
    for name, own in table.groupby(["dataset", "place"], sort=False)[["headroom", "last"]].mean().groupby("dataset"):
        if len(own) >= _FEWEST_PLACES:
            do = "do" if _trend(own, "headroom", "last") < 0 else "do not"
            told.append(f"Within {name}, they {do} on average.")
    return " ".join(told) or "So far, the settings are too few to tell."


def prices_in_words(steps: pd.DataFrame) -> str:
    """In how many rows AdaLoss pays at a quarter of the cost, on average and for sure."""
    by = steps.groupby("row", sort=False)["quarter"]
    dear = int((by.mean() > 0).sum())
    ends = [mean_interval(values).low for _, values in by if len(values) >= FEWEST]
    sure = sum(round(low, 1) > 0 for low in ends)  # not one that touches 0
    rows = "every row" if dear == by.ngroups else f"{part_of(dear, by.ngroups)} rows"
    return (
        f"In {rows} AdaLoss pays at a quarter of the cost on average; in {part_of(sure, by.ngroups)} the whole "
        "interval lies right of the line."
    )


def rates_in_words(tried: pd.DataFrame) -> str:
    """Which rates validation images chose for CONST and AdaLoss, and whether the grid was wide enough.

    Args:
        tried: From :func:`anytime_study.analysis.comparisons.rates_tried`.
    """
    chosen = tried[tried["best"]].set_index("weighting")
    if not {"const", "adaloss"} <= set(chosen.index):
        return "The runs at other learning rates have not finished yet."
    const, adaloss = chosen.loc["const", "learning_rate"], chosen.loc["adaloss", "learning_rate"]
    same, edges = const == adaloss, int(chosen.loc[["const", "adaloss"], "at_the_edge"].sum())
    text = f"{const:g} for equal weights and {adaloss:g} for AdaLoss"
    text = f"Validation images choose {f'the same rate for both, {const:g}' if same else text}."
    if not edges:
        return text
    one, both = ("For one of them it is an end", "It is an end") if same else ("One is an end", "Both are ends")
    return f"{text} {one if edges == 1 else both} of the range that we tried, so better ones may lie beyond."


def moved_in_words(places: pd.Series | None) -> str:
    """Where the weight moves, as the end of a sentence.

    Args:
        places: By how many per cent of the network's cost it lies later, by seed; None without runs.
    """
    if places is None:
        return "cannot be compared yet: runs are missing."
    found, seeds = mean_interval(places), f"{len(places)} seeds"
    if found.low <= 0 <= found.high:
        interval = f"95 % interval {-found.low:.1f} % earlier to {found.high:.1f} % later, {seeds}"
        return f"do not visibly move the weight ({interval})."
    low, high = sorted((abs(found.low), abs(found.high)))
    size = f"{abs(found.mean):.1f} % of the network's cost (95 % interval {low:.1f} to {high:.1f} %, {seeds})"
    return f"move the weight {'earlier' if found.mean < 0 else 'later'}, by {size}."

"""Comparisons with a reference as sentences, each of which names what it speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from anytime_study.analysis.statistics import mean_interval
from anytime_study.pages.words import FEWEST, listed, number

Changes = Sequence[float] | pd.Series
"""Hundredths of a natural logarithm, one per seed; see :mod:`anytime_study.analysis.quantities`."""


class Sides(NamedTuple):
    """Names of what is compared, by the side of 0 on which the 95 % interval of its change lies."""

    fewer: list[str]
    more: list[str]
    unclear: list[str]


def sides(changes: Mapping[str, Changes]) -> Sides:
    """On which side of 0 each change lies; unclear where its interval holds 0 or its seeds are too few."""
    found = Sides([], [], [])
    for name, values in changes.items():
        interval = mean_interval(values) if len(values) >= FEWEST else None
        if interval is None or interval.low <= 0 <= interval.high:
            found.unclear.append(name)
        else:
            (found.fewer if interval.high < 0 else found.more).append(name)
    return found


def as_change(percents: pd.Series) -> pd.Series:
    """From changes in per cent to hundredths of a natural logarithm."""
    return 100 * (1 + percents / 100).apply(np.log)


def differs(who: str, changes: Mapping[str, Changes], where: str) -> str:
    """Where somebody makes more or fewer errors: ``AdaLoss makes more errors at half of the cost.``

    Args:
        who: The subject.
        changes: By the place in words.
        where: With the places, such as ``at {} of the cost`` or ``on {}``.
    """
    fewer, more, unclear = (where.format(listed(places)) if places else "" for places in sides(changes))
    told = [f"{word} errors {places}" for word, places in (("more", more), ("fewer", fewer)) if places]
    rest = f"{unclear[:1].upper()}{unclear[1:]}, chance could explain the difference."
    if not told:
        return rest
    return f"{who} makes {' and '.join(told)}." + (f" {rest}" if unclear else "")


def in_each_pair(told: Mapping[str, str]) -> str:
    """Sentences by pair of networks: one for all pairs where it is the same, ``In both pairs, …``, else a list.

    Args:
        told: From :func:`differs`, by pair.
    """
    if len(told) < 2 or len(set(told.values())) > 1:
        return "\n".join(f"- **{pair}**: {text}" for pair, text in told.items())
    text = next(iter(told.values()))
    pairs = "both" if len(told) == 2 else f"all {number(len(told))}"
    return f"In {pairs} pairs, {text if text.startswith('AdaLoss') else text[0].lower() + text[1:]}"


def who_differs(where: str, changes: Mapping[str, Changes], reference: str) -> str:
    """Who makes more or fewer errors than a reference, by name: ``At the end, only UW makes fewer errors than CONST.``

    Args:
        where: Where all are compared.
        changes: By who makes the errors; two or more.
        reference: What they are compared with.
    """
    fewer, more, unclear = sides(changes)
    if not fewer and not more:
        return (
            f"{where}, none of the {number(len(unclear))} differs from {reference} by more than chance could explain."
        )
    told = [
        f"{listed(names)} make {word} errors" if len(names) > 1 else f"only {names[0]} makes {word} errors"
        for word, names in (("fewer", fewer), ("more", more))
        if names
    ]
    whose = f"the other {number(len(unclear))}" if len(unclear) > 2 else listed(unclear) if unclear else ""
    rest = f" Chance could explain the difference{'s' * (len(unclear) > 1)} of {whose}." if whose else ""
    return f"{where}, {' and '.join(told)} than {reference}.{rest}"


def compared_sizes(first: Changes, second: Changes) -> str:
    """How large one change is beside another, whatever their signs: ``far less``, ``less`` or ``more``."""
    one, other = (abs(sum(values) / len(values)) for values in (first, second))
    return "far less" if one < other / 3 else "less" if one < other else "more"


def value_in_words(values: Changes, unit: str = "%", digits: int = 0) -> str:
    """A mean that is no change, with its 95 % interval: ``42 % (95 % interval 26 to 58 %, 5 seeds)``."""
    found = mean_interval(values)
    low, high = (f"{end:z.{digits}f}".replace("-", "−") for end in (found.low, found.high))
    mean = f"{found.mean:z.{digits}f}".replace("-", "−")
    return f"{mean} {unit} (95 % interval {low} to {high}{' %' * (unit == '%')}, {found.n} seeds)"

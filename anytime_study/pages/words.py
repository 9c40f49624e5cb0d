"""Numbers as a person would say them: changes with their intervals, and comparisons with a reference, as sentences.

Changes are in hundredths of a natural logarithm, one per seed; see :mod:`anytime_study.analysis.quantities`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from anytime_study.analysis.statistics import mean_interval

Values = Sequence[float] | pd.Series
FEWEST = 3
"""Fewer seeds have no interval that a sentence could use."""

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def number(count: int) -> str:
    """A count as a word up to twelve: ``no``, ``one``, ``two``."""
    return _NUMBERS[count] if 0 <= count < len(_NUMBERS) else f"{count:,}"


def part_of(some: int, of: int, *, the: bool = False) -> str:
    """``both``, ``all three``, ``two of three`` or ``two of the three``, ``none of the three``."""
    if some == of:
        return "both" if of == 2 else f"all {number(of)}"
    return f"{number(some) if some else 'none'} of {'the ' * (the or not some)}{number(of)}"


def listed(words: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def capital(text: str) -> str:
    """The text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]


def written(value: float, digits: int) -> str:
    """With so many digits after the point; a real minus, and none before a zero."""
    return f"{value:z.{digits}f}".replace("-", "−")


def percent(value: float) -> str:
    """Two digits: ``3.1``, ``12``."""
    return written(value, 1 if abs(value) < 9.95 else 0)


def as_percent(changes: npt.ArrayLike) -> Any:
    """From hundredths of a natural logarithm to per cent: an array, or a number of one."""
    return 100 * np.expm1(np.asarray(changes, dtype=float) / 100)


def as_change(percents: Any) -> Any:
    """From changes in per cent, a number, an array or a series, to hundredths of a natural logarithm."""
    return 100 * np.log1p(percents / 100)


# --- a change --------------------------------------------------------------------------------------------------------


def change_in_words(values: Values, what: str = "errors") -> str:
    """A mean change and its 95 % interval, ``3.1 % fewer errors (95 % interval 1.0 to 5.1 % fewer, 8 seeds)``.

    Args:
        values: Fewer than three have no interval.
        what: What is counted, in the plural; may be empty.
    """
    seeds = "1 seed" if len(values) == 1 else f"{len(values)} seeds"
    if len(values) < FEWEST:
        return f"{mean_in_words(values, what)} ({seeds}, so no interval)"
    return f"{mean_in_words(values, what)} (95 % interval {interval_in_words(values)}, {seeds})"


def mean_in_words(values: Values, what: str = "errors") -> str:
    """The mean of such changes alone, ``3.1 % fewer errors``."""
    change = as_percent(sum(values) / len(values))
    if round(abs(change), 1) == 0:
        return f"about as many {what}".rstrip()
    return f"{percent(abs(change))} % {'fewer' if change < 0 else 'more'} {what}".rstrip()


def interval_in_words(values: Values) -> str:
    """The 95 % interval alone: from the smaller change to the larger one, or from fewer to more across 0."""
    interval = mean_interval(values)
    low, high = as_percent([interval.low, interval.high])
    if low < 0 < high:
        return f"{_end(-low)} % fewer to {_end(high)} % more"
    small, large = sorted((abs(low), abs(high)))
    return f"{_end(small)} to {_end(large)} % {'fewer' if high <= 0 else 'more'}"


def _end(value: float) -> str:
    """As a percentage with two digits; one close to 0 with the digit that tells it from 0: ``0.003``."""
    near = 1e-9 < value < 0.05
    return np.format_float_positional(value, precision=1, fractional=False) if near else percent(value)


def both_changes(changes: pd.DataFrame, *, short: bool = False) -> str:
    """Early and late, each with its interval in brackets; from one seed on.

    Args:
        changes: With the columns ``quarter`` and ``last``.
        short: After a sentence that has said where early is, and what brackets hold.
    """
    seeds = "one seed" if len(changes) == 1 else f"{number(len(changes))} seeds"
    sure = len(changes) >= FEWEST
    early, late = (f" ({interval_in_words(changes[column])})" if sure else "" for column in ("quarter", "last"))
    if not short:
        early = early.replace("(", f"(95 % interval over {seeds}: ") if sure else f" ({seeds}, so no interval)"
    where = "early" if short else "at a quarter of the network's cost"
    more, fewer = mean_in_words(changes["quarter"]), mean_in_words(changes["last"], "at the last exit")
    return f"{more} {where}{early} and {fewer}{late}"


def change_in_a_table(values: Values) -> str:
    """For a cell of a table, in per cent: ``5.3 [3.1, 7.6]``; the mean alone for fewer than three seeds."""
    return _with_interval(values, FEWEST, lambda change: percent(as_percent(change)))


def interval_text(values: Values, *, digits: int = 1) -> str:
    """Mean and 95 % interval of what is no change, such as ``2.7 [0.4, 5.0]``; a mean alone where there is one value.

    The space inside the brackets does not break, so that a narrow column keeps the interval on one line.
    """
    return _with_interval(values, 2, lambda value: written(value, digits)) if len(values) else ""


def _with_interval(values: Values, fewest: int, say: Callable[[float], str]) -> str:
    mean = say(sum(values) / len(values))
    if len(values) < fewest:
        return mean
    interval = mean_interval(values)
    return f"{mean} [{say(interval.low)},\N{NO-BREAK SPACE}{say(interval.high)}]"


def value_in_words(values: Values, unit: str = " %", digits: int = 0) -> str:
    """A mean that is no change, with its 95 % interval: ``42 % (95 % interval 26 to 58 %, 5 seeds)``.

    Args:
        values: One per seed; a single one has no interval.
        unit: With the space before it.
        digits: After the point.
    """
    mean = written(sum(values) / len(values), digits)
    if len(values) < 2:
        return f"{mean}{unit}"
    found = mean_interval(values)
    low, high = written(found.low, digits), written(found.high, digits)
    return f"{mean}{unit} (95 % interval {low} to {high}{unit if unit == ' %' else ''}, {found.n} seeds)"


# --- comparisons with a reference ------------------------------------------------------------------------------------


class Sides(NamedTuple):
    """Names of what is compared, by the side of 0 on which the 95 % interval of its change lies."""

    fewer: list[str]
    more: list[str]
    unclear: list[str]


def sides(changes: Mapping[str, Values]) -> Sides:
    """On which side of 0 each change lies; unclear where its interval holds 0 or its seeds are too few."""
    found = Sides([], [], [])
    for name, values in changes.items():
        interval = mean_interval(values) if len(values) >= FEWEST else None
        if interval is None or interval.low <= 0 <= interval.high:
            found.unclear.append(name)
        else:
            (found.fewer if interval.high < 0 else found.more).append(name)
    return found


def differs(who: str, changes: Mapping[str, Values], where: str) -> str:
    """Where somebody makes more or fewer errors: ``AdaLoss makes more errors at half of the cost.``

    Args:
        who: The subject.
        changes: By the place in words.
        where: With the places, such as ``at {} of the cost`` or ``on {}``.
    """
    fewer, more, unclear = (where.format(listed(places)) if places else "" for places in sides(changes))
    told = [f"{word} errors {places}" for word, places in (("more", more), ("fewer", fewer)) if places]
    rest = f"{capital(unclear)}, chance could explain the difference." if unclear else ""
    return f"{who} makes {' and '.join(told)}. {rest}".rstrip() if told else rest


def in_each_pair(told: Mapping[str, str]) -> str:
    """Sentences by pair of networks: one for all pairs where it is the same, ``In both pairs, …``, else a list.

    Args:
        told: From :func:`differs`, by pair.
    """
    if len(told) < 2 or len(set(told.values())) > 1:
        return "\n".join(f"- **{pair}**: {text}" for pair, text in told.items())
    text = next(iter(told.values()))
    begins = text if text.startswith("AdaLoss") else text[0].lower() + text[1:]
    return f"In {part_of(len(told), len(told))} pairs, {begins}"


def who_differs(where: str, changes: Mapping[str, Values], reference: str) -> str:
    """Who makes more or fewer errors than a reference, by name: ``At the end, only UW makes fewer errors than CONST.``

    Args:
        where: Where all are compared.
        changes: By who makes the errors; two or more.
        reference: What they are compared with.
    """
    fewer, more, unclear = sides(changes)
    if not fewer and not more:
        nobody = part_of(0, len(unclear))
        return f"{where}, {nobody} differs from {reference} by more than chance could explain."
    told = [
        f"{listed(names)} make {word} errors" if len(names) > 1 else f"only {names[0]} makes {word} errors"
        for word, names in (("fewer", fewer), ("more", more))
        if names
    ]
    whose = f"the other {number(len(unclear))}" if len(unclear) > 2 else listed(unclear) if unclear else ""
    rest = f" Chance could explain the difference{'s' * (len(unclear) > 1)} of {whose}." if whose else ""
    return f"{where}, {' and '.join(told)} than {reference}.{rest}"


def compared_sizes(first: Values, second: Values) -> str:
    """How large one change is beside another, whatever their signs: ``far less``, ``less`` or ``more``."""
    one, other = (abs(sum(values) / len(values)) for values in (first, second))
    return "far less" if one < other / 3 else "less" if one < other else "more"

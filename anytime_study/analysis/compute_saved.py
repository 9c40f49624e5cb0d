"""The factor of compute that a small network saves at equal accuracy, against one about twice as large.

Source: Hu et al. 2019, Fig. 4a-c, which shows the curves; the factor is this study's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from anytime_study.analysis.curves import anytime_steps, interpolated
from anytime_study.analysis.medians import median_interval
from anytime_study.analysis.selection import Selection
from anytime_study.analysis.statistics import mean_interval
from anytime_study.runs.registries import NETWORKS, short_name

if TYPE_CHECKING:
    from anytime_study.runs.record import RunRecord

Pair = tuple[str, str]
"""A small network and a large one."""


def pairs(selection: Selection) -> list[Pair]:
    """Each network planned with AdaLoss and the one planned with CONST that has about twice its n, largest first.

    About is one more or less at most, as in the paper (7 and 13); of several the nearest is taken. All options but n
    and s, the spacing of exits, are the same.
    """
    found = []
    for small in selection.networks("adaloss"):
        options = NETWORKS.parse(small).options
        twice = {
            large: abs(given["n"] - 2 * options["n"])
            for large in selection.networks("const")
            if large != small and _others(given := NETWORKS.parse(large).options) == _others(options)
        }
        if twice and min(twice.values()) <= 1:
            found.append((small, min(twice, key=twice.__getitem__)))
    return sorted(found, key=lambda pair: NETWORKS.parse(pair[0]).options["n"], reverse=True)


def pair_name(pair: Pair) -> str:
    """Such as ``(3, 16) and (6, 16)``."""
    return " and ".join(short_name(network) for network in pair)


def first_reached(costs: npt.ArrayLike, errors: npt.ArrayLike, error: float, *, at_exits: bool = False) -> float:
    """The smallest cost at which a curve of errors is at or below an error; infinite if it never is.

    Args:
        costs: [K], increasing: cumulative MACs of the exits.
        errors: [K], linear in cost between them. The first exit is the earliest answer.
        error: To be reached.
        at_exits: Whether only exits have answers, so that the cost is that of an exit.
    """
    costs, errors = np.asarray(costs, dtype=float), np.asarray(errors, dtype=float)
    reached = np.flatnonzero(errors <= error)
    if not len(reached):
        return float("inf")
    exit = reached[0]
    if exit == 0 or at_exits:
        return float(costs[exit])
    share = (errors[exit - 1] - error) / (errors[exit - 1] - errors[exit])
    return float(costs[exit - 1] + share * (costs[exit] - costs[exit - 1]))


def factor_saved(
    small: RunRecord, large: RunRecord, fraction: float, *, margin: float = 0.0, at_exits: bool = False
) -> tuple[float, float]:
    """What the large network pays for the error that the small one has at a cost, over that cost.

    Args:
        small, large: Records of one seed.
        fraction: Of the small network's cumulative cost: where its test error is read.
        margin: By how many per cent of that error the large network may miss it.
        at_exits: Whether only finished exits have answers; else both curves are linear in cost between exits.

    Returns:
        The factor, infinite if the large network never reaches the error; and its limit, the large network's whole cost
        over that cost: of an infinite factor we know only that it is above the limit.

    Raises:
        ValueError: the small network has no answer yet at this cost.
    """
    costs = np.array(small.costs.macs_cumulative, dtype=float)
    cost = fraction * costs[-1]
    if not cost >= costs[0]:
        raise ValueError(f"fraction: expected at least {costs[0] / costs[-1]:.3g}, the first exit's, found {fraction}")
    if at_exits:
        error = float(anytime_steps(small).at(cost))
        cost = float(costs[costs <= cost][-1])
    else:
        error = float(interpolated(costs, small.test.error, cost))
    theirs = large.costs.macs_cumulative
    paid = first_reached(theirs, large.test.error, (1 + margin / 100) * error, at_exits=at_exits)
    return paid / cost, theirs[-1] / cost


def saved_table(
    selection: Selection,
    fractions: Sequence[float],
    *,
    weightings: Sequence[str] = ("adaloss", "const"),
    margin: float = 0.0,
    at_exits: bool = False,
) -> pd.DataFrame:
    """:func:`factor_saved` of small networks against their large ones with CONST.

    Args:
        selection: Finds the records; pairs whose runs are missing are left out.
        fractions: Of the small network's cost.
        weightings: Of the small network.
        margin, at_exits: As in :func:`factor_saved`.

    Returns:
        A row per pair, weighting, fraction and seed: ``pair``, ``weighting``, ``fraction``, ``seed``, ``factor``,
        ``limit``.
    """
    rows = []
    for pair in pairs(selection):
        large = selection.pick(network=pair[1], weighting="const")
        for weighting in weightings:
            small = selection.pick(network=pair[0], weighting=weighting)
            for fraction in fractions:
                for seed in sorted(small.keys() & large.keys()):
                    found = factor_saved(small[seed], large[seed], fraction, margin=margin, at_exits=at_exits)
                    rows.append((pair_name(pair), weighting, fraction, seed, *found))
    return pd.DataFrame(rows, columns=["pair", "weighting", "fraction", "seed", "factor", "limit"])


@dataclass(frozen=True)
class FactorSummary:
    """Factors of several seeds taken together. Infinite numbers are only known to be above the limit.

    Attributes:
        centre: Geometric mean if all factors are known, else the median.
        low, high: Ends of its interval; NaN for a single seed.
        coverage: The interval's confidence.
        unknown: Of how many seeds we know only that the factor is above the limit.
        limit: The largest factor that could be seen.
    """

    centre: float
    low: float
    high: float
    coverage: float
    unknown: int
    limit: float


def factor_summary(factors: Sequence[float] | pd.Series, limit: float) -> FactorSummary:
    """Centre and interval of the factors of several seeds.

    Where all are known: their geometric mean with the 95 % interval of their logarithms (Student's t). Where some are
    infinite a mean would need a guess at them, so it is the median with the interval of the sign test. Of an even
    number of seeds the two middle ones may be one known and one unknown; the median is then at least the mean of the
    known one and the limit, and it is given as infinite.

    Args:
        factors: One or more, infinite where not reached.
        limit: That all of them have.

    Raises:
        ValueError: a known factor is above the limit, so the order is not known.
    """
    numbers = np.asarray(factors, dtype=float)
    known = numbers[np.isfinite(numbers)]
    if len(known) and known.max() > limit * (1 + 1e-9):
        raise ValueError(f"factors: expected none above the limit {limit:.4g}, found {known.max():.4g}")
    unknown = len(numbers) - len(known)
    if unknown:
        found = median_interval(numbers.tolist())
        return FactorSummary(found.median, found.low, found.high, found.coverage, unknown, limit)
    if len(numbers) == 1:
        return FactorSummary(float(numbers[0]), float("nan"), float("nan"), 0.95, 0, limit)
    interval = mean_interval(np.log(numbers).tolist())
    centre, low, high = np.exp([interval.mean, interval.low, interval.high]).tolist()
    return FactorSummary(centre, low, high, 0.95, 0, limit)


def factor_text(factors: Sequence[float] | pd.Series, limit: float) -> str:
    """:func:`factor_summary` as text: ``1.65 [1.42, 1.92]``, or ``median 1.80 [1.20, > 2.06], 94%``."""
    found = factor_summary(factors, limit)
    centre, low, high = (
        f"{value:.2f}" if np.isfinite(value) else f"> {limit:.2f}" for value in (found.centre, found.low, found.high)
    )
    if len(factors) == 1:
        return centre
    if 2 * found.unknown == len(factors):  # the two in the middle are one known and one above the limit
        known = np.sort(np.asarray(factors, dtype=float))[found.unknown - 1]
        centre = f"> {(known + limit) / 2:.2f}"
    return f"median {centre} [{low}, {high}], {found.coverage:.0%}" if found.unknown else f"{centre} [{low}, {high}]"


def _others(options: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if name not in ("n", "s")}

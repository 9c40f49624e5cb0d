"""A sequence of networks, run: workers take the networks in order, and at each budget the best answer so far is kept.

Only the rules are here, those of the paper's section 4. What follows from them is in :mod:`.cost_inflation`, which this
module does not know, so that each can be checked against the other.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anytime_study.theory.quadratics import Array, require

_ASIDE = 1e-12  # relative; how far before and after an event C is looked at


@dataclass(frozen=True)
class SequenceRun:
    """Networks with the moments at which they start. A budget is a moment on the clock, in units of cost.

    Attributes:
        costs: x, [n], in order of start.
        starts: When each network's worker takes it up, [n].
        competence: b. A network's answer at internal cost d counts once d ≥ x / b, and then it is as good as that of
            the best network of cost d. The answer at its end always counts.
    """

    costs: Array
    starts: Array
    competence: float

    @property
    def ends(self) -> Array:
        """When each network has finished, [n]."""
        return self.starts + self.costs

    def best(self, budgets: npt.ArrayLike) -> Array:
        """The cost of the network that the best competent answer so far is as good as: [...] -> [...], 0 before any."""
        budgets = np.asarray(budgets, dtype=np.float64)
        best = np.zeros_like(budgets)
        for cost, start, end in zip(self.costs, self.starts, self.ends, strict=True):
            # an end is read off the clock, as rounding could leave the work done a hair below the cost
            done = np.where(budgets >= end, cost, np.clip(budgets - start, 0, cost))
            best = np.maximum(best, np.where((done >= cost / self.competence) | (done == cost), done, 0))
        return best

    def inflation(self, budgets: npt.ArrayLike) -> Array:
        """C(B) = B / best(B), infinite before the first competent answer: [...] -> [...]."""
        budgets, best = np.asarray(budgets, dtype=np.float64), self.best(budgets)
        return np.divide(budgets, best, out=np.full_like(best, np.inf), where=best > 0)

    def events(self) -> Array:
        """Every budget at which the rule for the best answer can change, sorted.

        A network becomes competent, ends, or draws level with what another network reaches at its end. Between two
        events C is smooth: the best answer stands still, or grows with the clock.
        """
        moments = [
            start + np.append(self.costs[self.costs <= cost], cost / self.competence)
            for cost, start in zip(self.costs, self.starts, strict=True)
        ]
        return np.unique(np.concatenate(moments))

    def highest(self, low: float, high: float) -> float:
        """The supremum of C over budgets from ``low`` to ``high``.

        The best answer never gets worse, so C can only peak just before an event.
        """
        require(low < high, "high", f"above low = {low}", high)
        require(self.best(low) > 0, "low", "a budget with a competent answer", low)
        events = self.events()
        inside = events[(events > low) & (events <= high)]
        looked_at = np.concatenate([[low, high], inside * (1 - _ASIDE)])
        return float(self.inflation(looked_at[looked_at >= low]).max())

    def mean(self, low: float, high: float, *, logarithmic: bool = False, points: int = 200_000) -> float:
        """Mean of C over budgets from ``low`` to ``high``, evenly spaced in B, or in ln B if ``logarithmic``."""
        require(0 < low < high, "low", f"above 0 and below high = {high}", low)
        require(self.best(low) > 0, "low", "a budget with a competent answer", low)
        place = (np.arange(points) + 0.5) / points
        budgets = low * (high / low) ** place if logarithmic else low + (high - low) * place
        return float(self.inflation(budgets).mean())


def run_sequence(costs: npt.ArrayLike, competence: float, *, workers: int = 1) -> SequenceRun:
    """Let workers run networks in the given order: whoever is free first takes the next one and runs it to its end.

    Args:
        costs: x, [n], each above 0, in any order.
        competence: b, 1 or more.
        workers: M, 1 or more.
    """
    costs = np.asarray(costs, dtype=np.float64)
    good = costs.ndim == 1 and len(costs) and np.all((costs > 0) & np.isfinite(costs))
    require(good, "costs", "one or more finite numbers above 0", costs)
    for name, value in (("competence", competence), ("workers", workers)):
        require(1 <= value < math.inf, name, "1 or more", value)
    free = [0.0] * workers  # when each worker is free again; a heap
    starts = []
    for cost in costs.tolist():
        start = heapq.heappop(free)
        starts.append(start)
        heapq.heappush(free, start + cost)
    return SequenceRun(costs, np.array(starts), float(competence))


def geometric_costs(growth: float, *, reach: float) -> Array:
    """Costs g^i, i = 0, 1, …, up to the first that is at least ``reach``."""
    for name, value, least in (("growth", growth, 1), ("reach", reach, 0)):
        require(least < value < math.inf, name, f"finite and above {least}", value)
    count = 1 + max(0, math.ceil(math.log(reach) / math.log(growth) - 1e-9))  # a reach of g^k needs k + 1
    return growth ** np.arange(count, dtype=np.float64)

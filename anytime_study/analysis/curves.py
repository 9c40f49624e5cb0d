"""Error over cost. Costs are MACs of one image; budgets are costs that may be spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # pages that draw curves need not wait for torch to load
    from anytime_study.runs.record import RunRecord


def interpolated(costs: npt.ArrayLike, values: npt.ArrayLike, at: npt.ArrayLike) -> np.ndarray:
    """A score at any cost, linear between exits; the first exit's before it, the last exit's after it.

    Source: so the paper's Table 3b is read off its curves.

    Args:
        costs: [K], increasing: cumulative MACs of the exits.
        values: [K], such as their errors.
        at: Costs, [...].

    Returns:
        [...].

    Raises:
        ValueError: lengths differ, or costs do not increase.
    """
    costs, values = _checked(costs, values)
    return np.interp(np.asarray(at, dtype=float), costs, values)


@dataclass(frozen=True)
class Steps:
    """An answer's error as a function of the budget: it changes when a new answer is there and stays until the next.

    Attributes:
        costs: [J], increasing: when each answer is there. Before the first there is none.
        errors: [J], of the answers.
    """

    costs: np.ndarray
    errors: np.ndarray

    def __post_init__(self) -> None:
        costs, errors = _checked(self.costs, self.errors)
        object.__setattr__(self, "costs", costs)
        object.__setattr__(self, "errors", errors)

    def at(self, budgets: npt.ArrayLike) -> np.ndarray:
        """The error at budgets [...]; NaN before the first answer."""
        place = np.searchsorted(self.costs, np.asarray(budgets, dtype=float), side="right") - 1
        return np.where(place < 0, np.nan, self.errors[np.maximum(place, 0)])

    def held_from(self, cost: float) -> Steps:
        """The same with the first answer there from ``cost`` on, if it came later."""
        return Steps(np.concatenate([[min(cost, self.costs[0])], self.costs[1:]]), self.errors)

    def log_mean(self, low: float, high: float) -> float:
        """The error averaged over the logarithm of the budget from ``low`` to ``high``: exact, not by sampling.

        Raises:
            ValueError: not 0 < low < high, or there is no answer at ``low`` yet.
        """
        if not 0 < low < high:
            raise ValueError(f"budgets: expected 0 < low < high, found {low} and {high}")
        if low < self.costs[0]:
            raise ValueError(f"low: expected at least {self.costs[0]:g}, the first answer's cost, found {low:g}")
        inside = (self.costs > low) & (self.costs < high)
        edges = np.concatenate([[low], self.costs[inside], [high]])
        return float(np.average(self.at(edges[:-1]), weights=np.diff(np.log(edges))))


def anytime_steps(record: RunRecord) -> Steps:
    """Test error of an anytime network that answers with its latest finished exit; cost is cumulative."""
    return Steps(np.array(record.costs.macs_cumulative), np.array(record.test.error))


def sequence_steps(members: Sequence[RunRecord], *, alone: bool = False) -> Steps:
    """Test error of networks that run one after the other, each from the start: an EANN, or a plain sequence.

    An exit's answer replaces the one before it if its validation error is the lowest so far; that is decided once for
    all images, as :meth:`anytime_core.networks.ensemble.EANN.adopt` does.

    Source: Hu et al. 2019, section 4.

    Args:
        members: Records of the networks in the order in which they run.
        alone: Whether the members are ordinary networks: only the last exit of each answers, and only its head is paid.

    Raises:
        ValueError: no member.
    """
    if not members:
        raise ValueError("members: expected at least one record, found none")
    costs, errors, spent, best = [], [], 0, np.inf
    for record in members:
        macs = record.costs.macs_fixed[-1:] if alone else record.costs.macs_cumulative
        exits = len(macs)  # the last ones
        for cost, validation_error, test_error in zip(
            macs, record.validation.error[-exits:], record.test.error[-exits:], strict=True
        ):
            if validation_error < best:
                best = validation_error
                costs.append(spent + cost)
                errors.append(test_error)
        spent += macs[-1]
    return Steps(np.array(costs), np.array(errors))


def sequence_cost(members: Sequence[RunRecord]) -> int:
    """MACs of all members of an EANN together."""
    return sum(record.costs.macs_cumulative[-1] for record in members)


def best_separate(networks: Sequence[RunRecord]) -> Steps:
    """Test error of the best separately trained network that a budget affords.

    A larger network is the better one if its validation error is the lowest so far: nothing is chosen on test images.

    Args:
        networks: Records of networks of which only the last exit answers, and only its head is paid; in any order.

    Raises:
        ValueError: no network.
    """
    if not networks:
        raise ValueError("networks: expected at least one record, found none")
    costs, errors, best = [], [], np.inf
    for record in sorted(networks, key=lambda record: record.costs.macs_fixed[-1]):
        if record.validation.error[-1] < best:
            best = record.validation.error[-1]
            costs.append(record.costs.macs_fixed[-1])
            errors.append(record.test.error[-1])
    return Steps(np.array(costs), np.array(errors))


def inflation(sequence: Steps, separate: Steps, budgets: npt.ArrayLike, *, tolerance: float) -> np.ndarray:
    """Cost inflation C as measured: the sequence at budget B is as good as the best separate network of cost B / C.

    As good is an error of at most (1 + tolerance) times the other's. Of all such C this is the smallest (the infimum:
    at C itself the network that is better can just be afforded), and 0 if no separate network is better.

    Source: Hu et al. 2019, section 4.

    Args:
        sequence: From :func:`sequence_steps`.
        separate: From :func:`best_separate`.
        budgets: MACs, [N], none before the sequence's first answer.
        tolerance: Relative, 0 or more.

    Returns:
        [N].

    Raises:
        ValueError: the sequence has no answer yet at a budget.
    """
    budgets = np.asarray(budgets, dtype=float)
    errors = sequence.at(budgets)
    if np.isnan(errors).any():
        raise ValueError(f"budgets: expected at least {sequence.costs[0]:g}, the first answer's cost, found {budgets}")
    as_good = errors[:, None] <= (1 + tolerance) * separate.errors  # [N, J]
    # the last network that is matched; the one after it is the first that B / C must not afford
    matched = np.where(as_good, np.arange(len(separate.costs)), -1).max(axis=1)
    return budgets / np.append(separate.costs, np.inf)[matched + 1]


def _checked(costs: npt.ArrayLike, values: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    costs, values = np.asarray(costs, dtype=float), np.asarray(values, dtype=float)
    if costs.ndim != 1 or costs.shape != values.shape or len(costs) == 0:
        raise ValueError(f"costs and values: expected one of each per exit, found shapes {costs.shape}, {values.shape}")
    if not (np.diff(costs) > 0).all():
        raise ValueError(f"costs: expected increasing numbers, found {costs.tolist()}")
    return costs, values

"""Test errors over budgets, of a network or of several that run one after the other. Budgets are MACs of one image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from anytime_study.runs.record import RunRecord


@dataclass(frozen=True)
class Steps:
    """An answer's error as a function of the budget: it changes when a new answer is there and stays until the next.

    Attributes:
        costs: [J], increasing: when each answer is there. Before the first there is none.
        errors: [J], of the answers.
    """

    costs: np.ndarray
    errors: np.ndarray

    def at(self, budgets: npt.ArrayLike) -> np.ndarray:
        """The error at budgets [...]; NaN before the first answer."""
        place = np.searchsorted(self.costs, np.asarray(budgets, dtype=float), side="right") - 1
        return np.where(place < 0, np.nan, self.errors[np.maximum(place, 0)])

    def answering_from(self, cost: float, guess: float | None = None) -> Steps:
        """The same with an answer from ``cost`` on, if the first came later: its own first one, or a guess's error."""
        if cost >= self.costs[0]:
            return self
        if guess is None:
            return Steps(np.append(cost, self.costs[1:]), self.errors)
        return Steps(np.append(cost, self.costs), np.append(guess, self.errors))

    def log_mean(self, low: float, high: float) -> float:
        """The error averaged over the logarithm of the budget from ``low`` to ``high``: exact, not by sampling.

        Raises:
            ValueError: not 0 < low < high, or there is no answer at ``low`` yet.
        """
        if not self.costs[0] <= low < high:
            raise ValueError(f"budgets: expected {self.costs[0]:g} <= low < high, found {low:g} and {high:g}")
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
        members: Records of the networks in the order in which they run; at least one.
        alone: Whether the members are ordinary networks: only the last exit of each answers, and only its head is paid.
    """
    answers, spent = [], 0
    for record in members:
        macs = record.costs.macs_fixed[-1:] if alone else record.costs.macs_cumulative
        exits = len(macs)  # the last ones
        scores = zip(record.validation.error[-exits:], record.test.error[-exits:], strict=True)
        answers += [(spent + cost, *errors) for cost, errors in zip(macs, scores, strict=True)]
        spent += macs[-1]
    return _adopted(answers)


def sequence_cost(members: Sequence[RunRecord]) -> int:
    """MACs of all members of an EANN together."""
    return sum(record.costs.macs_cumulative[-1] for record in members)


def best_separate(networks: Sequence[RunRecord]) -> Steps:
    """Test error of the best separately trained network that a budget affords.

    A larger network is the better one if its validation error is the lowest so far: nothing is chosen on test images.

    Args:
        networks: Records of networks of which only the last exit answers, and only its head is paid; at least one, in
            any order.
    """
    return _adopted(
        sorted((run.costs.macs_fixed[-1], run.validation.error[-1], run.test.error[-1]) for run in networks)
    )


def _adopted(answers: Iterable[tuple[float, float, float]]) -> Steps:
    """Those answers (cost, validation error, test error) whose validation error is the lowest so far."""
    costs, validation, errors = np.array(list(answers), dtype=float).T
    adopted = validation < np.minimum.accumulate(np.append(np.inf, validation[:-1]))
    return Steps(costs[adopted], errors[adopted])


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
    """
    budgets = np.asarray(budgets, dtype=float)
    as_good = sequence.at(budgets)[:, None] <= (1 + tolerance) * separate.errors  # [N, J]
    # the last network that is matched; the one after it is the first that B / C must not afford
    matched = np.where(as_good, np.arange(len(separate.costs)), -1).max(axis=1)
    return budgets / np.append(separate.costs, np.inf)[matched + 1]

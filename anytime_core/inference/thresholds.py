"""Thresholds of early exit, fitted on held-out inputs.

Everything here works on logits of all exits (:func:`anytime_core.inference.logits.exit_logits`), so that any number of
thresholds can be looked at without another run. Fit on validation data: not augmented, not trained on, and not the
test set.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from anytime_core.errors import InputError
from anytime_core.inference.logits import (
    as_numbers,
    checked_labels,
    checked_logits,
    checked_temperatures,
    checked_thresholds,
    softmax_at,
)

BUDGETS = 500  # that are tried for thresholds that keep an error


def confidences(logits: Any, temperatures: Any = None) -> Tensor:
    """Largest probability of each exit's answer: logits [K, N, classes] -> float32 [K, N]."""
    found = checked_logits(logits)
    return softmax_at(found, checked_temperatures(temperatures, len(found))[:, None, None]).amax(-1)


def exits_taken(confidence: Tensor, thresholds: Any) -> Tensor:
    """The exit, as an index from 0, at which each input leaves: the first whose threshold its confidence reaches.

    Args:
        confidence: [K, N].
        thresholds: [K - 1], or one for all; the last exit answers what is left.

    Returns:
        int64 [N].
    """
    sure = torch.ones_like(confidence, dtype=torch.uint8)
    sure[:-1] = confidence[:-1] >= checked_thresholds(thresholds, len(confidence))[:, None]
    return sure.argmax(0)  # the first


def geometric_shares(costs: Any, budgets_macs: Any) -> Tensor:
    """Shares p_k ∝ q^k of inputs that leave at exit k, with q such that the mean cost Σ p_k costs_k is the budget.

    Huang et al. 2018 have 1 - q as q here, at most 1. Larger q are allowed, so that every budget between the first
    exit's cost and the last one's can be met.

    Args:
        costs: Multiply-adds up to each exit, [K], growing.
        budgets_macs: Mean multiply-adds per input, [...]. What the last exit does not need is left.

    Returns:
        float64 [..., K], with sum 1.
    """
    costs = _checked_costs(costs)
    budgets = as_numbers(budgets_macs, "budget_macs", torch.float64)
    if not bool((budgets >= costs[0]).all()):
        raise InputError(f"budget_macs: expected at least {costs[0]:g}, the first exit's cost, found {budgets_macs}")
    exits = torch.arange(len(costs), device="cpu")
    low, high = torch.full_like(budgets, -60.0), torch.full_like(budgets, 60.0)  # of log q: e^-60 is less than rounding
    for _ in range(60):  # halve the interval: the mean cost grows with q
        middle = (low + high) / 2
        within = (middle[..., None] * exits).softmax(-1) @ costs <= budgets
        low, high = torch.where(within, middle, low), torch.where(within, high, middle)
    return (low[..., None] * exits).softmax(-1)


def fit_thresholds(logits_validation: Any, costs: Any, budget_macs: float, *, temperatures: Any = None) -> Tensor:
    """Thresholds under which validation inputs cost no more than a budget on average. No labels are needed.

    From exit to exit, the most confident of the inputs that are left leave, until the shares of
    :func:`geometric_shares` have left in total. Equal confidences leave together: earlier, never later, than planned.

    Source: Huang et al. 2018 (MSDNet), budgeted batch classification.

    Args:
        logits_validation: Of held-out inputs without augmentation, [K, N, classes].
        costs: Multiply-adds up to each exit, [K]: :func:`anytime_core.inference.early_exit.answer_costs`.
        budget_macs: Mean multiply-adds per input.
        temperatures: As :class:`EarlyExit` will use.

    Returns:
        float32 [K - 1]: 0 where every input leaves, infinity where none does.

    Raises:
        InputError: logits, costs, temperatures or a budget that cannot be used.
    """
    return _fitted(confidences(logits_validation, temperatures), costs, [budget_macs])[0]


def fit_non_inferior_thresholds(
    logits_validation: Any, labels_validation: Any, costs: Any, margin_points: float = 0.0, *, temperatures: Any = None
) -> Tensor:
    """The cheapest thresholds whose validation error is at most the last exit's plus a margin.

    Tried are those of :func:`fit_thresholds` for 500 budgets, evenly from the first exit's cost to the last one's. They
    use up the margin on validation inputs, so that on new ones it is exceeded about half of the time: leave room.

    Args:
        logits_validation, costs, temperatures: As for :func:`fit_thresholds`, and so is what is returned.
        labels_validation: [N].
        margin_points: In percentage points of error, 0 or more: 0.3 is three inputs in a thousand.

    Raises:
        InputError: input that cannot be used.
    """
    if not 0 <= margin_points < math.inf:
        raise InputError(f"margin_points: expected 0 or more, found {margin_points}")
    logits = checked_logits(logits_validation, "logits_validation")
    costs = _checked_costs(costs, len(logits))
    wrong = logits.argmax(-1) != checked_labels(labels_validation, logits)  # [K, N]
    confidence = confidences(logits, temperatures)
    budgets = torch.linspace(costs[0], costs[-1], BUDGETS, dtype=costs.dtype, device="cpu")
    candidates = _fitted(confidence, costs, budgets)
    taken = torch.stack([exits_taken(confidence, thresholds) for thresholds in candidates])  # [BUDGETS, N]
    errors = wrong.gather(0, taken).double().mean(1)
    allowed = errors <= wrong[-1].double().mean() + margin_points / 100 + 1e-9  # rounding is no input
    return candidates[costs[taken].mean(1).where(allowed, math.inf).argmin()]  # the last one is always allowed


def _fitted(confidence: Tensor, costs: Any, budgets: Any) -> Tensor:
    """What :func:`fit_thresholds` does, from confidences [K, N] and for many budgets [B] -> [B, K - 1]."""
    costs = _checked_costs(costs, len(confidence))
    number = confidence.shape[1]
    # rounded up, so that the budget is kept; what rounding of the sum has added is no input
    planned = (number * geometric_shares(costs, budgets).cumsum(1) - 1e-6).ceil().long()  # [B, K]
    ordered, order = confidence.sort(1, descending=True)
    thresholds = confidence.new_zeros(len(planned), len(confidence) - 1)
    for found, quotas in zip(thresholds, planned.tolist(), strict=True):
        waiting = confidence.new_ones(number, dtype=torch.bool)
        for exit, quota in enumerate(quotas[:-1]):
            here = ordered[exit, waiting[order[exit]]]  # the surest first
            found[exit] = _threshold_of(here, quota - (number - len(here)))
            waiting &= confidence[exit] < found[exit]
    return thresholds


def _threshold_of(confidence: Tensor, count: int) -> float | Tensor:
    """A threshold that ``count`` of the confidences [n], falling, reach, or more of them if some are equal."""
    if count >= len(confidence):
        return 0.0
    if count <= 0:
        return math.inf
    last = confidence[count - 1]
    below = confidence[count:][confidence[count:] < last]
    if len(below) == 0:
        return last
    middle = ((last.double() + below[0].double()) / 2).float()  # in the middle, so that rounding moves no input
    return middle if middle > below[0] else last


def _checked_costs(costs: Any, exits: int | None = None) -> Tensor:
    found = as_numbers(costs, "costs", torch.float64)
    if found.ndim != 1 or len(found) != (exits or len(found)) or len(found) == 0:
        raise InputError(f"costs: expected one for each of {exits or 'the'} exits, found shape {list(found.shape)}")
    if not bool(found.isfinite().all() and (found.diff() > 0).all()):
        raise InputError(f"costs: expected growing numbers, found {found.tolist()}")
    return found

"""Thresholds of early exit, fitted on held-out images, and the curve of error over mean cost that they give.

Everything here works on logits of all exits (:func:`anytime_core.inference.logits.exit_logits`), so that any number of
thresholds can be looked at without another run. Fit on validation images: not augmented, not trained on, and not the
test images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.special import softmax

from anytime_core.errors import InputError
from anytime_core.inference.early_exit import checked_thresholds
from anytime_core.inference.logits import (
    Labels,
    Logits,
    checked_labels,
    checked_logits,
    checked_temperatures,
    softmax_at,
)

Floats: TypeAlias = npt.NDArray[np.float64]
Rule: TypeAlias = Literal["geometric", "common"]
Temperatures: TypeAlias = float | Sequence[float] | npt.NDArray[np.floating] | None


def confidences(logits: Logits, temperatures: Temperatures = None) -> npt.NDArray[np.float32]:
    """Largest probability of each exit's answer: logits [K, N, classes] -> [K, N], float32 as in the network at work.

    Raises:
        InputError: logits or temperatures that cannot be used.
    """
    found = checked_logits(logits)
    return softmax_at(found, checked_temperatures(temperatures, len(found))[:, None, None]).amax(-1).numpy()


def exits_taken(
    confidence: npt.NDArray[np.floating], thresholds: float | Sequence[float] | npt.NDArray[np.floating]
) -> npt.NDArray[np.int64]:
    """The exit, as an index from 0, at which each image leaves: the first whose threshold its confidence reaches.

    Args:
        confidence: [K, N].
        thresholds: [K - 1], or one for all; the last exit answers what is left.

    Returns:
        [N].

    Raises:
        InputError: thresholds that cannot be used.
    """
    passed = confidence[:-1] >= checked_thresholds(thresholds, len(confidence))[:, None]
    return np.concatenate([passed, np.ones_like(confidence[:1], dtype=bool)]).argmax(0)


def geometric_shares(costs: Sequence[float] | npt.NDArray[np.number], budget_macs: float) -> Floats:
    """Shares p_k ∝ q^k of images that leave at exit k, with q such that the mean cost Σ p_k costs_k is the budget.

    Source: Huang et al. 2018 (MSDNet), budgeted batch classification, with 1 - q as q here, at most 1. Larger q are
    allowed, so that every budget between the first exit's cost and the last one's can be met.

    Args:
        costs: Multiply-adds up to each exit, [K], growing.
        budget_macs: Mean multiply-adds per image, at least the first exit's. What the last exit does not need is left.

    Returns:
        [K], with sum 1.

    Raises:
        InputError: costs that do not grow, or a budget below the first exit's cost.
    """
    costs = _checked_costs(costs)
    if not budget_macs >= costs[0]:
        raise InputError(f"budget_macs: expected at least {costs[0]:g}, the first exit's cost, found {budget_macs}")
    exits = np.arange(len(costs))

    def surplus(log_q: float) -> float:
        return float(softmax(log_q * exits) @ costs) - budget_macs

    lowest, highest = -60.0, 60.0  # e^-60 is less than rounding: all images at one end
    if surplus(lowest) >= 0:
        return np.eye(len(costs))[0]
    if surplus(highest) <= 0:
        return np.eye(len(costs))[-1]
    return softmax(float(brentq(surplus, lowest, highest, xtol=1e-12)) * exits)  # the mean cost grows with q


def fit_thresholds(
    logits_validation: Logits,
    costs: Sequence[float] | npt.NDArray[np.number],
    budget_macs: float,
    *,
    temperatures: Temperatures = None,
) -> Floats:
    """Thresholds under which validation images cost no more than a budget on average. No labels are needed.

    From exit to exit, the most confident of the images that are left leave, until the shares of
    :func:`geometric_shares` have left in total. Equal confidences leave together: earlier, never later, than planned.

    Source: Huang et al. 2018 (MSDNet), budgeted batch classification.

    Args:
        logits_validation: Of held-out images without augmentation, [K, N, classes].
        costs: Multiply-adds up to each exit, [K]: :func:`anytime_core.inference.early_exit.answer_costs`.
        budget_macs: Mean multiply-adds per image.
        temperatures: As :class:`EarlyExit` will use.

    Returns:
        [K - 1]: 0 where every image leaves, infinity where none does.

    Raises:
        InputError: logits, costs, temperatures or a budget that cannot be used.
    """
    confidence = confidences(logits_validation, temperatures)
    return _geometric(confidence, _checked_costs(costs, len(confidence)), budget_macs)


def fit_common_threshold(
    logits_validation: Logits,
    costs: Sequence[float] | npt.NDArray[np.number],
    budget_macs: float,
    *,
    temperatures: Temperatures = None,
) -> float:
    """The largest threshold for all exits under which validation images cost no more than a budget on average.

    It is exact: every threshold that changes anything is looked at. No labels are needed.

    Args:
        logits_validation: Of held-out images without augmentation, [K, N, classes].
        costs: Multiply-adds up to each exit, [K]: :func:`anytime_core.inference.early_exit.answer_costs`.
        budget_macs: Mean multiply-adds per image.
        temperatures: As :class:`EarlyExit` will use.

    Returns:
        From 0, where every image leaves at the first exit, to infinity, where none leaves before the last.

    Raises:
        InputError: logits, costs, temperatures or a budget that cannot be used.
    """
    confidence = confidences(logits_validation, temperatures)
    thresholds, mean_costs = _common(confidence, _checked_costs(costs, len(confidence)))
    within = mean_costs <= budget_macs * (1 + 1e-12)  # a sum of many costs is rounded
    if not within.any():
        raise InputError(
            f"budget_macs: expected at least {mean_costs[0]:g}, the first exit's cost, found {budget_macs}"
        )
    return float(thresholds[within][-1])


def fit_non_inferior_thresholds(
    logits_validation: Logits,
    labels_validation: Labels,
    costs: Sequence[float] | npt.NDArray[np.number],
    margin_points: float = 0.0,
    *,
    rule: Rule = "geometric",
    temperatures: Temperatures = None,
) -> Floats:
    """The cheapest thresholds whose validation error is at most the last exit's plus a margin.

    They use up the margin on validation images, so that on test images it is exceeded about half of the time: leave
    room.

    Args:
        logits_validation: Of held-out images without augmentation, [K, N, classes].
        labels_validation: [N].
        costs: Multiply-adds up to each exit, [K]: :func:`anytime_core.inference.early_exit.answer_costs`.
        margin_points: In percentage points of error, 0 or more: 0.3 is three images in a thousand.
        rule: "geometric" takes the thresholds of :func:`fit_thresholds` for 500 budgets, evenly from the first exit's
            cost to the last one's. "common" takes one threshold for all exits; every one that changes anything is
            looked at.
        temperatures: As :class:`EarlyExit` will use.

    Returns:
        [K - 1]: 0 where every image leaves, infinity where none does.

    Raises:
        InputError: input that cannot be used.
    """
    if not 0 <= margin_points < math.inf:
        raise InputError(f"margin_points: expected 0 or more, found {margin_points}")
    _check_rule(rule)
    logits = checked_logits(logits_validation, "logits_validation")
    costs = _checked_costs(costs, len(logits))
    wrong = (logits.argmax(-1) != checked_labels(labels_validation, logits)).numpy()  # [K, N]
    allowed = wrong[-1].mean() + margin_points / 100 + 1e-9  # rounding is no image
    confidence = confidences(logits, temperatures)
    if rule == "common":
        thresholds, errors = _common(confidence, wrong.astype(np.float64))
        cheapest = thresholds[errors <= allowed][0]  # at infinity the last exit answers all: there is one
        return np.full(len(costs) - 1, cheapest)
    candidates = [_geometric(confidence, costs, budget) for budget in np.linspace(costs[0], costs[-1], 500)]
    taken = np.array([exits_taken(confidence, thresholds) for thresholds in candidates])  # [500, N]
    good = wrong[taken, np.arange(wrong.shape[1])].mean(1) <= allowed  # the last one: there the last exit answers all
    return candidates[np.where(good, costs[taken].mean(1), np.inf).argmin()]


def budgeted_curve(
    logits_validation: Logits,
    logits_test: Logits,
    labels_test: Labels,
    costs: Sequence[float] | npt.NDArray[np.number],
    *,
    budgets: Sequence[float] | npt.NDArray[np.number] | None = None,
    rule: Rule = "geometric",
    temperatures: Temperatures = None,
) -> pd.DataFrame:
    """Test error over mean cost with early exit, beside that of the anytime network that stops for all at one exit.

    For each budget, thresholds are fitted on validation images. The test images are then sent through them; their
    labels serve to count errors alone.

    Args:
        logits_validation: Of held-out images without augmentation, [K, N, classes].
        logits_test: [K, M, classes].
        labels_test: [M].
        costs: Multiply-adds up to each exit, [K]: :func:`anytime_core.inference.early_exit.answer_costs`.
        budgets: Mean multiply-adds per image; by default 40, evenly from the first exit's cost to the last one's.
        rule: Thresholds of :func:`fit_thresholds`, or one of :func:`fit_common_threshold`.
        temperatures: Of each exit, fitted on validation images.

    Returns:
        A row per budget with ``setting`` "budgeted", then a row per exit with ``setting`` "anytime": ``budget_macs``;
        ``mean_macs``, spent on the test images; and ``error``, from 0 to 1.

    Raises:
        InputError: input that cannot be used.
    """
    _check_rule(rule)
    fit = fit_thresholds if rule == "geometric" else fit_common_threshold
    validation, test = (
        checked_logits(logits_validation, "logits_validation"),
        checked_logits(logits_test, "logits_test"),
    )
    costs = _checked_costs(costs, len(test))
    wrong = (test.argmax(-1) != checked_labels(labels_test, test)).numpy()  # [K, M]
    confidence = confidences(test, temperatures)
    images = np.arange(wrong.shape[1])
    rows = []
    for budget in np.linspace(costs[0], costs[-1], 40) if budgets is None else budgets:
        thresholds = fit(validation, costs, float(budget), temperatures=temperatures)
        taken = exits_taken(confidence, thresholds)
        rows.append(("budgeted", float(budget), costs[taken].mean(), wrong[taken, images].mean()))
    rows += [("anytime", cost, cost, error) for cost, error in zip(costs, wrong.mean(1), strict=True)]
    return pd.DataFrame(rows, columns=["setting", "budget_macs", "mean_macs", "error"])


def _geometric(confidence: npt.NDArray[np.float32], costs: Floats, budget_macs: float) -> Floats:
    """What :func:`fit_thresholds` does, from confidences [K, N]."""
    number = confidence.shape[1]
    # rounded up, so that the budget is kept; what rounding of the sum has added is no image
    planned = np.ceil(number * geometric_shares(costs, budget_macs).cumsum() - 1e-6).astype(int)
    thresholds = np.zeros(len(confidence) - 1)
    waiting = np.ones(number, dtype=bool)
    for exit, quota in enumerate(planned[:-1]):
        at_this = confidence[exit, waiting]
        thresholds[exit] = _threshold_of(at_this, quota - (number - len(at_this)))
        waiting &= confidence[exit] < thresholds[exit]
    return thresholds


def _common(confidence: npt.NDArray[np.float32], values: Floats) -> tuple[Floats, Floats]:
    """All common thresholds that differ in what they do, growing, and the mean over images of a value under each.

    As the threshold grows over the largest confidence that an image has had up to exit k, the image leaves later, and
    its value changes from that of exit k to that of exit k + 1. All such changes, sorted, give all means at once.

    Args:
        confidence: [K, N].
        values: What an image that leaves at exit k counts: [K, N], or [K] for all images alike.

    Returns:
        Thresholds [J] and means [J]. The first threshold is 0 (all leave at once), the last infinity (none leaves).
    """
    number = confidence.shape[1]
    values = np.broadcast_to(values if values.ndim == 2 else values[:, None], confidence.shape)
    levels = np.maximum.accumulate(confidence[:-1]).ravel()  # [(K - 1) N]
    order = levels.argsort()
    levels, changes = levels[order], np.diff(values, axis=0).ravel()[order]
    sums = values[0].sum() + changes.cumsum()
    if len(levels) == 0:  # one exit: there is nothing to choose
        return np.zeros(1), values.mean(1)
    complete = np.append(np.diff(levels) > 0, [True])  # equal confidences leave together
    levels, sums = levels[complete], sums[complete]
    thresholds = np.concatenate([[0.0], _between(levels[:-1], levels[1:]), [np.inf]])
    return thresholds, np.append(values[0].sum(), sums) / number


def _threshold_of(confidence: npt.NDArray[np.float32], count: int) -> float:
    """A threshold that ``count`` of the confidences [n] reach, or more of them if some are equal."""
    if count >= len(confidence):
        return 0.0
    if count <= 0:
        return math.inf
    last = -np.partition(-confidence, count - 1)[count - 1]  # the count-th largest
    below = confidence[confidence < last]
    return float(_between(below.max(), last) if len(below) else last)


def _between(low: npt.ArrayLike, high: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Thresholds that ``high`` reaches and ``low`` does not: in the middle, so that rounding moves no image."""
    low, high = np.asarray(low, dtype=np.float32), np.asarray(high, dtype=np.float32)
    middle = ((low.astype(np.float64) + high) / 2).astype(np.float32)
    return np.where(middle > low, middle, high)


def _check_rule(rule: str) -> None:
    if rule not in ("geometric", "common"):
        raise InputError(f"rule: expected geometric or common, found {rule!r}")


def _checked_costs(costs: Sequence[float] | npt.NDArray[np.number], exits: int | None = None) -> Floats:
    found = np.asarray(costs, dtype=np.float64)
    if found.ndim != 1 or len(found) != (exits or len(found)) or len(found) == 0:
        raise InputError(f"costs: expected one for each of {exits or 'the'} exits, found shape {found.shape}")
    if not (np.isfinite(found).all() and (np.diff(found) > 0).all()):
        raise InputError(f"costs: expected growing numbers, found {found.tolist()}")
    return found

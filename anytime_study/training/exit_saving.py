"""What early exit saves, and what it costs in error: thresholds from validation images, verdict on test images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats

from anytime_core.costs import exit_costs
from anytime_core.errors import InputError
from anytime_core.inference.calibration import fit_temperatures
from anytime_core.inference.early_exit import EarlyExit, answer_costs
from anytime_core.inference.exit_thresholds import Rule, fit_non_inferior_thresholds
from anytime_core.inference.logits import exit_logits
from anytime_core.networks.base import AnytimeNetwork
from anytime_study.datasets.images import Batch


class Saving(TypedDict):
    """Result of :func:`early_exit_saving`.

    Attributes:
        thresholds: Of the exits that answer but the last, on the largest probability, [K - 1].
        temperatures: Of each exit that answers, [K]; 1 where they were not fitted.
        test_images: How many.
        error: Test error with early exit, from 0 to 1.
        last_error: Test error of the last exit.
        difference_points: The first minus the second, in percentage points.
        low_points, high_points: Its interval, at 95 %.
        non_inferior: Whether the interval ends below the margin.
        macs: Mean multiply-adds per test image, heads passed included.
        last_macs: Multiply-adds up to the last exit, that head alone: what a user would pay who never exits early.
        saved_percent: 100 (1 - macs / last_macs).
        exit_shares: Share of test images that each exit answers, [K].
    """

    thresholds: list[float]
    temperatures: list[float]
    test_images: int
    error: float
    last_error: float
    difference_points: float
    low_points: float
    high_points: float
    non_inferior: bool
    macs: float
    last_macs: int
    saved_percent: float
    exit_shares: list[float]


def early_exit_saving(
    net: AnytimeNetwork,
    validation: Iterable[Batch],
    test: Iterable[Batch],
    margin_points: float = 0.3,
    *,
    validation_margin_points: float = 0.0,
    rule: Rule = "geometric",
    calibrated: bool = False,
) -> Saving:
    """Run early exit on test images and compare it with the last exit, image by image.

    Thresholds are fitted on validation images. The test images really leave: each batch shrinks. Their labels serve to
    count errors alone.

    Args:
        net: The trained network.
        validation: Batches of held-out images, not augmented, with labels [N]; gone through once.
        test: Batches of test images with labels; gone through once.
        margin_points: How much worse than the last exit is allowed on test images, in percentage points of error.
        validation_margin_points: How much worse on validation images; by default no worse. Less than on test images:
            thresholds that have used up the margin exceed it on new images half of the time.
        rule: How the thresholds of the exits depend on each other; see :func:`fit_non_inferior_thresholds`.
        calibrated: Whether confidences are those after a temperature per exit, fitted on validation images too.

    Raises:
        InputError: batches that cannot be used, or a margin that is not above 0.
    """
    if not 0 < margin_points < math.inf:
        raise InputError(f"margin_points: expected above 0, found {margin_points}")
    first, validation = _first(validation, "validation")
    image_shape = first.shape[1], first.shape[2], first.shape[3]
    logits, labels = exit_logits(net, validation)
    temperatures = fit_temperatures(logits, labels) if calibrated else np.ones(len(logits))
    costs = answer_costs(net, image_shape)
    thresholds = fit_non_inferior_thresholds(
        logits, labels, costs, validation_margin_points, rule=rule, temperatures=temperatures
    )
    early = EarlyExit(net, thresholds, temperatures)
    last_macs = exit_costs(net, image_shape).macs_fixed[early.exits[-1] - 1]
    early_wrong, last_wrong, macs, exits = [], [], [], []
    for images, targets in _first(test, "test")[1]:
        prediction = early.predict(images)
        with torch.inference_mode():
            last = net(images)[early.exits[-1] - 1]
        early_wrong.append((prediction.logits.argmax(1) != targets).cpu())
        last_wrong.append((last.argmax(1) != targets).cpu())
        macs.append(prediction.macs.cpu())
        exits.append(prediction.exit.cpu())
    wrong, reference = (torch.cat(parts).numpy() for parts in (early_wrong, last_wrong))
    difference, low, high = paired_difference_interval(wrong, reference)
    mean_macs = torch.cat(macs).double().mean().item()
    return Saving(
        thresholds=thresholds.tolist(),
        temperatures=temperatures.tolist(),
        test_images=len(wrong),
        error=float(wrong.mean()),
        last_error=float(reference.mean()),
        difference_points=100 * difference,
        low_points=100 * low,
        high_points=100 * high,
        non_inferior=100 * high < margin_points,
        macs=mean_macs,
        last_macs=last_macs,
        saved_percent=100 * (1 - mean_macs / last_macs),
        exit_shares=[(torch.cat(exits) == number).double().mean().item() for number in early.exits],
    )


def paired_difference_interval(
    first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_], *, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Difference of two shares over the same N images, with the ends of its two-sided interval.

    Only images on which the two differ count. One image is added to each of the two kinds, so that the interval keeps
    its coverage where they are few, and is not empty where there is none.

    Source: Bonett and Price 2012, adjusted Wald interval for paired shares.

    Args:
        first: Whether each image counts for the first share, [N].
        second: The same for the second.
        confidence: Of the interval.

    Returns:
        The difference as observed, first minus second, and low and high.
    """
    number = len(first) + 2
    only_first, only_second = ((a & ~b).sum() + 1 for a, b in ((first, second), (second, first)))
    centre = (only_first - only_second) / number
    variance = ((only_first + only_second) / number - centre**2) / number
    half_width = stats.norm.ppf((1 + confidence) / 2) * math.sqrt(variance)
    return float(first.mean() - second.mean()), float(centre - half_width), float(centre + half_width)


def _first(batches: Iterable[Batch], name: str) -> tuple[torch.Tensor, Iterator[Batch]]:
    """The first batch's images, and all batches again."""
    rest = iter(batches)
    batch = next(rest, None)
    if batch is None:
        raise InputError(f"{name}: expected at least one batch, found none")
    return batch[0], chain([batch], rest)

"""What early exit saves, and what it costs in error: thresholds from validation images, scores on test images."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from anytime_core.costs import exit_costs
from anytime_core.inference.early_exit import EarlyExit, answer_costs
from anytime_core.inference.logits import exit_logits
from anytime_core.inference.thresholds import fit_non_inferior_thresholds
from anytime_core.networks.base import AnytimeNetwork
from anytime_study.datasets.images import Batch
from anytime_study.runs.record import EarlyExitScores


def early_exit_scores(
    net: AnytimeNetwork, validation: Iterable[Batch], test: Iterable[Batch], image_shape: tuple[int, int, int]
) -> EarlyExitScores:
    """Run early exit on test images, beside the last exit.

    Thresholds are the cheapest that err no more than the last exit on validation images. The test images really leave:
    each batch shrinks. Their labels serve to count errors alone.

    Args:
        net: The trained network.
        validation: Batches of held-out images, not augmented, with labels [N]; gone through once.
        test: Batches of test images with labels; gone through once.
        image_shape: (C, H, W).

    Raises:
        InputError: batches that cannot be used.
    """
    logits, labels = exit_logits(net, validation)
    early = EarlyExit(net, fit_non_inferior_thresholds(logits, labels, answer_costs(net, image_shape)))
    early_wrong, last_wrong, macs, exits = [], [], [], []
    for images, targets in test:
        prediction = early.predict(images)
        with torch.inference_mode():
            last = net(images)[early.exits[-1] - 1]
        early_wrong.append((prediction.logits.argmax(1) != targets).cpu())
        last_wrong.append((last.argmax(1) != targets).cpu())
        macs.append(prediction.macs.cpu())
        exits.append(prediction.exit.cpu())
    taken = torch.cat(exits)
    return EarlyExitScores(
        thresholds=[value if math.isfinite(value) else None for value in early.thresholds],
        exit_shares=[(taken == number).double().mean().item() for number in early.exits],
        error=torch.cat(early_wrong).double().mean().item(),
        last_error=torch.cat(last_wrong).double().mean().item(),
        macs=torch.cat(macs).double().mean().item(),
        last_macs=exit_costs(net, image_shape).macs_fixed[early.exits[-1] - 1],
    )

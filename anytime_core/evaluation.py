"""Loss and error of every exit on a fixed set of images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anytime_core.datasets import ImageData
from anytime_core.losses import cross_entropy_per_exit


@dataclass(frozen=True)
class ExitScores:
    """Scores of the K exits.

    Attributes:
        loss: Mean cross-entropy in nats, [K].
        error: Share of images whose largest logit is not the label's, from 0 to 1, [K].
    """

    loss: list[float]
    error: list[float]


def evaluate(net: nn.Module, data: ImageData, images: Tensor, labels: Tensor, *, batch_size: int = 1000) -> ExitScores:
    """Score every exit of ``net``, in evaluation mode and without augmentation.

    Args:
        net: images -> logits [K, N, num_classes]. Its training mode is restored afterwards.
        data: The data set that knows how to normalise the images.
        images: uint8 [N, C, H, W]. N may be of any size from 1 up.
        labels: int64 [N].
        batch_size: Images at once; changes memory and speed, not the scores beyond rounding.
    """
    was_training = net.training
    net.eval()
    totals = []
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            target = labels[start : start + batch_size]
            logits = net(data.normalise(images[start : start + batch_size]))  # [K, N, num_classes]
            wrong = (logits.argmax(-1) != target).sum(1)
            totals.append(torch.stack([cross_entropy_per_exit(logits, target) * len(target), wrong]))
        loss, error = (torch.stack(totals).double().sum(0) / len(images)).tolist()  # the one wait for the device
    net.train(was_training)
    return ExitScores(loss=loss, error=error)

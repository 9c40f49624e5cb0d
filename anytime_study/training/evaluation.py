"""Loss and error of every exit on a fixed set of images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from anytime_core.losses import cross_entropy_per_exit
from anytime_core.networks.modes import modes_kept
from anytime_study.datasets.images import Batch


@dataclass(frozen=True)
class ExitScores:
    """Scores of the K exits.

    Attributes:
        loss: Mean cross-entropy in nats, [K].
        error: Share of images whose largest logit is not the label's, from 0 to 1, [K].
        correct: Whether each exit answers each image with its label, bool [K, N] on the CPU, images in
            their order.
    """

    loss: list[float]
    error: list[float]
    correct: Tensor = field(compare=False)  # the errors are its row means


def evaluate(net: nn.Module, batches: Iterable[Batch], *, bf16: bool = False) -> ExitScores:
    """Score every exit of ``net``, in evaluation mode and without augmentation.

    Args:
        net: images -> logits [K, N, num_classes]. The mode of each of its parts is restored afterwards.
        batches: Normalised images float32 [N, C, H, W] with labels int64 [N], or [N, K] where exit k has a task of its
            own and is scored on column k; how they are cut into batches does not change the scores beyond rounding.
        bf16: Whether convolutions are computed in bfloat16 (autocast).

    Raises:
        ValueError: there is no batch.
    """
    losses, correct, count = [], [], 0
    with modes_kept(net), torch.inference_mode():
        net.eval()
        for images, labels in batches:
            with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
                logits = net(images).float()  # [K, N, num_classes]
            targets = labels if labels.ndim == 1 else labels.T  # [N], or [K, N]
            losses.append(cross_entropy_per_exit(logits, labels) * len(labels))
            correct.append(logits.argmax(-1) == targets)  # [K, N]
            count += len(labels)
        if not losses:
            raise ValueError("batches: expected at least one, found none")
        loss = (torch.stack(losses).double().sum(0) / count).tolist()  # the first wait for the device
    answers = torch.cat(correct, 1).cpu()
    return ExitScores(loss=loss, error=((~answers).sum(1).double() / count).tolist(), correct=answers)

"""Heads: what turns the feature map at an exit into the logits of that exit.

All take [N, channels, H, W] and give [N, num_classes]; they differ in what stands before global average pooling (GAP)
and one linear layer. Convolutions have no bias, the linear layer has one. Batch norm (BN) is each head's own.

Source: Hu et al. 2019 (the linear head) and the options of the authors' released code (the others).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from anytime_core.networks.pooling import global_average

HeadKind = Literal["linear", "1x1", "bn", "msdense", "rescale"]


def make_head(
    kind: HeadKind, channels: int, num_classes: int, *, last_stage: bool = True, width: int = 128
) -> nn.Module:
    """A new head by name.

    Args:
        kind: One of ``linear``, ``1x1``, ``bn``, ``msdense`` and ``rescale``.
        channels: Channels of the feature map that the head reads.
        num_classes: Classes, the width of the logits.
        last_stage: The head reads a map of the network's last stage (smallest maps); only ``rescale`` asks.
        width: Channels inside of ``msdense`` (authors: 128 for small images, ``channels`` for ImageNet).

    Raises:
        ValueError: ``kind`` is none of these.
    """
    makers: dict[str, Callable[[], nn.Module]] = {
        "linear": lambda: LinearHead(channels, num_classes),
        "1x1": lambda: PointwiseHead(channels, num_classes),
        "bn": lambda: NormHead(channels, num_classes),
        "msdense": lambda: MSDenseHead(channels, num_classes, width),
        "rescale": lambda: RescaleHead(channels, num_classes, size=None if last_stage else 7),
    }
    if kind not in makers:
        raise ValueError(f"head: expected one of {', '.join(makers)}, found {kind!r}")
    return makers[kind]()


class LinearHead(nn.Module):
    """``linear``: x -> linear(GAP(ReLU(x))), the papers' head: [N, C, H, W] -> [N, num_classes]."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of this exit."""
        return self.linear(global_average(F.relu(x)))


class PointwiseHead(nn.Module):
    """``1x1``: x -> linear(GAP(ReLU(BN(conv(ReLU(x)))))) with a 1×1 convolution that keeps the number of channels."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of this exit."""
        return self.linear(global_average(F.relu(self.norm(self.conv(F.relu(x))))))


class NormHead(nn.Module):
    """``bn``: x -> linear(GAP(BN(ReLU(x)))); batch norm comes after the ReLU and no ReLU follows it."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of this exit."""
        return self.linear(global_average(self.norm(F.relu(x))))


class MSDenseHead(nn.Module):
    """``msdense``: x -> linear(GAP(h(h(ReLU(x))))), h = ReLU(BN(conv)) with a 3×3 convolution of stride 2.

    The head of MSDNet (Huang et al. 2018), except that global average pooling replaces a 2×2 one.

    Args:
        channels: Channels of the feature map.
        num_classes: Classes, the width of the logits.
        width: Channels of both convolutions (authors: 128 for small images, ``channels`` for ImageNet).
    """

    def __init__(self, channels: int, num_classes: int, width: int = 128) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.linear = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of this exit."""
        x = F.relu(self.norm1(self.conv1(F.relu(x))))  # [N, width, ⌈H/2⌉, ⌈W/2⌉]
        x = F.relu(self.norm2(self.conv2(x)))  # [N, width, ⌈H/4⌉, ⌈W/4⌉]
        return self.linear(global_average(x))


class RescaleHead(nn.Module):
    """``rescale``: x -> linear(GAP(ReLU(BN(conv(resize(x)))))) with a 1×1 convolution; no ReLU before it.

    Args:
        channels: Channels of the feature map, kept by the convolution.
        num_classes: Classes, the width of the logits.
        size: Height and width that maps are brought to (bilinear); None leaves them as they are, for the last stage.
    """

    def __init__(self, channels: int, num_classes: int, size: int | None = 7) -> None:
        super().__init__()
        self.size = size
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of this exit."""
        if self.size is not None:
            x = F.interpolate(x, (self.size, self.size), mode="bilinear", align_corners=False)
        return self.linear(global_average(F.relu(self.norm(self.conv(x)))))

    def extra_repr(self) -> str:
        """What maps are brought to, shown by ``repr``."""
        return "size kept" if self.size is None else f"size={self.size}"


class DenseHead(nn.Module):
    """x -> linear(GAP(ReLU(BN(x)))): the exit of DenseANN, whose units leave their result unnormalised."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of this exit."""
        return self.linear(global_average(F.relu(self.norm(x))))

"""Heads: what turns the feature map at an exit into the logits of that exit.

Source: Hu et al. 2019 (the linear head) and the options of the authors' released code (the others).
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

HeadKind = Literal["linear", "1x1", "bn", "msdense", "rescale"]


class Head(nn.Module):
    """x -> linear(mean over the pixels of body(x)): [N, C, H, W] -> [N, num_classes].

    Args:
        body: What comes before global average pooling.
        channels: Channels that it gives.
        num_classes: Classes, the width of the logits.
    """

    def __init__(self, body: nn.Module, channels: int, num_classes: int) -> None:
        super().__init__()
        self.body = body
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of this exit."""
        return self.linear(global_average(self.body(x)))


def make_head(
    kind: HeadKind, channels: int, num_classes: int, *, last_stage: bool = True, width: int = 128
) -> nn.Module:
    """A new head by name. Convolutions have no bias; batch norm (BN) is each head's own.

    ``linear`` is the papers': ReLU. ``1x1``: ReLU, a 1×1 convolution that keeps the number of channels, BN, ReLU.
    ``bn``: ReLU, BN. ``msdense`` is MSDNet's: ReLU, then twice a 3×3 convolution of stride 2, BN, ReLU. ``rescale``:
    resizing to 7×7 (bilinear; left out in the last stage), a 1×1 convolution, BN, ReLU.

    Args:
        kind: One of these.
        channels: Channels of the feature map that the head reads.
        num_classes: Classes, the width of the logits.
        last_stage: The head reads a map of the network's last stage (smallest maps); only ``rescale`` asks.
        width: Channels inside of ``msdense`` (authors: 128 for small images, ``channels`` for ImageNet).

    Raises:
        ValueError: ``kind`` is none of these.
    """
    body = nn.Sequential()
    if kind == "linear":
        body.append(nn.ReLU())
    elif kind == "1x1":
        body.extend([nn.ReLU(), *convolution(channels, channels, 1)])
    elif kind == "bn":
        body.extend([nn.ReLU(), nn.BatchNorm2d(channels)])
    elif kind == "msdense":
        body.extend([nn.ReLU(), *convolution(channels, width, 3, stride=2), *convolution(width, width, 3, stride=2)])
        channels = width
    elif kind == "rescale":
        resize = nn.Identity() if last_stage else nn.Upsample((7, 7), mode="bilinear", align_corners=False)
        body.extend([resize, *convolution(channels, channels, 1)])
    else:
        raise ValueError(f"head: expected one of linear, 1x1, bn, msdense, rescale, found {kind!r}")
    return Head(body, channels, num_classes)


def convolution(channels_in: int, channels_out: int, size: int, *, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU: [N, channels_in, H, W] -> [N, channels_out, ⌈H/stride⌉, …]."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def global_average(x: Tensor) -> Tensor:
    """Mean over height and width, [N, C, H, W] -> [N, C]: ``x.mean((2, 3))``, to the last bit for channels_last maps.

    Written over the pixels as rows, because the gradient then comes back in the layout of the map. That of
    ``x.mean((2, 3))`` and of torch's pooling layers is a broadcast one; on a CPU the ReLU before it then takes five to
    nine times as long, and with an exit after every unit that was a third of a training step.
    """
    return x.permute(0, 2, 3, 1).flatten(1, 2).mean(1)  # [N, H, W, C] -> [N, H·W, C] -> [N, C]

"""ResANN for images of about 224 pixels: basic or bottleneck units, plain or ResNeXt."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from anytime_core.networks.base import AnytimeNetwork, exit_units
from anytime_core.networks.heads import HeadKind, make_head
from anytime_core.networks.initialisation import he_initialise
from anytime_core.networks.resann import BasicUnit


class _Layout(NamedTuple):
    units: tuple[int, int, int, int]  # per stage
    bottleneck: bool
    spacing: int  # the authors' s for this depth


LAYOUTS = {
    14: _Layout((1, 1, 1, 1), True, 1),
    18: _Layout((2, 2, 2, 2), False, 2),
    26: _Layout((2, 2, 2, 2), True, 2),
    34: _Layout((3, 4, 6, 3), False, 2),
    50: _Layout((3, 4, 6, 3), True, 2),
    101: _Layout((3, 4, 23, 3), True, 3),
    152: _Layout((3, 8, 36, 3), True, 5),
}
STEM_CHANNELS = 64
GROUPS = 32  # of a ResNeXt unit


class ResANNImageNet(AnytimeNetwork):
    """ResANN of four stages after a stem that divides height and width by 4; ``ResANN.imagenet`` makes one.

    Units are basic (depths 18 and 34; 64, 128, 256, 512 channels) or bottleneck (the others; four times as many). The
    first unit of stages 2 to 4 halves height and width. Basic units keep the shortcut without parameters that they have
    on small images; the first bottleneck unit of each stage has a projection.

    Args:
        depth: 14, 18, 26, 34, 50, 101 or 152; layers on the way to the last exit, projections not counted.
        s: Units per segment; by default the authors' for this depth: 1, 2, 2, 2, 2, 3, 5.
        head: What stands at every exit: linear (the papers'), 1x1, bn, msdense or rescale; see ``networks.heads``.
        resnext: Bottleneck units with 32 groups (32×4d), at about the same cost.
        first_exit: The first unit, numbered from 1, that may have an exit.
        gradient_passed: Factor on the gradient from a segment to the one before it; see ``AnytimeNetwork``.
        num_classes: Classes, the width of every exit.
        in_channels: Channels of the images.

    Shapes: images [N, in_channels, H, W] -> logits [K, N, num_classes]; K = 4, 4, 4, 8, 8, 11, 10 by default.

    Raises:
        ValueError: unknown depth, ResNeXt without bottleneck units, or a number out of its range.

    Source: Hu et al. 2019 (experiments on ILSVRC) and the authors' released code; He et al. 2016; Xie et al. 2017.
    """

    def __init__(
        self,
        depth: int = 50,
        *,
        s: int | None = None,
        head: HeadKind = "linear",
        resnext: bool = False,
        first_exit: int = 1,
        gradient_passed: float = 1.0,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        if depth not in LAYOUTS:
            raise ValueError(f"ResANN.imagenet depth: expected one of {', '.join(map(str, LAYOUTS))}, found {depth}")
        per_stage, bottleneck, spacing = LAYOUTS[depth]
        s, num_units = spacing if s is None else s, sum(per_stage)
        for name, value in {"num_classes": num_classes, "in_channels": in_channels}.items():
            if value < 1:
                raise ValueError(f"ResANN.imagenet {name}: expected at least 1, found {value}")
        for name, value in {"s": s, "first_exit": first_exit}.items():
            if not 1 <= value <= num_units:
                raise ValueError(
                    f"ResANN.imagenet {name}: expected 1 to {num_units}, the units of depth {depth}, found {value}"
                )
        if resnext and not bottleneck:
            with_bottleneck = ", ".join(str(known) for known, layout in LAYOUTS.items() if layout.bottleneck)
            raise ValueError(f"ResANN.imagenet resnext: expected a depth of {with_bottleneck} with it, found {depth}")

        stages = [stage for stage, count in enumerate(per_stage) for _ in range(count)]  # of each unit
        widths = [STEM_CHANNELS * (4 if bottleneck else 1) * 2**stage for stage in stages]  # channels after each unit
        groups = GROUPS if resnext else 1
        units = [
            BottleneckUnit(before, after, groups) if bottleneck else BasicUnit(before, after)
            for before, after in pairwise([STEM_CHANNELS, *widths])
        ]
        exits = exit_units(num_units, s, first_exit)
        segments = [nn.Sequential(*units[start:stop]) for start, stop in pairwise([0, *exits])]
        segments[0].insert(0, imagenet_stem(in_channels, STEM_CHANNELS))
        heads = [
            make_head(head, widths[unit - 1], num_classes, last_stage=stages[unit - 1] == 3, width=widths[unit - 1])
            for unit in exits
        ]
        super().__init__(segments, heads, gradient_passed=gradient_passed)

        self.depth, self.s, self.head, self.resnext, self.first_exit = depth, s, head, resnext, first_exit
        self.apply(he_initialise)

    def extra_repr(self) -> str:
        """Size and options of the network, shown by ``repr``."""
        return (
            f"depth={self.depth}, s={self.s}, head={self.head}, resnext={self.resnext}, first_exit={self.first_exit}, "
            f"gradient_passed={self.gradient_passed}, num_exits={self.num_exits}"
        )


class BottleneckUnit(nn.Module):
    """x -> shortcut(x) + BN(1×1(ReLU(BN(3×3(ReLU(BN(1×1(ReLU(BN(x))))))))), no activation after the addition.

    The two inner maps have b = channels_out / 4 channels. Where the number of channels changes, the shortcut is a 1×1
    convolution of x itself (not of its activation) with batch norm; where it doubles, that convolution and the 3×3 one
    have stride 2.

    With groups (ResNeXt), each inner map has groups · ⌈b/r⌉ channels, with r from the equation that leaves parameters
    as they were without groups: 8 b · p b/r + 9 p (b/r)² = 17 b², so r = (8 p + √(64 p² + 612 p)) / 34 for p groups;
    b = 64 and p = 32 give 32 × 4.

    Args:
        channels_in: Channels of x.
        channels_out: Channels of the result, a multiple of 4.
        groups: Groups of the 3×3 convolution; 1 is the plain unit.
    """

    def __init__(self, channels_in: int, channels_out: int, groups: int = 1) -> None:
        super().__init__()
        stride = 2 if channels_out == 2 * channels_in else 1
        inner = channels_out // 4
        if groups > 1:
            ratio = (8 * groups + math.sqrt(64 * groups**2 + 612 * groups)) / 34
            inner = groups * math.ceil(inner / ratio)
        self.norm1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, inner, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, groups=groups, bias=False)
        self.norm3 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, channels_out, 1, bias=False)
        self.norm4 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()  # identity
        if channels_in != channels_out:
            self.shortcut.append(nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels_in, H, W] -> [N, channels_out, H, W], or [N, channels_out, ⌈H/2⌉, ⌈W/2⌉] with stride 2."""
        residual = self.conv1(F.relu(self.norm1(x)))
        residual = self.conv2(F.relu(self.norm2(residual)))
        residual = self.norm4(self.conv3(F.relu(self.norm3(residual))))
        return self.shortcut(x) + residual


def imagenet_stem(in_channels: int, channels: int) -> nn.Sequential:
    """7×7 convolution, BN, ReLU, 3×3 maximum, both with stride 2: [N, in_channels, H, W] -> [N, channels, H/4, W/4]."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    )

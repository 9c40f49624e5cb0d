"""ResANN for images of about 224 pixels: basic or bottleneck units, plain or ResNeXt."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from torch import nn

from anytime_core.networks.base import AnytimeNetwork, exit_units
from anytime_core.networks.heads import HeadKind, make_head
from anytime_core.networks.initialisation import he_initialise
from anytime_core.networks.residual_units import BasicUnit, BottleneckUnit


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


def imagenet_stem(in_channels: int, channels: int) -> nn.Sequential:
    """7×7 convolution, BN, ReLU, 3×3 maximum, both with stride 2: [N, in_channels, H, W] -> [N, channels, H/4, W/4]."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    )

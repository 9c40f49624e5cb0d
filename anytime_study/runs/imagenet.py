"""The papers' networks for images of about 224 pixels (ILSVRC), which give studies of them their names and costs."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from anytime_core.networks.base import AnytimeNetwork, check_positive, exit_units, he_initialise, join_units
from anytime_core.networks.denseann import segments_and_heads
from anytime_core.networks.heads import linear_head
from anytime_core.networks.msdnet import MSDNet
from anytime_core.networks.units import BasicUnit, imagenet_stem

RESANN_LAYOUTS = {  # depth -> units per stage, the authors' s
    14: ((1, 1, 1, 1), 1),
    18: ((2, 2, 2, 2), 2),  # of basic units, as 34
    26: ((2, 2, 2, 2), 2),
    34: ((3, 4, 6, 3), 2),
    50: ((3, 4, 6, 3), 2),
    101: ((3, 4, 23, 3), 3),
    152: ((3, 8, 36, 3), 5),
}
STEM_CHANNELS = 64
DENSEANN_LAYOUTS = {  # depth -> units per block, the authors' s
    121: ((6, 12, 24, 16), 9),
    169: ((6, 12, 32, 32), 14),
    201: ((6, 12, 48, 32), 17),
}
GROWTH = 32
MSDNET_LAYOUTS = {  # depth -> units per stage, s
    23: ((6, 6, 5, 6), 4),
    32: ((6, 6, 10, 10), 7),
    33: ((9, 8, 8, 8), 6),
    38: ((10, 9, 10, 9), 7),
}


class BottleneckUnit(nn.Module):
    """x -> shortcut(x) + BN(1×1(ReLU(BN(3×3(ReLU(BN(1×1(ReLU(BN(x))))))))), no activation after the addition.

    The two inner maps have b = channels_out / 4 channels. Where the number of channels changes, the shortcut is a 1×1
    convolution of x itself (not of its activation) with batch norm; where it doubles, that convolution and the 3×3 one
    have stride 2.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        stride = 2 if channels_out == 2 * channels_in else 1
        inner = channels_out // 4
        self.norm1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, inner, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
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


def resann_imagenet(
    depth: int = 50,
    *,
    s: int | None = None,
    first_exit: int = 1,
    num_classes: int = 1000,
    in_channels: int = 3,
) -> AnytimeNetwork:
    """The ResANN of four stages for images of about 224 pixels.

    A stem divides height and width by 4, the first unit of stages 2 to 4 halves them. Units are basic (depths 18
    and 34; 64, 128, 256, 512 channels) or bottleneck (the others; four times as many). Basic units keep the
    shortcut without parameters; the first bottleneck unit of each stage has a projection.

    Args:
        depth: 14, 18, 26, 34, 50, 101 or 152; layers on the way to the last exit, projections not counted.
        s: Units per segment; by default the authors' for this depth: 1, 2, 2, 2, 2, 3, 5.
        first_exit, num_classes, in_channels: As for :class:`ResANN`.

    Shapes: images [N, in_channels, H, W] -> logits [K, N, num_classes]; K = 4, 4, 4, 8, 8, 11, 10 by default.

    Source: Hu et al. 2019 (experiments on ILSVRC) and the authors' released code; He et al. 2016.
    """
    check_positive(num_classes=num_classes, in_channels=in_channels)
    if depth not in RESANN_LAYOUTS:
        raise ValueError(f"depth: expected one of {', '.join(map(str, RESANN_LAYOUTS))}, found {depth}")
    per_stage, spacing = RESANN_LAYOUTS[depth]
    bottleneck = depth not in (18, 34)
    stages = [stage for stage, count in enumerate(per_stage) for _ in range(count)]  # of each unit
    widths = [STEM_CHANNELS * (4 if bottleneck else 1) * 2**stage for stage in stages]  # channels after each unit
    s = spacing if s is None else s
    exits = exit_units(len(stages), s, first_exit)
    kind = BottleneckUnit if bottleneck else BasicUnit
    units = [kind(before, after) for before, after in pairwise([STEM_CHANNELS, *widths])]
    segments = join_units(units, exits)
    segments[0].insert(0, imagenet_stem(in_channels, STEM_CHANNELS))
    heads = [linear_head(widths[unit - 1], num_classes) for unit in exits]
    return AnytimeNetwork(segments, heads, depth=depth, s=s).apply(he_initialise)


def denseann_imagenet(
    depth: int = 121,
    *,
    s: int | None = None,
    dropout: float = 0.0,
    first_exit: int = 11,
    num_classes: int = 1000,
    in_channels: int = 3,
) -> AnytimeNetwork:
    """DenseNet-BC of four blocks for images of about 224 pixels: growth 32, a stem that divides their size by 4.

    Args:
        depth: 121, 169 or 201.
        s: Units per segment; by default the authors' for this depth: 9, 14, 17.
        dropout: As for :class:`DenseANN` (authors: 0.1 in later runs).
        first_exit: The first unit, numbered from 1, that may have an exit; the authors' is the eleventh.
        num_classes, in_channels: As for :class:`DenseANN`.

    Shapes: images [N, in_channels, H, W] -> logits [K, N, num_classes], K = 6 by default.

    Source: Hu et al. 2019 (experiments on ILSVRC) and the authors' released code; Huang et al. 2017.
    """
    check_positive(num_classes=num_classes, in_channels=in_channels)
    if depth not in DENSEANN_LAYOUTS:
        raise ValueError(f"depth: expected one of {', '.join(map(str, DENSEANN_LAYOUTS))}, found {depth}")
    blocks, spacing = DENSEANN_LAYOUTS[depth]
    s = spacing if s is None else s
    segments, heads = segments_and_heads(
        imagenet_stem(in_channels, 2 * GROWTH),
        blocks,
        GROWTH,
        exit_units(sum(blocks), s, first_exit),
        bottleneck=True,
        dropout=dropout,
        num_classes=num_classes,
    )
    return AnytimeNetwork(segments, heads, depth=depth, s=s, dropout=dropout).apply(he_initialise)


def msdnet_imagenet(depth: int = 38, *, num_classes: int = 1000, in_channels: int = 3) -> MSDNet:
    """The authors' MSDNet of ``depth`` units for images of about 224 pixels.

    Args:
        depth: 23, 33 or 38, with K = 5 exits; or 32, with K = 4, where the paper gives no stages: they are those
            of the authors' one setting that has 32 units and 4 exits.
        num_classes, in_channels: As for :class:`MSDNet`.
    """
    if depth not in MSDNET_LAYOUTS:
        raise ValueError(f"depth: expected one of {', '.join(map(str, MSDNET_LAYOUTS))}, found {depth}")
    blocks, spacing = MSDNET_LAYOUTS[depth]
    return MSDNet(
        blocks,
        growth=16,
        s=spacing,
        first_exit=5,  # none on the first four units
        large_images=True,
        num_classes=num_classes,
        in_channels=in_channels,
    )

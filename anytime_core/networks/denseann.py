"""DenseANN: a densely connected network with an exit after every s-th unit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from torch import nn

from anytime_core.networks.base import AnytimeNetwork, check_positive, exit_units, he_initialise
from anytime_core.networks.heads import Head
from anytime_core.networks.units import DenseUnit


class DenseANN(AnytimeNetwork):
    """Densely connected network for images of 28 to 32 pixels: three blocks of n units; smaller images work too.

    The first convolution gives 2 · growth channels and every unit adds ``growth``. Between blocks, a transition keeps
    half of the channels and halves height and width. An exit follows every s-th unit, counted back from the last one.

    Args:
        n: Units per block (authors' script: 16).
        growth: g, channels that a unit adds (authors' script: 16).
        s: Units per segment (authors' script: 3).
        bottleneck: A 1×1 convolution to 4 · growth channels comes first in every unit (authors: not on small images).
        dropout: Probability of setting a value to 0 after each convolution of units and transitions. (The authors'
            script for small images always used 0.2.)
        first_exit: The first unit, numbered from 1, that may have an exit.
        num_classes: Classes, the width of every exit.
        in_channels: Channels of the images.

    Shapes: images [N, in_channels, H, W] -> logits [K, N, num_classes], K = 1 + (3 n - first_exit) // s.

    Raises:
        ValueError: a number out of its range.

    Source: Hu et al. 2019 and the authors' released code ("dense"); Huang et al. 2017 (DenseNet). An exit reads all
    channels concatenated so far, batch normalised. A transition opens the segment that holds the next block's first
    unit: an exit at the end of a block reads the block as it is and does not pay for it.
    """

    def __init__(
        self,
        n: int = 16,
        growth: int = 16,
        s: int = 3,
        *,
        bottleneck: bool = False,
        dropout: float = 0.0,
        first_exit: int = 1,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        check_positive(n=n, growth=growth, num_classes=num_classes, in_channels=in_channels)
        segments, heads = segments_and_heads(
            nn.Conv2d(in_channels, 2 * growth, 3, padding=1, bias=False),
            [n] * 3,
            growth,
            exit_units(3 * n, s, first_exit),
            bottleneck=bottleneck,
            dropout=dropout,
            num_classes=num_classes,
        )
        super().__init__(segments, heads, n=n, growth=growth, s=s, bottleneck=bottleneck, dropout=dropout)
        self.apply(he_initialise)


def segments_and_heads(
    stem: nn.Module,
    blocks: Sequence[int],
    growth: int,
    exits: Sequence[int],
    *,
    bottleneck: bool,
    dropout: float,
    num_classes: int,
) -> tuple[list[nn.Sequential], list[nn.Module]]:
    """Blocks of dense units after a stem that gives 2 · growth channels, cut after the units that have an exit."""
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout: expected at least 0 and below 1, found {dropout}")
    segments, heads, modules, channels = [], [], [stem], 2 * growth
    for unit in range(1, sum(blocks) + 1):
        if unit - 1 in accumulate(blocks):
            modules.append(_transition(channels, channels // 2, dropout))
            channels //= 2
        modules.append(DenseUnit(channels, growth, bottleneck=bottleneck, dropout=dropout))
        channels += growth
        if unit in exits:
            segments.append(nn.Sequential(*modules))
            heads.append(Head(nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU()), channels, num_classes))
            modules = []
    return segments, heads


def _transition(channels: int, channels_out: int, dropout: float) -> nn.Sequential:
    """BN, ReLU, 1×1 convolution, dropout, 2×2 average: [N, channels, H, W] -> [N, channels_out, ⌈H/2⌉, ⌈W/2⌉]."""
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels_out, 1, bias=False),
        nn.Dropout(dropout),
        nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),  # a border cell of an odd size averages what exists
    )

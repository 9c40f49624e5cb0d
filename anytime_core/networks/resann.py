"""ResANN: a pre-activation residual network with an exit after every s-th unit."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from anytime_core.networks.base import AnytimeNetwork, check_positive, exit_units, he_initialise, join_units
from anytime_core.networks.heads import linear_head
from anytime_core.networks.units import BasicUnit


class ResANN(AnytimeNetwork):
    """The papers' network for images of 28 to 32 pixels, named (n, c); smaller images work too.

    Three stages of n basic units; c channels in the first stage, doubled at each following one, while height and width
    are halved. An exit follows every s-th unit, counted back from the last one, so the last unit always has an exit.

    Args:
        n: Residual units per stage (paper: 7, 9, 13, 17 or 25).
        c: Channels of the first stage (paper: 16, 32, 64 or 128); even.
        s: Units per segment (authors' scripts: 1, and 3 for n = 25).
        first_exit: The first unit, numbered from 1, that may have an exit.
        num_classes: Classes, the width of every exit.
        in_channels: Channels of the images.

    Shapes: images [N, in_channels, H, W] -> logits [K, N, num_classes], K = 1 + (3 n - first_exit) // s.

    Raises:
        ValueError: a number out of its range.

    Source: Hu et al. 2019 (experiments on CIFAR and SVHN) and the authors' released code: convolutions without bias, no
    normalisation after the first convolution, head = ReLU, global average pooling, one linear layer; He initialisation
    (fan-in, truncated normal).
    """

    def __init__(
        self,
        n: int = 3,
        c: int = 16,
        s: int = 1,
        *,
        first_exit: int = 1,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        check_positive(n=n, c=c, num_classes=num_classes, in_channels=in_channels)
        if c % 2:
            raise ValueError(f"c: expected an even number (the shortcut pads c/2 zeros on each side), found {c}")
        widths = [c * 2**stage for stage in range(3) for _ in range(n)]  # channels after each unit
        exits = exit_units(3 * n, s, first_exit)
        units = [BasicUnit(before, after) for before, after in pairwise([c, *widths])]
        segments = join_units(units, exits)
        segments[0].insert(0, nn.Conv2d(in_channels, c, 3, padding=1, bias=False))
        heads = [linear_head(widths[unit - 1], num_classes) for unit in exits]
        super().__init__(segments, heads, n=n, c=c, s=s)
        self.apply(he_initialise)

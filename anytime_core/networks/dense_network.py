"""Blocks of densely connected units with exits: what the networks for small and for large images share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from anytime_core.networks.base import AnytimeNetwork, exit_units
from anytime_core.networks.heads import DenseHead
from anytime_core.networks.initialisation import he_initialise


class DenseNetwork(AnytimeNetwork):
    """Blocks of dense units after ``stem``, which gives 2 · growth channels; what both public networks share.

    A transition stands between two blocks. It belongs to the second one and opens the segment of that block's first
    unit: an exit at the end of a block reads the block as it is, before its transition, and does not pay for it.

    Args:
        stem: Images -> [N, 2 · growth, H, W], the first block's input.
        blocks: Units of each block.
        growth: Channels that a unit adds.
        s: Units per segment.
        reduction, bottleneck, dropout, first_exit, gradient_passed, num_classes: As for ``DenseANN``.
    """

    def __init__(
        self,
        stem: nn.Module,
        blocks: Sequence[int],
        growth: int,
        s: int,
        *,
        reduction: float,
        bottleneck: bool,
        dropout: float,
        first_exit: int,
        gradient_passed: float,
        num_classes: int,
    ) -> None:
        num_units, ends = sum(blocks), set(accumulate(blocks))
        for name, value in {"s": s, "first_exit": first_exit}.items():
            if not 1 <= value <= num_units:
                raise ValueError(f"DenseANN {name}: expected 1 to {num_units}, the number of units, found {value}")
        if not 0 < reduction <= 1:
            raise ValueError(f"DenseANN reduction: expected above 0 and at most 1, found {reduction}")
        if not 0 <= dropout < 1:
            raise ValueError(f"DenseANN dropout: expected at least 0 and below 1, found {dropout}")

        exits = exit_units(num_units, s, first_exit)
        segments, heads, modules, channels = [], [], [stem], 2 * growth
        for unit in range(1, num_units + 1):
            if unit - 1 in ends:
                kept = max(1, int(reduction * channels))
                modules.append(_transition(channels, kept, dropout))
                channels = kept
            modules.append(DenseUnit(channels, growth, bottleneck=bottleneck, dropout=dropout))
            channels += growth
            if unit in exits:
                segments.append(nn.Sequential(*modules))
                heads.append(DenseHead(channels, num_classes))
                modules = []
        super().__init__(segments, heads, gradient_passed=gradient_passed)
        self.s, self.reduction, self.dropout, self.first_exit = s, reduction, dropout, first_exit
        self.apply(he_initialise)

    def extra_repr(self) -> str:
        """Options of the network, shown by ``repr``."""
        return (
            f"s={self.s}, reduction={self.reduction}, dropout={self.dropout}, first_exit={self.first_exit}, "
            f"gradient_passed={self.gradient_passed}, num_exits={self.num_exits}"
        )


class DenseUnit(nn.Module):
    """x -> [x, conv(ReLU(BN(x)))], a 3×3 convolution to ``growth`` channels, concatenated to x.

    With ``bottleneck`` the new channels are conv3×3(ReLU(BN(conv1×1(ReLU(BN(x)))))), 4 · growth of them in between.
    """

    def __init__(self, channels: int, growth: int, *, bottleneck: bool, dropout: float) -> None:
        super().__init__()
        inner = 4 * growth if bottleneck else channels
        self.added = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        if bottleneck:
            narrow = nn.Conv2d(channels, inner, 1, bias=False)
            self.added.extend([narrow, nn.Dropout(dropout), nn.BatchNorm2d(inner), nn.ReLU()])
        self.added.extend([nn.Conv2d(inner, growth, 3, padding=1, bias=False), nn.Dropout(dropout)])

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] -> [N, channels + growth, H, W]."""
        return torch.cat([x, self.added(x)], dim=1)


def _transition(channels: int, channels_out: int, dropout: float) -> nn.Sequential:
    """BN, ReLU, 1×1 convolution, dropout, 2×2 average: [N, channels, H, W] -> [N, channels_out, ⌈H/2⌉, ⌈W/2⌉]."""
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels_out, 1, bias=False),
        nn.Dropout(dropout),
        nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),  # a border cell of an odd size averages what exists
    )

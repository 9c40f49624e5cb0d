"""DenseANN: a densely connected network with an exit after every s-th unit."""

from __future__ import annotations

from torch import nn

from anytime_core.networks.base import AnytimeNetwork
from anytime_core.networks.dense_network import DenseNetwork
from anytime_core.networks.denseann_imagenet import DenseANNImageNet


class DenseANN(DenseNetwork):
    """Densely connected network for images of 28 to 32 pixels: three blocks of n units; smaller images work too.

    The first convolution gives 2 · growth channels and every unit adds ``growth``. Between blocks, a transition keeps a
    part of the channels and halves height and width. An exit follows every s-th unit, counted back from the last one.

    Args:
        n: Units per block (authors' script: 16).
        growth: g, channels that a unit adds (authors' script: 16).
        s: Units per segment (authors' script: 3).
        reduction: Part of the channels that a transition keeps, rounded down.
        bottleneck: A 1×1 convolution to 4 · growth channels comes first in every unit (authors: not on small images).
        dropout: Probability of setting a value to 0 after each convolution of units and transitions. (The authors'
            script for small images always used 0.2.)
        first_exit: The first unit, numbered from 1, that may have an exit.
        gradient_passed: Factor on the gradient from a segment to the one before it; see ``AnytimeNetwork``.
        num_classes: Classes, the width of every exit.
        in_channels: Channels of the images.

    Shapes: images [N, in_channels, H, W] -> logits [K, N, num_classes], K = 1 + (3 n - first_exit) // s.

    Raises:
        ValueError: a number out of its range.

    Source: Hu et al. 2019 and the authors' released code ("dense"); Huang et al. 2017 (DenseNet). An exit reads all
    channels concatenated so far. A transition opens the segment that holds the next block's first unit.
    """

    def __init__(
        self,
        n: int = 16,
        growth: int = 16,
        s: int = 3,
        *,
        reduction: float = 0.5,
        bottleneck: bool = False,
        dropout: float = 0.0,
        first_exit: int = 1,
        gradient_passed: float = 1.0,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        positive = {"n": n, "growth": growth, "num_classes": num_classes, "in_channels": in_channels}
        for name, value in positive.items():
            if value < 1:
                raise ValueError(f"DenseANN {name}: expected at least 1, found {value}")
        super().__init__(
            nn.Conv2d(in_channels, 2 * growth, 3, padding=1, bias=False),
            [n] * 3,
            growth,
            s,
            reduction=reduction,
            bottleneck=bottleneck,
            dropout=dropout,
            first_exit=first_exit,
            gradient_passed=gradient_passed,
            num_classes=num_classes,
        )
        self.n, self.growth, self.bottleneck = n, growth, bottleneck

    def extra_repr(self) -> str:
        """Size and options of the network, shown by ``repr``."""
        return f"n={self.n}, growth={self.growth}, bottleneck={self.bottleneck}, {super().extra_repr()}"

    @staticmethod
    def imagenet(
        depth: int = 121,
        *,
        s: int | None = None,
        dropout: float = 0.0,
        first_exit: int = 11,
        gradient_passed: float = 1.0,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> AnytimeNetwork:
        """The network for images of about 224 pixels; arguments and errors are those of ``DenseANNImageNet``."""
        return DenseANNImageNet(
            depth,
            s=s,
            dropout=dropout,
            first_exit=first_exit,
            gradient_passed=gradient_passed,
            num_classes=num_classes,
            in_channels=in_channels,
        )

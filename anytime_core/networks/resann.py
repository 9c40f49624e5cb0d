"""ResANN: a pre-activation residual network with an exit after every s-th unit."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from anytime_core.networks.base import AnytimeNetwork, exit_units
from anytime_core.networks.heads import HeadKind, make_head
from anytime_core.networks.initialisation import he_initialise
from anytime_core.networks.resann_imagenet import ResANNImageNet
from anytime_core.networks.residual_units import BasicUnit


class ResANN(AnytimeNetwork):
    """The papers' network for images of 28 to 32 pixels, named (n, c); smaller images work too.

    Three stages of n basic units; c channels in the first stage, doubled at each following one, while height and width
    are halved. An exit follows every s-th unit, counted back from the last one, so the last unit always has an exit.

    Args:
        n: Residual units per stage (paper: 7, 9, 13, 17 or 25).
        c: Channels of the first stage (paper: 16, 32, 64 or 128); even.
        s: Units per segment (authors' scripts: 1, and 3 for n = 25).
        head: What stands at every exit: linear (the papers'), 1x1, bn, msdense or rescale; see ``networks.heads``.
        first_exit: The first unit, numbered from 1, that may have an exit.
        gradient_passed: Factor on the gradient from a segment to the one before it; see ``AnytimeNetwork``.
        num_classes: Classes, the width of every exit.
        in_channels: Channels of the images.

    Shapes: images [N, in_channels, H, W] -> logits [K, N, num_classes], K = 1 + (3 n - first_exit) // s.

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
        head: HeadKind = "linear",
        first_exit: int = 1,
        gradient_passed: float = 1.0,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        for name, value in {"n": n, "c": c, "s": s, "num_classes": num_classes, "in_channels": in_channels}.items():
            if value < 1:
                raise ValueError(f"ResANN {name}: expected at least 1, found {value}")
        if c % 2:
            raise ValueError(f"ResANN c: expected an even number (the shortcut pads c/2 zeros on each side), found {c}")
        if s > 3 * n:
            raise ValueError(f"ResANN s: expected at most the {3 * n} units that n = {n} gives, found {s}")
        if not 1 <= first_exit <= 3 * n:
            raise ValueError(
                f"ResANN first_exit: expected 1 to {3 * n}, the units that n = {n} gives, found {first_exit}"
            )

        widths = [c * 2**stage for stage in range(3) for _ in range(n)]  # channels after each unit
        units = [BasicUnit(before, after) for before, after in pairwise([c, *widths])]
        exits = exit_units(3 * n, s, first_exit)
        segments = [nn.Sequential(*units[start:stop]) for start, stop in pairwise([0, *exits])]
        segments[0].insert(0, nn.Conv2d(in_channels, c, 3, padding=1, bias=False))
        heads = [make_head(head, widths[unit - 1], num_classes, last_stage=unit > 2 * n) for unit in exits]
        super().__init__(segments, heads, gradient_passed=gradient_passed)

        self.n, self.c, self.s, self.head, self.first_exit = n, c, s, head, first_exit
        self.apply(he_initialise)

    def extra_repr(self) -> str:
        """Size and options of the network, shown by ``repr``."""
        return (
            f"n={self.n}, c={self.c}, s={self.s}, head={self.head}, first_exit={self.first_exit}, "
            f"gradient_passed={self.gradient_passed}, num_exits={self.num_exits}"
        )

    @staticmethod
    def imagenet(
        depth: int = 50,
        *,
        s: int | None = None,
        head: HeadKind = "linear",
        resnext: bool = False,
        first_exit: int = 1,
        gradient_passed: float = 1.0,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> AnytimeNetwork:
        """The network for images of about 224 pixels; arguments and errors are those of ``ResANNImageNet``."""
        return ResANNImageNet(
            depth,
            s=s,
            head=head,
            resnext=resnext,
            first_exit=first_exit,
            gradient_passed=gradient_passed,
            num_classes=num_classes,
            in_channels=in_channels,
        )

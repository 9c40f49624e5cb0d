"""Two tasks on one trunk: a network for images with two labels."""

from __future__ import annotations

from torch import nn

from anytime_core.networks.base import AnytimeNetwork, he_initialise
from anytime_core.networks.heads import linear_head
from anytime_core.networks.resann import ResANN


class TwoHeads(AnytimeNetwork):
    """A ResANN without early exits, and at its end two heads, one for each label of an image.

    It is an anytime network with K = 2 whose second segment does nothing, so what serves exits serves tasks as well:
    "exit k" is the head of task k, and a weighting balances the two tasks. The heads stand at the same depth; in
    cumulative costs the second one pays for the first. On images with one label both heads learn that label.

    Args:
        n: Residual units per stage of the trunk, which has 3 n.
        c: Channels of the first stage; even.
        num_classes: Classes, the same for both labels.
        in_channels: Channels of the images.

    Shapes: images [N, in_channels, H, W] -> logits [2, N, num_classes].

    Raises:
        ValueError: a value that ResANN refuses.

    Source: hard parameter sharing, as in the two-task experiments of Lin et al. 2019 ("Pareto Multi-Task Learning"),
    with this study's trunk in the place of their LeNet.
    """

    def __init__(self, n: int = 3, c: int = 16, *, num_classes: int = 10, in_channels: int = 3) -> None:
        trunk = ResANN(n, c, s=max(1, 3 * n), num_classes=num_classes, in_channels=in_channels)
        second = linear_head(4 * c, num_classes)  # the last stage has four times the channels of the first
        second.apply(he_initialise)
        super().__init__([*trunk.segments, nn.Identity()], [*trunk.heads, second], n=n, c=c)

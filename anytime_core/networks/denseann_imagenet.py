"""DenseANN for images of about 224 pixels."""

from __future__ import annotations

from anytime_core.networks.dense_network import DenseNetwork
from anytime_core.networks.resann_imagenet import imagenet_stem

LAYOUTS = {  # depth -> units per block, the authors' s
    121: ((6, 12, 24, 16), 9),
    169: ((6, 12, 32, 32), 14),
    201: ((6, 12, 48, 32), 17),
}
GROWTH = 32


class DenseANNImageNet(DenseNetwork):
    """DenseNet-BC of four blocks, growth 32, after a stem that divides height and width by 4.

    Args:
        depth: 121, 169 or 201.
        s: Units per segment; by default the authors' for this depth: 9, 14, 17.
        dropout: Probability of setting a value to 0 after each convolution (authors: 0.1 in later runs).
        first_exit: The first unit, numbered from 1, that may have an exit; the authors' is the eleventh.
        gradient_passed: Factor on the gradient from a segment to the one before it; see ``AnytimeNetwork``.
        num_classes: Classes, the width of every exit.
        in_channels: Channels of the images.

    Shapes: images [N, in_channels, H, W] -> logits [K, N, num_classes], K = 6 by default (169: units 12, 26, …, 82).

    Raises:
        ValueError: unknown depth, or a number out of its range.

    Source: Hu et al. 2019 (experiments on ILSVRC) and the authors' released code; Huang et al. 2017.
    """

    def __init__(
        self,
        depth: int = 121,
        *,
        s: int | None = None,
        dropout: float = 0.0,
        first_exit: int = 11,
        gradient_passed: float = 1.0,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        if depth not in LAYOUTS:
            known = ", ".join(map(str, LAYOUTS))
            raise ValueError(f"DenseANN.imagenet depth: expected one of {known}, found {depth}")
        for name, value in {"num_classes": num_classes, "in_channels": in_channels}.items():
            if value < 1:
                raise ValueError(f"DenseANN.imagenet {name}: expected at least 1, found {value}")
        blocks, spacing = LAYOUTS[depth]
        super().__init__(
            imagenet_stem(in_channels, 2 * GROWTH),
            blocks,
            GROWTH,
            spacing if s is None else s,
            reduction=0.5,
            bottleneck=True,
            dropout=dropout,
            first_exit=first_exit,
            gradient_passed=gradient_passed,
            num_classes=num_classes,
        )
        self.depth = depth

    def extra_repr(self) -> str:
        """Size and options of the network, shown by ``repr``."""
        return f"depth={self.depth}, {super().extra_repr()}"

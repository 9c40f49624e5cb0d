"""Heads: what turns the feature map at an exit into the logits of that exit."""

from __future__ import annotations

from torch import Tensor, nn


class Head(nn.Module):
    """x -> linear(mean over the pixels of body(x)): [N, C, H, W] -> [N, num_classes]; the body gives ``channels``."""

    def __init__(self, body: nn.Module, channels: int, num_classes: int) -> None:
        super().__init__()
        self.body = body
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of this exit."""
        return self.linear(global_average(self.body(x)))


def linear_head(channels: int, num_classes: int) -> Head:
    """The papers' head: ReLU, global average pooling, one linear layer. Source: Hu et al. 2019."""
    return Head(nn.Sequential(nn.ReLU()), channels, num_classes)


def convolution(channels_in: int, channels_out: int, size: int, *, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU: [N, channels_in, H, W] -> [N, channels_out, ⌈H/stride⌉, …]."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def global_average(x: Tensor) -> Tensor:
    """Mean over height and width, [N, C, H, W] -> [N, C]: ``x.mean((2, 3))``, to the last bit for channels_last maps.

    Written over the pixels as rows, because the gradient then comes back in the layout of the map. That of
    ``x.mean((2, 3))`` and of torch's pooling layers is a broadcast one; on a CPU the ReLU before it then takes five to
    nine times as long, and with an exit after every unit that was a third of a training step.
    """
    return x.permute(0, 2, 3, 1).flatten(1, 2).mean(1)  # [N, H, W, C] -> [N, H·W, C] -> [N, C]

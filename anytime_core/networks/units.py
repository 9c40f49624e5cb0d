"""Units, residual and dense, all of which normalise and activate first; and the stem for large images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BasicUnit(nn.Module):
    """x -> shortcut(x) + BN(conv(ReLU(BN(conv(ReLU(BN(x))))))), 3×3 convolutions, no activation after the addition.

    When the channels double, the first convolution has stride 2 and the shortcut is a 2×2 average with zero channels
    added on both sides, so it has no parameters.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.added = channels_out - channels_in
        stride = 2 if self.added else 1
        self.norm1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H, W], or [N, 2C, ⌈H/2⌉, ⌈W/2⌉] when the channels double."""
        # in place where nobody needs what was there before: a fifteenth of a training step on a CPU
        residual = self.conv1(F.relu(self.norm1(x), inplace=True))
        residual = self.norm3(self.conv2(F.relu(self.norm2(residual), inplace=True)))
        if self.added:
            # ceil_mode keeps odd sizes in step with the padded convolution (7 -> 4); a border cell averages what exists
            x = F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
            x = F.pad(x, (0, 0, 0, 0, self.added // 2, self.added // 2))  # channels
        return residual.add_(x)


class DenseUnit(nn.Module):
    """x -> [x, conv(ReLU(BN(x)))], a 3×3 convolution to ``growth`` channels, concatenated to x.

    With ``bottleneck`` the new channels are conv3×3(ReLU(BN(conv1×1(ReLU(BN(x)))))), 4 · growth of them in between.
    Dropout follows every convolution.
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


def imagenet_stem(in_channels: int, channels: int) -> nn.Sequential:
    """7×7 convolution, BN, ReLU, 3×3 maximum, both with stride 2: [N, in_channels, H, W] -> [N, channels, H/4, W/4]."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    )

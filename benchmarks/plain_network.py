"""ResANN as someone would write it for themselves: the same function, none of the package's care for speed."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class PlainUnit(nn.Module):
    """A pre-activation residual unit; where channels double, the map is halved."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.added = after - before
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, after, 3, stride=2 if self.added else 1, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H, W], or [N, 2C, ⌈H/2⌉, ⌈W/2⌉]."""
        out = self.conv1(F.relu(self.norm1(x)))
        out = self.norm3(self.conv2(F.relu(self.norm2(out))))
        if self.added:
            x = F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
            x = F.pad(x, (0, 0, 0, 0, self.added // 2, self.added // 2))
        return out + x


class PlainResANN(nn.Module):
    """Three stages of ``n`` units, ``c`` channels at first, an exit after every unit."""

    def __init__(self, n: int, c: int, num_classes: int, in_channels: int) -> None:
        super().__init__()
        widths = [c * 2**stage for stage in range(3) for _ in range(n)]
        self.stem = nn.Conv2d(in_channels, c, 3, padding=1, bias=False)
        self.units = nn.ModuleList(
            PlainUnit(before, after) for before, after in zip([c, *widths], widths, strict=False)
        )
        self.heads = nn.ModuleList(nn.Linear(width, num_classes) for width in widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images [N, in_channels, H, W] -> K logits [N, num_classes]."""
        x = self.stem(x)
        logits = []
        for unit, head in zip(self.units, self.heads, strict=True):
            x = unit(x)
            logits.append(head(F.relu(x).mean((2, 3))))
        return logits

"""What every anytime network is: segments in a row, with an exit after each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn


class AnytimeNetwork(nn.Module):
    """A network with K exits that can be stopped after any of them.

    Segment k turns the state left by segment k - 1 into its own; head k turns that state into the logits of exit k.
    The state is whatever the segments agree on: a feature map here, a list of maps in a multi-scale network.

    Args:
        segments: K modules, in depth order. The first one takes the images.
        heads: K modules, head k reading the state after segment k.
    """

    def __init__(self, segments: Iterable[nn.Module], heads: Iterable[nn.Module]) -> None:
        super().__init__()
        self.segments = nn.ModuleList(segments)
        self.heads = nn.ModuleList(heads)
        if not self.segments or len(self.segments) != len(self.heads):
            raise ValueError(
                f"segments and heads: expected as many of each and at least one, "
                f"found {len(self.segments)} segments and {len(self.heads)} heads"
            )

    @property
    def num_exits(self) -> int:
        """K, the number of exits."""
        return len(self.heads)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of all exits: images [N, C, H, W] -> [K, N, num_classes]."""
        return torch.stack(list(self.stream(images)))

    def stream(self, images: Tensor) -> Iterator[Tensor]:
        """Logits [N, num_classes] exit by exit; a segment runs only when its exit is asked for."""
        state = images
        for segment, head in zip(self.segments, self.heads, strict=True):
            state = segment(state)
            yield head(state)

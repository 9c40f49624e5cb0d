"""What every anytime network is: segments in a row, with an exit after each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only


class AnytimeNetwork(nn.Module):
    """A network with K exits that can be stopped after any of them.

    Segment k turns the state left by segment k - 1 into its own; head k turns that state into the logits of exit k.
    The state is whatever the segments agree on: a feature map here, a list of maps in a multi-scale network.

    Args:
        segments: K modules, in depth order. The first one takes the images.
        heads: K modules, head k reading the state after segment k.
        gradient_passed: Factor, from 0 to 1, on the gradient that flows from a segment back into the one before it: 1
            trains all segments together; with 0 each segment is trained by its own exit alone. The gradient of exit j
            in segment i < j is multiplied by this factor j - i times. Outputs do not depend on it.
    """

    def __init__(
        self, segments: Iterable[nn.Module], heads: Iterable[nn.Module], *, gradient_passed: float = 1.0
    ) -> None:
        super().__init__()
        self.segments = nn.ModuleList(segments)
        self.heads = nn.ModuleList(heads)
        self.gradient_passed = gradient_passed
        if not self.segments or len(self.segments) != len(self.heads):
            raise ValueError(
                f"segments and heads: expected as many of each and at least one, "
                f"found {len(self.segments)} segments and {len(self.heads)} heads"
            )
        if not 0 <= gradient_passed <= 1:
            raise ValueError(f"gradient_passed: expected 0 to 1, found {gradient_passed}")

    @property
    def num_exits(self) -> int:
        """K, the number of exits."""
        return len(self.heads)

    def forward(self, images: Tensor, last_exit: int | None = None) -> Tensor:
        """Logits of all exits, or of those up to ``last_exit``: images [N, C, H, W] -> [K, N, num_classes]."""
        exits = self.stream(images)
        return torch.stack(list(exits if last_exit is None else islice(exits, last_exit)))

    def stream(self, images: Tensor) -> Iterator[Tensor]:
        """Logits [N, num_classes] exit by exit; a segment runs only when its exit is asked for."""
        state = images
        for segment, head in zip(self.segments, self.heads, strict=True):
            state = segment(state)
            yield head(state)
            if self.gradient_passed < 1:
                state = _scale_gradient(state, self.gradient_passed)


def exit_units(num_units: int, spacing: int, first: int = 1) -> list[int]:
    """Units, numbered 1 … num_units, that are followed by an exit.

    Every ``spacing``-th one, counted back from the last unit, which therefore always has an exit.

    Args:
        num_units: Units of the network.
        spacing: s, units per segment.
        first: The first unit that may have an exit.

    Raises:
        ValueError: ``spacing`` or ``first`` is below 1 or above ``num_units``.
    """
    for name, value in {"spacing": spacing, "first": first}.items():
        if not 1 <= value <= num_units:
            raise ValueError(f"{name}: expected 1 to {num_units}, the number of units, found {value}")
    return [unit for unit in range(first, num_units + 1) if (num_units - unit) % spacing == 0]


def _scale_gradient(state: Any, factor: float) -> Any:
    """The same state, bit for bit, with a gradient ``factor`` times as large."""
    return tree_map_only(Tensor, lambda x: x.detach() + factor * (x - x.detach()), state)

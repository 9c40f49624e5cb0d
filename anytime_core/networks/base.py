"""What every anytime network is: segments in a row, with an exit after each."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, pairwise
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

# A normal distribution cut at two standard deviations keeps this share of its standard deviation.
_TRUNCATED_STD = 0.8796256610342398


class AnytimeNetwork(nn.Module):
    """A network with K exits that can be stopped after any of them.

    Segment k turns the state left by segment k - 1 into its own; head k turns that state into the logits of exit k.
    The state is whatever the segments agree on: a feature map here, a list of maps in a multi-scale network.

    Args:
        segments: K modules, in depth order. The first one takes the input; a tuple, if the network has several.
        heads: K modules, head k reading the state after segment k.

    Attributes:
        starts: Positions, from 0, of the segments that take the input and not the state before them: (0,), but in an
            :class:`~anytime_core.networks.ensemble.EANN` one for each member.
        adopted: None where every exit gives its own logits; else the buffer [K] of booleans that says which do.
        options: Of the constructor, shown by ``repr``.

    Raises:
        ValueError: No segment, or another number of heads.
    """

    adopted: Any

    def __init__(self, segments: Iterable[nn.Module], heads: Iterable[nn.Module], **options: Any) -> None:
        super().__init__()
        self.segments = nn.ModuleList(segments)
        self.heads = nn.ModuleList(heads)
        self.starts: tuple[int, ...] = (0,)
        self.register_buffer("adopted", None)
        self.options = options
        if not self.segments or len(self.segments) != len(self.heads):
            raise ValueError(
                f"segments and heads: expected as many of each and at least one, "
                f"found {len(self.segments)} segments and {len(self.heads)} heads"
            )

    @property
    def num_exits(self) -> int:
        """K, the number of exits."""
        return len(self.heads)

    @property
    def answering_exits(self) -> tuple[int, ...]:
        """The exits, from 1, that give their own logits: all, or those that are adopted (the device is asked)."""
        flags = [True] * self.num_exits if self.adopted is None else self.adopted.tolist()
        return tuple(number for number, flag in enumerate(flags, start=1) if flag)

    def forward(self, *inputs: Tensor, last_exit: int | None = None) -> Tensor:
        """Logits of all exits, or of those up to ``last_exit``: [N, ...] -> [K, N, num_classes]."""
        if last_exit is not None and not 1 <= last_exit <= self.num_exits:
            raise ValueError(f"last_exit: expected 1 to {self.num_exits}, found {last_exit}")
        exits = self.stream(*inputs)
        return torch.stack(list(exits if last_exit is None else islice(exits, last_exit)))

    def stream(self, *inputs: Tensor) -> Iterator[Tensor]:
        """Logits [N, num_classes] exit by exit; a segment runs only when its exit is asked for."""
        given = inputs[0] if len(inputs) == 1 else inputs
        state: Any = given
        for position, (segment, head) in enumerate(zip(self.segments, self.heads, strict=True)):
            state = segment(given if position in self.starts else state)
            yield head(state)

    def adopt(self, validation_errors: Sequence[float]) -> None:
        """Decide which exits answer from their validation errors, [K]; nothing to decide but in an ensemble."""

    def macs_now(self, inputs: Any) -> list[tuple[int, int]] | None:  # noqa: ARG002 (a sequence looks at it)
        """MACs of each segment and head in the next call, where they depend on the calls before it; else None."""
        return None

    def extra_repr(self) -> str:
        """Options of the constructor and the number of exits, shown by ``repr``."""
        return ", ".join(f"{name}={value}" for name, value in {**self.options, "num_exits": self.num_exits}.items())


def exit_units(num_units: int, s: int, first_exit: int = 1) -> list[int]:
    """Units, numbered 1 … num_units, that are followed by an exit: every s-th one from ``first_exit`` on.

    They are counted back from the last unit, which therefore always has an exit.

    Raises:
        ValueError: ``s`` or ``first_exit`` is below 1 or above ``num_units``.
    """
    for name, value in {"s": s, "first_exit": first_exit}.items():
        if not isinstance(value, Integral) or not 1 <= value <= num_units:
            raise ValueError(f"{name}: expected 1 to {num_units}, the number of units, found {value}")
    return [unit for unit in range(first_exit, num_units + 1) if (num_units - unit) % s == 0]


def join_units(units: Sequence[nn.Module], exits: Sequence[int]) -> list[nn.Sequential]:
    """The segments that end at these units, numbered from 1."""
    return [nn.Sequential(*units[start:stop]) for start, stop in pairwise([0, *exits])]


def check_positive(**numbers: int) -> None:
    """Refuse all but whole numbers of at least 1. Raises ValueError, which names the first one."""
    for name, value in numbers.items():
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name}: expected a whole number of at least 1, found {value!r}")


def he_initialise(module: nn.Module) -> None:
    """He fan-in, truncated normal, for a convolution or linear layer; biases 0. Batch norm is left at 1 and 0.

    For ``net.apply``. The weights get standard deviation √(2 / fan-in) after they are cut at two of the uncut ones.

    Source: He et al. 2015; truncated normal and fan-in as in the released code of Hu et al. 2019.
    """
    if isinstance(module, nn.Conv2d | nn.Linear):
        fan_in = module.weight[0].numel()
        std = math.sqrt(2 / fan_in) / _TRUNCATED_STD
        nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@contextmanager
def modes_kept(module: nn.Module) -> Generator[None]:
    """Leave training or evaluation mode of every part as it was: a user may have frozen some."""
    modes = {part: part.training for part in module.modules()}
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training

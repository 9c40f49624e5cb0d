"""EANN: anytime networks of growing depth, one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from anytime_core.networks.base import AnytimeNetwork
from anytime_core.networks.resann import ResANN


class EANN(AnytimeNetwork):
    """Ensemble of anytime networks: each member starts on the images when the one before it has finished.

    Its exits are those of all members in a row. In evaluation mode every exit gives the best answer so far: its own
    logits if it is adopted, else those of the last adopted exit again. Adoption is decided once, on validation data
    (:meth:`adopt`), never image by image; until then every exit is adopted. In training mode every exit gives its own
    logits. A member keeps what it is: it can be trained before it joins, or with the others.

    Args:
        members: Anytime networks for the same images and classes, from shallow to deep.
        adopted: For each exit whether it is adopted; the first one always is. All are by default.

    Attributes:
        members: The networks.
        adopted: The buffer [K], of booleans, that the state dict keeps.

    Shapes: images [N, C, H, W] -> logits [K, N, num_classes], K = sum of the members' numbers of exits.

    Costs: all members that have finished are paid, so ``exit_costs`` adds up their cumulative costs; the fixed cost of
    an exit is that of running its own member alone.

    Raises:
        ValueError: No member, or ``adopted`` is not one boolean per exit, or leaves out the first exit.

    Source: Hu et al. 2019, section 4.
    """

    members: Sequence[AnytimeNetwork]
    adopted: Tensor

    def __init__(self, members: Iterable[AnytimeNetwork], adopted: Sequence[bool] | None = None) -> None:
        nn.Module.__init__(self)  # no segments or heads of its own
        self.members = cast("Sequence[AnytimeNetwork]", nn.ModuleList(members))
        self.gradient_passed = 1.0  # within a member it is the member's; between members there is no gradient
        if not self.members:
            raise ValueError("EANN members: expected at least one network, found none")
        adopted = [True] * self.num_exits if adopted is None else list(adopted)
        if len(adopted) != self.num_exits or not all(type(flag) is bool for flag in adopted):
            raise ValueError(f"EANN adopted: expected {self.num_exits} booleans, one per exit, found {adopted}")
        if not adopted[0]:
            raise ValueError("EANN adopted: expected True for the first exit, as there is no answer before it")
        self.register_buffer("adopted", torch.tensor(adopted))

    @property
    def num_exits(self) -> int:
        """K, the number of exits of all members."""
        return sum(member.num_exits for member in self.members)

    @property
    def segments(self) -> nn.ModuleList:
        """The members' segments in a row. The first one of each member takes the images."""
        return nn.ModuleList(segment for member in self.members for segment in member.segments)

    @property
    def heads(self) -> nn.ModuleList:
        """The members' heads in a row."""
        return nn.ModuleList(head for member in self.members for head in member.heads)

    def stream(self, images: Tensor) -> Iterator[Tensor]:
        """Logits [N, num_classes] exit by exit; a segment runs only when its exit is asked for."""
        exits = (logits for member in self.members for logits in member.stream(images))
        best = None
        for exit, logits in enumerate(exits):
            # chosen on the device: reading the flag would make the program wait for it
            best = logits if best is None or self.training else torch.where(self.adopted[exit], logits, best)
            yield best

    def adopt(self, validation_errors: Sequence[float]) -> None:
        """Adopt the exits whose validation error is below that of every exit before them, and no others.

        Args:
            validation_errors: [K], of each exit's own logits: of the members, or of this network while all are adopted.

        Raises:
            ValueError: Not K finite numbers.
        """
        errors = [float(error) for error in validation_errors]
        if len(errors) != self.num_exits or not all(map(math.isfinite, errors)):
            raise ValueError(f"validation_errors: expected {self.num_exits} finite numbers, found {errors}")
        best, adopted = math.inf, []
        for error in errors:
            adopted.append(error < best)
            best = min(best, error)
        self.adopted.copy_(torch.tensor(adopted))

    def extra_repr(self) -> str:
        """Number of exits, shown by ``repr``."""
        return f"num_exits={self.num_exits}"


def eann(n: tuple[int, ...] = (1, 3), c: int = 16, s: int = 1, *, num_classes: int = 10, in_channels: int = 3) -> EANN:
    """An EANN of ResANNs that differ in depth.

    Args:
        n: Residual units per stage of each member, growing (paper: 7, 13, 25 with c = 32: about twice the cost each).
        c: Channels of the first stage of every member; even.
        s: Units per segment of every member.
        num_classes: Classes, the width of every exit.
        in_channels: Channels of the images.

    Raises:
        ValueError: ``n`` is empty or does not grow; a value that ResANN refuses.
    """
    if not n or any(after <= before for before, after in pairwise(n)):
        raise ValueError(f"eann n: expected one or more growing numbers, found {n}")
    return EANN(ResANN(depth, c, s, num_classes=num_classes, in_channels=in_channels) for depth in n)

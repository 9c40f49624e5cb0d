"""EANN: anytime networks of growing depth, one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from anytime_core.networks.base import AnytimeNetwork


class EANN(AnytimeNetwork):
    """Ensemble of anytime networks: each member starts on the input when the one before it has finished.

    Its segments, heads and exits are those of all members in a row. In evaluation mode every exit gives the best answer
    so far: its own logits if it is adopted, else those of the last adopted exit again. Adoption is decided once, on
    validation data (:meth:`adopt`), never sample by sample; until then every exit is adopted. In training mode every
    exit gives its own logits. Layers are the members' own, not copies: a member can be trained before it joins.

    Args:
        members: Anytime networks for the same inputs and classes, from shallow to deep.

    Shapes: inputs [N, ...] -> logits [K, N, num_classes], K = sum of the members' numbers of exits.

    Raises:
        ValueError: No member, or one that is an ensemble or no anytime network.

    Source: Hu et al. 2019, section 4.
    """

    def __init__(self, members: Iterable[AnytimeNetwork]) -> None:
        members = list(members)
        if not members:
            raise ValueError("EANN members: expected at least one network, found none")
        if others := [type(m).__name__ for m in members if not isinstance(m, AnytimeNetwork) or m.adopted is not None]:
            raise ValueError(f"EANN members: expected single networks (of an EANN its own members), found {others[0]}")
        super().__init__(
            [segment for member in members for segment in member.segments],
            [head for member in members for head in member.heads],
        )
        self.starts = tuple(accumulate((member.num_exits for member in members[:-1]), initial=0))
        self.adopted = torch.ones(self.num_exits, dtype=torch.bool)

    def stream(self, *inputs: Tensor) -> Iterator[Tensor]:
        """The best logits so far, exit by exit; a segment runs only when its exit is asked for."""
        best = None
        for position, logits in enumerate(super().stream(*inputs)):
            # chosen on the device: reading the flag would make the program wait for it
            best = logits if best is None or self.training else torch.where(self.adopted[position], logits, best)
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
        before = accumulate(errors, min, initial=math.inf)
        self.adopted.copy_(torch.tensor([error < best for error, best in zip(errors, before, strict=False)]))

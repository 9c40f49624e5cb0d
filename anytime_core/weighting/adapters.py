"""Scalarizers of TorchJD, the balancers of other papers, behind the call that all weightings answer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from anytime_core.weighting.base import LossWeighting, require


class Scalarized(LossWeighting):
    """The objective of a scalarizer of TorchJD, with bad losses told and the weights shown.

    What it learns is learned from its objective, so its parameters must go to an optimiser, without weight decay:
    ``SGD([{"params": net.parameters()}, {"params": weigh.parameters(), "weight_decay": 0}], lr=…)``.

    Args:
        num_exits: K.
        scalarizer: Losses [K] -> 0-dim. It falls with none of them and keeps nothing but parameters (so not TorchJD's
            DWA, FAMO or Random). In ``state_dict()`` and ``parameters()`` as ``scalarizer``, where it is a module.
        smallest: Losses below this count as this and have gradient 0, for scalarizers that divide by them.

    Attributes:
        weights: [K]: unlike elsewhere, those of the *last* call in training mode, ∂objective/∂ℓ_i; 1 before it.

    Raises:
        ValueError: K is below 1.
    """

    def __init__(self, num_exits: int, scalarizer: Callable[[Tensor], Tensor], *, smallest: float = 0.0) -> None:
        require(num_exits >= 1, "num_exits", "at least 1", num_exits)
        super().__init__(torch.ones(num_exits))
        self.scalarizer = scalarizer
        self.smallest = smallest

    def combine(self, losses: Tensor) -> Tensor:
        """The scalarizer's objective of losses [K]."""
        return self._objective(losses) * (1 + 0 * self._used.sum())  # times NaN if a loss is bad

    def _objective(self, losses: Tensor) -> Tensor:
        return self.scalarizer(losses.clamp(min=self.smallest))

    def update(self, losses: Tensor) -> None:
        """Show this call's weights: the objective's derivatives with respect to the losses [K]."""
        derivatives = torch.func.grad(self._objective)(losses.detach())
        self.weights.copy_(torch.where(self.good().all(), derivatives, self.weights))

    @torch.no_grad()
    def reset(self) -> None:
        """Start again, what was learned included."""
        self.weights.fill_(1)
        getattr(self.scalarizer, "reset", lambda: None)()  # TorchJD's have one if they keep anything

"""The one call that all weightings answer: losses [K] -> one number to minimise."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LossWeighting(nn.Module):
    """Σ_i B_i ℓ_i with weights B that no gradient passes through.

    It never sees a network, so it fits anyone's training loop. All state is in buffers: it moves with ``.to()`` and is
    part of ``state_dict()``.

    Args:
        weights: B at the start, [K].

    Attributes:
        weights: B, [K]: the weights that the next call uses.
    """

    weights: Tensor

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)

    @property
    def num_exits(self) -> int:
        """K, the number of losses."""
        return len(self.weights)

    def forward(self, losses: Tensor) -> Tensor:
        """Weighted sum of the exits' losses, [K] -> scalar; in training mode the weights are updated afterwards.

        Raises:
            ValueError: the losses are not a vector of length K.
        """
        if losses.shape != self.weights.shape:
            raise ValueError(f"losses: expected shape [{self.num_exits}], one per exit, found {list(losses.shape)}")
        # clone(): autograd keeps the factor for the backward pass, while update() may change the buffer in place
        objective = (self.weights.clone() * losses).sum()
        if self.training:
            with torch.no_grad():
                self.update(losses.detach())
        return objective

    def update(self, losses: Tensor) -> None:
        """Take note of this step's losses [K]. Static weightings have nothing to note."""

    def extra_repr(self) -> str:
        """Shown by ``repr``."""
        return f"num_exits={self.num_exits}"

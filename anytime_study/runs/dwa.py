"""DWA: exits whose loss falls slowly weigh more (Liu, Johns and Davison 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from anytime_core.weighting.base import LossWeighting, require


class DynamicWeightAverage(LossWeighting):
    """B_i = K exp(r_i / T) / Σ_j exp(r_j / T), with r_i = L_i(t-1) / L_i(t-2) and L(t) the mean losses of epoch t.

    B = 1 in the first two epochs. :meth:`end_epoch` must be called after every epoch: without it, the weights stay 1.
    The losses of epochs are in buffers, unlike in TorchJD's ``DWA``, so they move and are saved. Losses of 0 have a
    limit: L below 1e-8 counts as 1e-8 in r.

    Args:
        num_exits: K.
        temperature: T, above 0; larger values make the weights more alike. The paper uses 2.

    Raises:
        ValueError: K is below 1, or T is not above 0.
    """

    epoch_sum: Tensor
    epoch_steps: Tensor
    means: Tensor
    epochs: Tensor

    def __init__(self, num_exits: int, temperature: float = 2.0) -> None:
        require(num_exits >= 1, "num_exits", "at least 1", num_exits)
        require(0 < temperature < float("inf"), "dwa temperature", "a finite number above 0", temperature)
        super().__init__(torch.ones(num_exits))
        self.temperature = temperature
        self.register_buffer("epoch_sum", torch.zeros(num_exits))
        self.register_buffer("epoch_steps", torch.zeros(num_exits, dtype=torch.int64))
        self.register_buffer("means", torch.ones(2, num_exits))  # of the last epoch but one, and of the last
        self.register_buffer("epochs", torch.zeros((), dtype=torch.int64))

    def update(self, losses: Tensor) -> None:
        """Add this step's losses [K] to the epoch's."""
        good = self.good()
        self.epoch_sum += torch.where(good, losses, 0)
        self.epoch_steps += good

    @torch.no_grad()
    def end_epoch(self) -> None:
        """Turn the losses since the last call into the weights of the next epoch.

        An epoch without a step is none: nothing changes.
        """
        some = (self.epoch_steps > 0).all()
        mean = self.epoch_sum / self.epoch_steps.clamp(min=1)
        self.means.copy_(torch.where(some, torch.stack([self.means[1], mean]), self.means))
        self.epochs += some
        self.epoch_sum.zero_()
        self.epoch_steps.zero_()
        before, last = self.means.clamp(min=1e-8)
        weights = self.num_exits * torch.softmax(last / before / self.temperature, 0)
        self.weights.copy_(torch.where(self.epochs >= 2, weights, 1.0))

    def reset(self) -> None:
        """Forget all epochs."""
        super().reset()
        for state, value in ((self.epoch_sum, 0), (self.epoch_steps, 0), (self.epochs, 0), (self.means, 1)):
            state.fill_(value)
        self.weights.fill_(1)

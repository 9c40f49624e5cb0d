"""Other people's balancers of losses, from torchjd.scalarization, behind the call that all weightings answer.

Their objectives differ in scale, which acts as a factor on the learning rate of the network:

========== ============================================ =======================================
name       weights ∂objective/∂ℓ_i                      when all losses are equal
========== ============================================ =======================================
``gls``    GM(ℓ) / (K ℓ_i)                              1/K each: CONST / K
``uw``     ½ exp(-s_i), s learned                       ½ each at the start: CONST / 2
``imtl_l`` exp(s_i), s learned                          1 each at the start: CONST
``dwa``    K softmax(L(t-1) / (L(t-2) T))_i             1 each: they sum to K
``stch``   softmax(ℓ / (K μ))_i / K                     1/K² each: they sum to 1/K
========== ============================================ =======================================
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchjd.scalarization import DWA, IMTLL, STCH, UW, GeometricMean, Scalarizer

from anytime_core.weighting.base import LossWeighting


class Scalarized(LossWeighting):
    """The objective of a scalarizer of torchjd.

    What it learns is learned from its objective, so its parameters must go to an optimiser, without weight decay:
    ``SGD([{"params": net.parameters()}, {"params": weigh.parameters(), "weight_decay": 0}], lr=…)``.

    Args:
        num_exits: K.
        scalarizer: Takes losses [K], falls with none of them, and keeps nothing but parameters (so not torchjd's DWA,
            FAMO or Random). In ``state_dict()`` and ``parameters()`` as ``scalarizer``.
        smallest: Losses below this count as this and have gradient 0, for scalarizers that divide by them.

    Attributes:
        weights: [K]: unlike elsewhere, those of the *last* call in training mode, ∂objective/∂ℓ_i; 1 before it.

    Raises:
        ValueError: K is below 1.
    """

    def __init__(self, num_exits: int, scalarizer: Scalarizer, *, smallest: float = 0.0) -> None:
        if num_exits < 1:
            raise ValueError(f"num_exits: expected at least 1, found {num_exits}")
        super().__init__(torch.ones(num_exits))
        self.scalarizer = scalarizer
        self.smallest = smallest

    def combine(self, losses: Tensor) -> Tensor:
        """The scalarizer's objective, [K] -> scalar."""
        return self.scalarizer(losses.clamp(min=self.smallest))

    def measure(self, losses: Tensor) -> Tensor:
        """The objective's derivatives with respect to the losses, [K]."""
        values = losses.detach().requires_grad_()
        with torch.enable_grad():
            (weights,) = torch.autograd.grad(self.combine(values), values)
        return weights

    def update(self, measured: Tensor) -> None:
        """Show this call's weights."""
        self.weights.copy_(measured)


class DynamicWeightAverage(LossWeighting):
    """DWA (Liu, Johns and Davison 2019): exits whose loss falls slowly weigh more.

    B_i = K exp(r_i / T) / Σ_j exp(r_j / T) with r_i = L_i(t-1) / L_i(t-2), L(t) the mean losses of epoch t. B = 1 in
    the first two epochs. The weights are computed by torchjd's DWA; the losses of epochs, which that keeps in plain
    attributes, are kept in buffers here, so that they move and are saved.

    :meth:`end_epoch` must be called after every epoch: without it, the weights stay 1.

    Losses of 0 have a limit: L below 1e-8 counts as 1e-8 in r.

    Args:
        num_exits: K.
        temperature: T, above 0; larger values make the weights more alike.

    Raises:
        ValueError: K is below 1, or T is not above 0.
    """

    epoch_sum: Tensor
    epoch_steps: Tensor
    means: Tensor
    epochs: Tensor

    def __init__(self, num_exits: int, temperature: float = 2.0) -> None:
        if num_exits < 1:
            raise ValueError(f"num_exits: expected at least 1, found {num_exits}")
        if not 0 < temperature < float("inf"):
            raise ValueError(f"dwa temperature: expected a finite number above 0, found {temperature}")
        super().__init__(torch.ones(num_exits))
        self.temperature = temperature
        self.register_buffer("epoch_sum", torch.zeros(num_exits))
        self.register_buffer("epoch_steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("means", torch.ones(2, num_exits))  # of the last epoch but one, and of the last
        self.register_buffer("epochs", torch.zeros((), dtype=torch.int64))

    def update(self, measured: Tensor) -> None:
        """Add this step's losses [K] to the epoch's."""
        self.epoch_sum += measured
        self.epoch_steps += 1

    @torch.no_grad()
    def end_epoch(self) -> None:
        """Turn the losses since the last call into the weights of the next epoch. No device sync.

        An epoch without a step is none: nothing changes.
        """
        some = self.epoch_steps > 0
        mean = self.epoch_sum / self.epoch_steps.clamp(min=1)
        self.means.copy_(torch.where(some, torch.stack([self.means[1], mean]), self.means))
        self.epochs += some
        self.epoch_sum.zero_()
        self.epoch_steps.zero_()
        dwa = DWA(self.temperature)
        for past in self.means.clamp(min=1e-8):
            dwa(past)
            dwa.step()
        values = torch.ones_like(mean).requires_grad_()
        with torch.enable_grad():
            (weights,) = torch.autograd.grad(dwa(values), values)
        self.weights.copy_(torch.where(self.epochs >= 2, weights, 1.0))

    def extra_repr(self) -> str:
        """Knobs, shown by ``repr``."""
        return f"num_exits={self.num_exits}, temperature={self.temperature}"


def gls(num_exits: int) -> Scalarized:
    """GLS, the geometric mean of the losses (Chennupati et al. 2019): AdaLoss's objective, on single batches.

    At a loss of 0 its gradient would be NaN. Losses below 1e-8 count as 1e-8 and rest: their weight is 0. torchjd looks
    at the signs of the losses, which waits for a GPU in every step.

    Args:
        num_exits: K.
    """
    return Scalarized(num_exits, GeometricMean(), smallest=1e-8)


def uw(num_exits: int) -> Scalarized:
    """UW, uncertainty weighting (Kendall, Gal and Cipolla 2018): Σ ½ exp(-s_i) ℓ_i + ½ s_i, with s learned from 0.

    Args:
        num_exits: K.
    """
    return Scalarized(num_exits, UW(num_exits))


def imtl_l(num_exits: int) -> Scalarized:
    """IMTL-L (Liu et al. 2021): Σ exp(s_i) ℓ_i - s_i, with s learned from 0: twice UW, at -s.

    Args:
        num_exits: K.
    """
    return Scalarized(num_exits, IMTLL(num_exits))


def stch(num_exits: int, mu: float = 0.1) -> Scalarized:
    """STCH, smooth Tchebycheff (Lin et al. 2024): μ ln Σ exp(ℓ_i / (K μ)), a smooth maximum of the losses over K.

    With preferences or an ideal point of one's own: ``Scalarized(K, STCH(mu, weights, reference))``.

    Args:
        num_exits: K.
        mu: μ, above 0; smaller is closer to the maximum. Its paper tries 0.01, 0.1, 0.5 and 1. With the default and
            about ten exits, K μ is about 1: exits whose losses differ by less than 1 all count.
    """
    if not 0 < mu < float("inf"):
        raise ValueError(f"stch mu: expected a finite number above 0, found {mu}")
    return Scalarized(num_exits, STCH(mu))

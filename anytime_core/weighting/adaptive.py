"""AdaLoss: weigh each exit's loss by the inverse of its running mean (Hu et al. 2019, Eq. 1 to 3)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from anytime_core.weighting.base import LossWeighting

Normalisation = Literal["max", "sum"]


class AdaLoss(LossWeighting):
    """B_i ∝ 1 / ℓ̂_i, with ℓ̂_i an exponential moving average of the loss of exit i.

    With the weights held constant in each step, the gradient Σ_i ∇ℓ_i / ℓ̂_i is that of Σ_i ln ℓ_i: the geometric mean
    of the expected losses is minimised (paper, Eq. 3).

    One training step with losses ℓ [K] does, after the objective has been formed with the current B:

    1. ℓ̂ ← ℓ on the first step, else β ℓ̂ + (1 - β) ℓ (with bias correction: ℓ̂ / (1 - β^t), started from 0);
    2. every P-th step: u = 1 / max(ℓ̂, ε); normalise u; add e to the last exit and, if e > 0, normalise again;
       B ← (1 - γ) u + γ. The new B is used from the next step on. Until the first refresh B = 1.

    The formula in the paper's text has none of γ, P, e and no normalisation; the authors' runs had them. The three
    presets are: the constructor's defaults, which the paper's Fig. 5c and the authors' job scripts imply;
    :meth:`released`, the defaults of their command line; :meth:`formula`, the text as it stands.

    A loss of exactly 0 has its documented limit: with ``"max"`` that exit weighs 1 and every other one
    γ + (1 - γ) ε / ℓ̂_i, which is γ for all purposes. The released code adds ε after the division instead, which gives
    NaN there.

    Args:
        num_exits: K.
        momentum: β, of the moving average; 0 uses the last batch alone.
        refresh_period: P, steps between two refreshes of the weights.
        floor: γ, the share of CONST mixed in, from 0 to 1.
        final_extra: e, added to the last exit's normalised weight.
        bias_correction: Start the average at 0 and correct for it, instead of starting at the first batch.
        normalisation: ``"max"``: the largest weight is 1. ``"sum"``: the weights sum to K, as CONST's do.
        epsilon: ε, the smallest average that is divided by.

    Raises:
        ValueError: a knob outside its range.
    """

    average: Tensor
    step: Tensor

    def __init__(
        self,
        num_exits: int,
        *,
        momentum: float = 0.99,
        refresh_period: int = 100,
        floor: float = 0.07,
        final_extra: float = 0.0,
        bias_correction: bool = False,
        normalisation: Normalisation = "max",
        epsilon: float = 1e-8,
    ) -> None:
        _require(num_exits >= 1, "num_exits", "at least 1", num_exits)
        _require(0 <= momentum < 1, "momentum", "0 or more and below 1", momentum)
        _require(refresh_period >= 1, "refresh_period", "at least 1 step", refresh_period)
        _require(0 <= floor <= 1, "floor", "0 to 1", floor)
        _require(0 <= final_extra < float("inf"), "final_extra", "0 or more", final_extra)
        _require(normalisation in ("max", "sum"), "normalisation", "max or sum", normalisation)
        _require(0 < epsilon < 1, "epsilon", "above 0 and below 1", epsilon)
        super().__init__(torch.ones(num_exits))
        self.momentum = momentum
        self.refresh_period = refresh_period
        self.floor = floor
        self.final_extra = final_extra
        self.bias_correction = bias_correction
        self.normalisation = normalisation
        self.epsilon = epsilon
        self.register_buffer("average", torch.zeros(num_exits))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    @classmethod
    def paper_runs(cls, num_exits: int) -> AdaLoss:
        """The knobs behind the paper's published runs, as its Fig. 5c and the authors' scripts imply: the defaults."""
        return cls(num_exits)

    @classmethod
    def released(
        cls,
        num_exits: int,
        *,
        momentum: float = 0.9,
        refresh_period: int = 100,
        floor: float = 0.07,
        final_extra: float = 0.0,
    ) -> AdaLoss:
        """The defaults of the authors' released command line: a shorter average than ``paper_runs``."""
        return cls(num_exits, momentum=momentum, refresh_period=refresh_period, floor=floor, final_extra=final_extra)

    @classmethod
    def formula(
        cls,
        num_exits: int,
        *,
        momentum: float = 0.96,
        refresh_period: int = 1,
        normalisation: Normalisation = "sum",
    ) -> AdaLoss:
        """B_i ∝ 1 / ℓ̂_i as the paper's text has it, no floor; refreshed every step, the weights sum to K."""
        return cls(
            num_exits,
            momentum=momentum,
            refresh_period=refresh_period,
            floor=0.0,
            bias_correction=True,
            normalisation=normalisation,
        )

    def update(self, losses: Tensor) -> None:
        """Average in this step's losses [K] and refresh the weights when they are due. No device sync."""
        self.step += 1
        losses = losses.to(self.average.dtype)
        if self.bias_correction:
            self.average.lerp_(losses, 1 - self.momentum)
            # in double precision: with a long memory 1 - β^t would round to 0
            average = self.average / (1 - self.momentum ** self.step.double()).to(self.average.dtype)
        else:
            self.average.copy_(torch.where(self.step == 1, losses, self.average.lerp(losses, 1 - self.momentum)))
            average = self.average
        # where() instead of an if: the step lives on the device and reading it would wait for the device
        due = self.step % self.refresh_period == 0
        self.weights.copy_(torch.where(due, self._weights_for(average), self.weights))

    def _weights_for(self, average: Tensor) -> Tensor:
        # below the smallest normal number of the type, the reciprocal could be infinite
        smallest = max(self.epsilon, torch.finfo(average.dtype).tiny)
        weights = self._normalised(1 / average.clamp(min=smallest))
        if self.final_extra:
            weights[-1] += self.final_extra
            weights = self._normalised(weights)
        return (1 - self.floor) * weights + self.floor

    def _normalised(self, weights: Tensor) -> Tensor:
        weights = weights / weights.max()  # first of all, so that no sum overflows
        return weights if self.normalisation == "max" else weights * (self.num_exits / weights.sum())

    def extra_repr(self) -> str:
        """Knobs, shown by ``repr``."""
        return (
            f"num_exits={self.num_exits}, momentum={self.momentum}, refresh_period={self.refresh_period}, "
            f"floor={self.floor}, final_extra={self.final_extra}, bias_correction={self.bias_correction}, "
            f"normalisation={self.normalisation!r}"
        )


def _require(holds: bool, name: str, expected: str, found: object) -> None:
    if not holds:
        raise ValueError(f"AdaLoss {name}: expected {expected}, found {found}")

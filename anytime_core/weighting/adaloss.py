"""AdaLoss: weigh each exit's loss by the inverse of its running mean (Hu et al. 2019, Eq. 1 to 3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from anytime_core.weighting.base import LossWeighting
from anytime_core.weighting.gradient_norms import GradientNorms
from anytime_core.weighting.normalisation import KINDS, Normalisation, normalised
from anytime_core.weighting.ranks import mean_over_ranks


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
    NaN there. A negative, NaN or infinite loss changes nothing and is an error (see :class:`LossWeighting`).

    **Scales.** If ℓ_i is measured in another unit, a_i ℓ_i, then 1/ℓ̂_i undoes it, and normalisation costs one factor
    for all exits, a change of the learning rate: a constant one under ``"geometric"``, none under ``"none"``. The floor
    γ, which mixes in CONST, does not undo it. ``floor_kind="start"`` mixes in what undoes it as well: u is then
    (1 - γ) / max(ℓ̂, ε) + γ / max(ℓ(1), ε), with ℓ(1) the losses of the first step, and B ← u after the normalisations
    of step 2. If the a_i are powers of two, the direction Σ_i B_i a_i ∇ℓ_i is the same bit for bit under ``"none"``,
    while losses are above ε.

    **Order 1** tracks the length of the gradient, ‖∂ℓ_i/∂θ‖, in the place of ℓ_i throughout: offsets of a loss do not
    count then. It costs K backward passes in every training step (see :class:`GradientNorms`), refreshed or not, as
    in the authors' code; over several processes, the mean of their norms is tracked.

    Args:
        num_exits: K.
        momentum: β, of the moving average; 0 uses the last batch alone.
        refresh_period: P, steps between two refreshes of the weights.
        floor: γ, the share of CONST (or of the start) mixed in, from 0 to 1.
        final_extra: e, added to the last exit's normalised weight.
        bias_correction: Start the average at 0 and correct for it, instead of starting at the first batch.
        normalisation: ``"max"``: the largest weight is 1. ``"sum"``: the weights sum to K, as CONST's do.
            ``"geometric"``: their geometric mean is 1. ``"none"``: the raw 1/ℓ̂; γ and e are then added to these.
        epsilon: ε, the smallest average (order 1: the smallest norm) that is divided by.
        floor_kind: ``"const"`` mixes in CONST, ``"start"`` the inverse of the first losses, which is safe of scales.
        order: 0 tracks the losses, 1 the norms of their gradients.
        squared: With order 1, track ½‖g‖²/dim θ_(i) as the released code does. Then a loss of another unit counts
            1/a_i times, and the weights differ much more.
        parameters: θ for order 1, such as ``net.parameters()``; not used with order 0. They stay the network's: they
            are not part of ``state_dict()`` and not moved by ``.to()``. Build the weighting anew with a copied network.

    Raises:
        ValueError: a knob outside its range; at a call with order 1, losses that depend on none of the parameters.
    """

    average: Tensor
    step: Tensor
    start: Tensor | None

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
        floor_kind: Literal["const", "start"] = "const",
        order: Literal[0, 1] = 0,
        squared: bool = False,
        parameters: Iterable[nn.Parameter] | None = None,
    ) -> None:
        _require(num_exits >= 1, "num_exits", "at least 1", num_exits)
        _require(0 <= momentum < 1, "momentum", "0 or more and below 1", momentum)
        _require(refresh_period >= 1, "refresh_period", "at least 1 step", refresh_period)
        _require(0 <= floor <= 1, "floor", "0 to 1", floor)
        _require(0 <= final_extra < float("inf"), "final_extra", "0 or more", final_extra)
        _require(normalisation in KINDS, "normalisation", "max, sum, geometric or none", normalisation)
        _require(0 < epsilon < 1, "epsilon", "above 0 and below 1", epsilon)
        _require(floor_kind in ("const", "start"), "floor_kind", "const or start", floor_kind)
        _require(order in (0, 1), "order", "0 or 1", order)
        _require(order == 1 or not squared, "squared", "False with order=0, which tracks no gradient", squared)
        _require(order == 0 or parameters is not None, "parameters", "the network's, with order=1", parameters)
        super().__init__(torch.ones(num_exits))
        self.momentum = momentum
        self.refresh_period = refresh_period
        self.floor = floor
        self.final_extra = final_extra
        self.bias_correction = bias_correction
        self.normalisation: Normalisation = normalisation
        self.epsilon = epsilon
        self.floor_kind = floor_kind
        self.order = order
        self.squared = squared
        first_order = order == 1 and parameters is not None
        self._norms = GradientNorms(parameters, squared=squared, smallest=epsilon) if first_order else None
        self.register_buffer("average", torch.zeros(num_exits))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.register_buffer("start", torch.zeros(num_exits) if floor_kind == "start" else None)

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
        bias_correction: bool = False,
        normalisation: Normalisation = "max",
    ) -> AdaLoss:
        """The defaults of the authors' released command line: a shorter average than ``paper_runs``."""
        return cls(
            num_exits,
            momentum=momentum,
            refresh_period=refresh_period,
            floor=floor,
            final_extra=final_extra,
            bias_correction=bias_correction,
            normalisation=normalisation,
        )

    @classmethod
    def formula(
        cls,
        num_exits: int,
        *,
        momentum: float = 0.96,
        refresh_period: int = 1,
        floor: float = 0.0,
        final_extra: float = 0.0,
        bias_correction: bool = True,
        normalisation: Normalisation = "sum",
    ) -> AdaLoss:
        """B_i ∝ 1 / ℓ̂_i as the paper's text has it, no floor; refreshed every step, the weights sum to K."""
        return cls(
            num_exits,
            momentum=momentum,
            refresh_period=refresh_period,
            floor=floor,
            final_extra=final_extra,
            bias_correction=bias_correction,
            normalisation=normalisation,
        )

    def measure(self, losses: Tensor) -> Tensor:
        """The scalars to average, [K]: the losses, or with order 1 the norms of their gradients."""
        return losses if self._norms is None else mean_over_ranks(self._norms(losses))

    def update(self, measured: Tensor) -> None:
        """Average in what this step measured, [K], and refresh the weights when they are due. No device sync."""
        self.step += 1
        losses = measured.to(self.average.dtype)
        if self.bias_correction:
            self.average.lerp_(losses, 1 - self.momentum)
            # in double precision, where there is one: with a long memory 1 - β^t would round to 0
            precise = torch.float32 if self.step.device.type == "mps" else torch.float64
            average = self.average / (1 - self.momentum ** self.step.to(precise)).to(self.average.dtype)
        else:
            self.average.copy_(torch.where(self.step == 1, losses, self.average.lerp(losses, 1 - self.momentum)))
            average = self.average
        if self.start is not None:
            self.start.copy_(torch.where(self.step == 1, losses, self.start))
        # where() instead of an if: the step lives on the device and reading it would wait for the device
        due = self.step % self.refresh_period == 0
        self.weights.copy_(torch.where(due, self._weights_for(average), self.weights))

    def _weights_for(self, average: Tensor) -> Tensor:
        weights = self._inverse(average)
        if self.start is not None:
            weights = (1 - self.floor) * weights + self.floor * self._inverse(self.start)
        weights = normalised(weights, self.normalisation)
        if self.final_extra:
            weights[-1] += self.final_extra
            weights = normalised(weights, self.normalisation)
        return weights if self.start is not None else (1 - self.floor) * weights + self.floor

    def _inverse(self, values: Tensor) -> Tensor:
        smallest = torch.finfo(values.dtype).tiny  # the reciprocal of less could be infinite
        # norms have met ε before they were averaged, and squared
        return 1 / values.clamp(min=smallest if self.order == 1 else max(self.epsilon, smallest))

    def extra_repr(self) -> str:
        """Knobs, shown by ``repr``."""
        knobs = ["momentum", "refresh_period", "floor", "final_extra", "bias_correction", "normalisation", "epsilon"]
        knobs = ["num_exits", *knobs, "floor_kind", "order", "squared"]
        return ", ".join(f"{knob}={getattr(self, knob)!r}" for knob in knobs)


def _require(holds: bool, name: str, expected: str, found: object) -> None:
    if not holds:
        raise ValueError(f"AdaLoss {name}: expected {expected}, found {found}")

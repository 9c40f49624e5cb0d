"""AdaLoss: weigh each exit's loss by the inverse of its moving average (Hu et al. 2019, Eq. 1 to 3)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
import torch.distributed as dist
from torch import Tensor

from anytime_core.weighting.base import LossWeighting, may_raise, refuse_bad, require

Normalisation = Literal["max", "sum", "geometric", "none"]


class AdaLoss(LossWeighting):
    """B_i ∝ 1 / ℓ̂_i, with ℓ̂_i an exponential moving average of the loss of exit i.

    With the weights held constant in each step, the gradient Σ_i ∇ℓ_i / ℓ̂_i is that of Σ_i ln ℓ_i: the geometric mean
    of the expected losses is minimised (paper, Eq. 3). One training step with losses ℓ does, after the objective has
    been formed with the current B:

    1. ℓ̂ ← ℓ at an exit's first loss, else β ℓ̂ + (1 - β) ℓ (with bias correction: from 0, ℓ̂ / (1 - β^n) after n);
    2. every P-th step: u = 1 / max(ℓ̂, ε); normalise u; add e to the last exit and, if e > 0, normalise again;
       B ← (1 - γ) u + γ. The new B is used from the next step on.

    The defaults are those of the paper's published runs, as its Fig. 5c and the authors' scripts imply. :meth:`formula`
    is the paper's text, which has no P, γ and e.

    **Until the first refresh, after P steps, B = 1**, as in the published method: a shorter run trains the plain sum.
    A state that is saved before warns, once. In a short run set ``refresh_period``.

    **Cost** with the defaults: 8 operations of the device per step and 7 more in each P-th, none of which is waited
    for. ``step`` tells on a CPU whether a refresh is due. Elsewhere the host counts, from ``step`` once a state is
    loaded; or the device, where this was made on the meta device, and from its first graph on, compiled or captured.

    **Losses of 0** have their limit: with ``"max"`` that exit weighs 1 and every other one γ + (1 - γ) ε / ℓ̂_i, about
    γ (the released code has NaN there, as it adds ε after the division). A bad loss (see
    :class:`~anytime_core.weighting.base.LossWeighting`) leaves its exit's average as it is.

    **Units.** If ℓ_i is measured in another unit, a_i ℓ_i, then 1/ℓ̂_i undoes it, and normalisation costs one factor
    for all exits, a change of the learning rate: a constant one under ``"geometric"``, none under ``"none"``. The floor
    γ, which mixes in CONST, does not undo it. ``floor_kind="start"`` mixes in what undoes it as well: u is then
    (1 - γ) / max(ℓ̂, ε) + γ / max(ℓ(1), ε), with ℓ(1) the first losses, and B ← u after the normalisations of step 2.

    Args:
        num_exits: K.
        momentum: β, of the moving average; 0 uses the last batch alone.
        refresh_period: P, steps between two refreshes of the weights.
        floor: γ, the share of CONST (or of the start) mixed in, from 0 to 1.
        final_extra: e, added to the last exit's normalised weight.
        bias_correction: Start the average at 0 and correct for it, instead of starting at the first batch.
        normalisation: ``"max"``: the largest weight is 1. ``"sum"``: the weights sum to K, as CONST's do.
            ``"geometric"``: their geometric mean is 1. ``"none"``: the raw 1/ℓ̂; γ and e are then added to these.
        epsilon: ε, the smallest average that is divided by.
        floor_kind: ``"const"`` mixes in CONST, ``"start"`` the inverse of the first losses, which is scale-invariant.
        measure: What to average in place of the losses: losses [K] with their graph -> [K], such as
            :class:`~anytime_core.weighting.gradient_norms.GradientNorms`.
        process_group: Processes that average their losses, and what they measure; None communicates nothing.

    Attributes:
        average: ℓ̂, [K].
        step: int64, calls in training mode.

    Raises:
        ValueError: an option outside its range.
    """

    average: Tensor
    rate: Tensor
    step: Tensor
    start: Tensor | None
    count: Tensor | None

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
        measure: Callable[[Tensor], Tensor] | None = None,
        process_group: dist.ProcessGroup | None = None,
    ) -> None:
        require(num_exits >= 1, "AdaLoss num_exits", "at least 1", num_exits)
        require(0 <= momentum < 1, "AdaLoss momentum", "0 or more and below 1", momentum)
        require(refresh_period % 1 == 0 < refresh_period, "AdaLoss refresh_period", "1, 2, 3, …", refresh_period)
        require(0 <= floor <= 1, "AdaLoss floor", "0 to 1", floor)
        require(0 <= final_extra < float("inf"), "AdaLoss final_extra", "0 or more", final_extra)
        kinds = get_args(Normalisation)
        require(normalisation in kinds, "AdaLoss normalisation", f"one of {', '.join(kinds)}", normalisation)
        require(0 < epsilon < 1, "AdaLoss epsilon", "above 0 and below 1", epsilon)
        require(floor_kind in ("const", "start"), "AdaLoss floor_kind", "const or start", floor_kind)
        super().__init__(torch.ones(num_exits), process_group=process_group)
        self.momentum = momentum
        self.refresh_period = refresh_period
        self.floor = floor
        self.final_extra = final_extra
        self.bias_correction = bias_correction
        self.normalisation: Normalisation = normalisation
        self.epsilon = epsilon
        self.floor_kind = floor_kind
        self.measure = measure
        self.register_buffer("average", self.weights.clone())
        self.register_buffer("rate", self.weights.clone())  # at which the next loss enters: 1 if it is the first
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.register_buffer("start", self.weights.clone() if floor_kind == "start" else None)
        self.register_buffer("count", self.weights.long() if bias_correction else None)  # of good losses
        self._host_step = None if self.step.is_meta else 0  # None, also once a graph has counted: the device decides
        self._warned = False
        self.register_load_state_dict_post_hook(_count_on)
        self.reset()

    @classmethod
    def formula(cls, num_exits: int, **options: Any) -> AdaLoss:
        """B_i ∝ 1 / ℓ̂_i as the paper's text has it: no floor, refreshed every step, the weights sum to K."""
        text: dict[str, Any] = {"momentum": 0.96, "refresh_period": 1, "floor": 0.0}
        text.update(bias_correction=True, normalisation="sum")
        return cls(num_exits, **{**text, **options})

    @torch.no_grad()
    def reset(self) -> None:
        """Forget all losses: B = 1 until the next refresh, P steps on."""
        super().reset()
        self.weights.fill_(1)
        # 1: the weight of an exit without a good loss so far; the first one takes its place, at a rate of 1
        self.average.fill_(0 if self.bias_correction else 1)
        self.rate.fill_(1 - self.momentum if self.bias_correction else 1)
        self.step.zero_()
        if self.start is not None:
            self.start.fill_(torch.inf)  # none yet
        if self.count is not None:
            self.count.zero_()
        self._host_step = None if self._host_step is None else 0

    def update(self, losses: Tensor) -> None:
        """Average in the losses [K], or what is measured of them, and refresh the weights when they are due."""
        good = self.good()
        if self.measure is not None:
            losses = self._vector(self.measure(losses), "what AdaLoss measures")
            if self._ranks is not None:
                losses = self._ranks.mean(losses)
            if may_raise(losses):
                refuse_bad(losses, "what AdaLoss measures")
            good = good & losses.isfinite() & (losses >= 0)
        losses = losses.to(self.average.dtype)
        self.average.lerp_(torch.where(good, losses, self.average), self.rate)
        if self.count is None:
            self.rate.masked_fill_(good, 1 - self.momentum)
        else:
            self.count += good
        if self.start is not None:
            self.start.copy_(torch.where(good & self.start.isinf(), losses, self.start))
        self.step += 1
        if torch.compiler.is_compiling() or (losses.is_cuda and torch.cuda.is_current_stream_capturing()):
            self._host_step = None
        elif may_raise(losses):
            self._host_step = int(self.step)
        elif self._host_step is not None:
            self._host_step += 1
        if self._host_step is None:
            due = self.step % self.refresh_period == 0
            self.weights.copy_(torch.where(due, self._refreshed(), self.weights))
        elif self._host_step % self.refresh_period == 0:
            self.weights.copy_(self._refreshed())

    def _refreshed(self) -> Tensor:
        average = self.average
        if self.count is not None:
            # in double precision, where there is one: with a long memory 1 - β^n would round to 0
            precise = torch.float32 if self.count.device.type == "mps" else torch.float64
            average = average / (1 - self.momentum ** self.count.to(precise)).to(average.dtype)
            average = average.nan_to_num(1)  # 0 / 0 without a good loss so far
        weights = self._inverse(average)
        if self.start is not None:
            weights = (1 - self.floor) * weights + self.floor * self._inverse(self.start)
        weights = normalised(weights, self.normalisation)
        if self.final_extra:
            weights[-1] += self.final_extra
            weights = normalised(weights, self.normalisation)
        return weights if self.start is not None else (1 - self.floor) * weights + self.floor

    def _inverse(self, values: Tensor) -> Tensor:
        # the reciprocal of less than the smallest normal number could be infinite
        return values.clamp(min=max(self.epsilon, torch.finfo(values.dtype).tiny)).reciprocal()

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        step = int(self.step) if self._host_step is None and not self.step.is_meta else self._host_step
        if step and step < self.refresh_period and not self._warned:
            self._warned = True
            warnings.warn(
                f"AdaLoss: state saved after step {step}, before the first refresh at step {self.refresh_period}: all "
                "weights have been 1, as in a plain sum. In a run this short set a smaller refresh_period.",
                stacklevel=3,
            )
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def extra_repr(self) -> str:
        """Options, shown by ``repr``."""
        names = ["num_exits", "momentum", "refresh_period", "floor", "final_extra", "bias_correction", "normalisation"]
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in [*names, "epsilon", "floor_kind"])


def normalised(weights: Tensor, kind: Normalisation) -> Tensor:
    """Weights [K], all above 0, scaled as ``kind`` says (see :class:`AdaLoss`); a new tensor, but for ``"none"``."""
    if kind == "none":
        return weights
    weights = weights / weights.max()  # first of all, so that no sum overflows
    if kind == "sum":
        return weights * (len(weights) / weights.sum())
    if kind == "geometric":
        # a weight that the division rounded to 0 counts as the smallest number there is
        return weights / weights.clamp(min=torch.finfo(weights.dtype).tiny).log().mean().exp()
    return weights


def _count_on(weigh: AdaLoss, _: object) -> None:
    """After a state has been loaded: the host counts on from its step."""
    if weigh._host_step is not None and not weigh.step.is_meta:
        weigh._host_step = int(weigh.step)

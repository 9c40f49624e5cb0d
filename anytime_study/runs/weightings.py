"""What the study's names of weightings mean, where the library has no constructor that takes just their options.

Records are named by a hash of such texts as ``adaloss(floor=0.0)``: options in the order of these signatures, those at
their defaults left out. So names, order and defaults stay as they are here, whatever the library's become.

The balancers of other papers differ in scale, which acts as a factor on the learning rate of the network:

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

import math
from collections.abc import Callable, Iterable
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torchjd.scalarization import IMTLL, STCH, UW

from anytime_core.weighting.adaloss import AdaLoss, Normalisation
from anytime_core.weighting.base import LossWeighting, require
from anytime_core.weighting.gradient_norms import GradientNorms


def adaloss(
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
) -> AdaLoss:
    """AdaLoss; its defaults are those of the paper's runs, of the released code or of the formula in the paper's text.

    The options are those of :class:`AdaLoss`. Order 1 averages the norms of the losses' gradients with respect to
    ``parameters`` in the place of the losses; ``squared`` takes ½‖g‖²/dim θ_(i) then, as the released code does.
    """
    require(order in (0, 1), "AdaLoss order", "0 or 1", order)
    require(order == 1 or not squared, "AdaLoss squared", "False with order=0, which tracks no gradient", squared)
    norms = group = None
    if order == 1:
        require(parameters is not None, "AdaLoss parameters", "the network's, with order=1", parameters)
        norms = GradientNorms(parameters or (), squared=squared, smallest=epsilon)
        # the training loop averages the losses over the processes of a run; the norms are found here
        group = dist.group.WORLD if dist.is_available() else None
    return AdaLoss(
        num_exits,
        momentum=momentum,
        refresh_period=refresh_period,
        floor=floor,
        final_extra=final_extra,
        bias_correction=bias_correction,
        normalisation=normalisation,
        # a norm has met ε before it was averaged, and squared; less than a float's smallest number is raised to that
        epsilon=epsilon if norms is None else 1e-40,
        floor_kind=floor_kind,
        measure=norms,
        process_group=group,
    )


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
        super().reset()
        self.weights.fill_(1)
        getattr(self.scalarizer, "reset", lambda: None)()  # TorchJD's have one if they keep anything


def exponential(num_exits: int, base: float = 2.0) -> LossWeighting:
    """EXPONENTIAL: b^(i-1), scaled so that the largest weight is 1: b^(i-K), or b^(i-1) where b < 1.

    The authors' code scales the largest weight to ⌊log₂ K⌋ instead. That is 0 for one exit, and it jumps where K passes
    a power of 2: a change of the learning rate that nobody asked for. With a largest weight of 1 the weights compare
    with the other schemes' at one learning rate.

    Args:
        num_exits: K.
        base: b, above 0; above 1 favours late exits, below 1 early ones. No weight may be too small for a float32.
    """
    require(num_exits >= 1, "num_exits", "at least 1", num_exits)
    require(0 < base < math.inf, "exponential base", "a finite number above 0", base)
    smallest_exponent = -abs(math.log2(base)) * (num_exits - 1)
    if smallest_exponent < -126:  # below 2^-126 a float32 loses digits, then all of them
        raise ValueError(
            f"exponential base: expected weights of 2^-126 or more, found 2^{smallest_exponent:.0f} for "
            f"base {base} and {num_exits} exits"
        )
    largest = num_exits - 1 if base > 1 else 0
    return LossWeighting(torch.tensor([base ** (i - largest) for i in range(num_exits)], dtype=torch.float32))


def gls(num_exits: int) -> Scalarized:
    """GLS, the geometric mean of the losses (Chennupati et al. 2019): AdaLoss's objective, on single batches.

    At a loss of 0 its gradient would be NaN. Losses below 1e-8 count as 1e-8 and rest: their weight is 0. TorchJD's own
    looks at the signs of the losses, which waits for a GPU in every step.
    """
    return Scalarized(num_exits, geometric_mean, smallest=1e-8)


def geometric_mean(losses: Tensor) -> Tensor:
    """exp of the mean logarithm of losses [K], 0-dim."""
    return losses.log().mean().exp()


def uw(num_exits: int) -> Scalarized:
    """UW, uncertainty weighting (Kendall, Gal and Cipolla 2018): Σ ½ exp(-s_i) ℓ_i + ½ s_i, with s learned from 0."""
    return Scalarized(num_exits, UW(num_exits))


def imtl_l(num_exits: int) -> Scalarized:
    """IMTL-L (Liu et al. 2021): Σ exp(s_i) ℓ_i - s_i, with s learned from 0: twice UW, at -s."""
    return Scalarized(num_exits, IMTLL(num_exits))


def stch(num_exits: int, mu: float = 0.1) -> Scalarized:
    """STCH, smooth Tchebycheff (Lin et al. 2024): μ ln Σ exp(ℓ_i / (K μ)), a smooth maximum of the losses over K.

    Args:
        num_exits: K.
        mu: μ, above 0; smaller is closer to the maximum. Its paper tries 0.01, 0.1, 0.5 and 1. With the default and
            about ten exits, K μ is about 1: exits whose losses differ by less than 1 all count.
    """
    require(0 < mu < math.inf, "stch mu", "a finite number above 0", mu)
    return Scalarized(num_exits, STCH(mu))

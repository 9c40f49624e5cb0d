"""The one call that all weightings answer: losses [K] -> one number to minimise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from anytime_core.weighting.ranks import mean_over_ranks


class BadLoss(ValueError):
    """A loss that cannot be weighed: negative, NaN or infinite.

    Attributes:
        exit: Its exit, 1 to K.
    """

    def __init__(self, message: str, exit_number: int) -> None:
        super().__init__(message)
        self.exit = exit_number

    def __reduce__(self) -> tuple[type[BadLoss], tuple[str, int]]:
        """From one process to another."""
        return type(self), (str(self), self.exit)


class LossWeighting(nn.Module):
    """Σ_i B_i ℓ_i with weights B that no gradient passes through.

    It never sees a network, so it fits anyone's training loop. All state is in buffers: it moves with ``.to()`` and is
    part of ``state_dict()``. It stays in single precision, or double, even where a model that it is part of is cast to
    half: a running mean in bfloat16 would not feel a change of some per cent. Under :mod:`torch.distributed` the losses
    are averaged over all processes before anything is made of them in training mode, so that all processes use the same
    weights.

    **Bad losses.** A loss that is negative, NaN or infinite never reaches the weights: they, and all other state, stay
    as they were. On a CPU the call raises :class:`BadLoss`. Elsewhere, and in a compiled graph, reading a value would
    mean to wait for it: there the objective is NaN, its gradient with respect to the losses is 0, ``bad_exit`` holds
    the exit, and :meth:`check` raises when it is next called.

    A new weighting overrides :meth:`update` and, if it needs more than weights and losses, :meth:`measure` or
    :meth:`combine`.

    Args:
        weights: B at the start, [K].
        last_exit: The last exit whose loss ever counts; K if left out.

    Attributes:
        last_exit: The same: a trainer need not compute the exits after it, and gives 0 as their losses.
        weights: B, [K]: the weights that the next call uses.
        bad_exit: int64 scalar: 0, or the exit (1 to K) of the first bad loss, until it is set to 0 again.
    """

    weights: Tensor
    bad_exit: Tensor

    def __init__(self, weights: Tensor, *, last_exit: int | None = None) -> None:
        super().__init__()
        self.last_exit = len(weights) if last_exit is None else last_exit
        self.register_buffer("weights", weights)
        self.register_buffer("bad_exit", torch.zeros((), dtype=torch.int64))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """What ``.to()``, ``.half()`` and their like do to each tensor of the state."""

        def in_full(state: Tensor) -> Tensor:
            moved = fn(state)
            return state.to(moved.device) if moved.dtype in (torch.bfloat16, torch.float16) else moved

        return super()._apply(in_full, recurse)

    @property
    def num_exits(self) -> int:
        """K, the number of losses."""
        return len(self.weights)

    def forward(self, losses: Tensor) -> Tensor:
        """Weighted sum of the exits' losses, [K] -> scalar; in training mode the weights are updated afterwards.

        Raises:
            TypeError: the losses are no tensor, for instance a list of tensors.
            ValueError: the losses are not a vector of length K.
            BadLoss: on a CPU, outside a compiled graph: a loss is negative, NaN or infinite.
        """
        if not isinstance(losses, Tensor):
            found = type(losses).__name__
            raise TypeError(
                f"losses: expected a tensor [{self.num_exits}], found {found}; torch.stack makes one of several"
            )
        if losses.shape != self.weights.shape:
            raise ValueError(f"losses: expected shape [{self.num_exits}], one per exit, found {list(losses.shape)}")
        if self.training:
            losses = mean_over_ranks(losses)
        if losses.device.type == "cpu" and not torch.compiler.is_compiling():
            return self._raising(losses)
        return self._flagging(losses)

    def check(self) -> None:
        """Raise if a loss has been bad. Waits for the device, so call it where values are read anyway (logs, saves).

        Raises:
            BadLoss: naming the exit; again at every call, until ``bad_exit`` is set to 0.
        """
        exit_number = int(self.bad_exit)
        if exit_number:
            raise BadLoss(
                f"losses: expected finite values of 0 or more, found a negative, NaN or infinite one at exit "
                f"{exit_number} in an earlier step",
                exit_number,
            )

    def end_epoch(self) -> None:
        """Take note that an epoch is over. Most weightings do not care."""

    def combine(self, losses: Tensor) -> Tensor:
        """The objective, [K] -> scalar. Changes nothing."""
        # clone(): autograd keeps the factor for the backward pass, while update() may change the buffer in place
        return (self.weights.clone() * losses).sum()

    def measure(self, losses: Tensor) -> Tensor:
        """What to note of this step, [K] -> [K], 0 or more. The losses come with their graph. Changes nothing."""
        return losses

    def update(self, measured: Tensor) -> None:
        """Take note of what this step measured, [K], detached and good. Static weightings have nothing to note."""

    def _raising(self, losses: Tensor) -> Tensor:
        _refuse_bad(losses, "losses")
        objective = self.combine(losses)
        if self.training:
            measured = self.measure(losses)
            if measured is not losses:
                _refuse_bad(measured, f"what {type(self).__name__} measures")
            with torch.no_grad():
                self.update(measured.detach())
        return objective

    def _flagging(self, losses: Tensor) -> Tensor:
        measured = self.measure(losses) if self.training else losses
        good = _is_good(losses)  # [K]
        # one bad loss can spoil what is measured of all exits, so only good losses put the blame there
        good = torch.where(good.all(), _is_good(measured), good)
        bad = ~good.all()
        objective = self.combine(losses.masked_fill(bad, 1)).masked_fill(bad, math.nan)
        with torch.no_grad():
            if self.training:
                before = [state.clone() for state in self.buffers()]
                self.update(measured.detach())
                for state, old in zip(self.buffers(), before, strict=True):
                    state.copy_(torch.where(bad, old, state))
            first_bad = good.int().argmin() + 1
            self.bad_exit.copy_(torch.where(bad & (self.bad_exit == 0), first_bad, self.bad_exit))
        return objective

    def extra_repr(self) -> str:
        """Shown by ``repr``."""
        return f"num_exits={self.num_exits}"


def _is_good(values: Tensor) -> Tensor:
    return values.isfinite() & (values >= 0)


def _refuse_bad(values: Tensor, what: str) -> None:
    for exit_number, value in enumerate(values.tolist(), start=1):
        if not 0 <= value < math.inf:
            raise BadLoss(
                f"{what}: expected finite values of 0 or more, found {value} at exit {exit_number}", exit_number
            )

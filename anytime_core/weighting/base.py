"""The one call that all weightings answer: losses in, one number to minimise out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor

from anytime_core.weighting.distributed import Ranks

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class BadLoss(ValueError):
    """A loss that cannot be weighed: negative, NaN or infinite.

    Attributes:
        exit: Its exit, 1 to K; the first one where several are bad.
    """

    def __init__(self, message: str, exit_number: int = 0) -> None:  # unpickling gives the number after the call
        super().__init__(message)
        self.exit = exit_number


class LossWeighting(nn.Module):
    """Σ_i B_i ℓ_i with weights B that no gradient passes through: as it is, weights that never change.

    A weighting never sees a network, so it fits anyone's training loop. It is called as TorchJD's ``Scalarizer`` is:
    values of any shape, counted in order, to a 0-dim tensor. All state is in buffers. It stays in single precision, or
    double, where a model that it is part of is made in or cast to half: an average in bfloat16 would not feel a change
    of some per cent. Nothing waits for a GPU.

    **Bad losses.** On a CPU a loss that is negative, NaN or infinite raises :class:`BadLoss`, and nothing changes.
    Elsewhere, and in a compiled graph, raising would mean to wait for the value: there the *gradient* of the objective
    becomes NaN, so that a ``GradScaler`` leaves the step out, the state takes in nothing of that loss, and
    :meth:`check` tells the exit.

    **Several processes.** Nothing is communicated unless ``process_group`` is given. Then, in training mode, each
    process must make the call: all weigh the mean of their losses, draw the same conclusions, and stop at a bad loss of
    any of them. Static weights need no group.

    **A new weighting** overrides :meth:`update`, to change ``weights`` in place after each step, and :meth:`reset`; one
    that is no weighted sum overrides :meth:`combine` too. Under the transforms of :mod:`torch.func`, which forbid a
    function to change state, call ``eval()`` first; there a bad loss is told by the gradient alone.

    Args:
        weights: B at the start: K finite numbers of 0 or more.
        last_exit: The last exit whose loss ever counts; K if left out.
        process_group: Processes whose losses are averaged, such as ``torch.distributed.group.WORLD`` (which is None
            before ``init_process_group``). A copy shares it; with it the module cannot be pickled, its state can.

    Attributes:
        last_exit: As given: a trainer need not compute the exits after it, and gives 0 as their losses.
        weights: B, [K]: the weights that the next call uses.
    """

    weights: Tensor
    _used: Any

    def __init__(
        self, weights: Tensor | list[float], *, last_exit: int | None = None, process_group: ProcessGroup | None = None
    ) -> None:
        super().__init__()
        given = weights.dtype if isinstance(weights, Tensor) else torch.get_default_dtype()
        weights = torch.as_tensor(weights, dtype=torch.promote_types(given, torch.float32)).detach().clone()
        if type(weights) is Tensor and not weights.is_meta:  # others have no values
            good = (weights >= 0) & weights.isfinite()
            require(weights.ndim == 1 and bool(good.all()), "weights", "finite, 0 or more", weights.tolist())
        self.last_exit = len(weights) if last_exit is None else last_exit
        self._ranks = None if process_group is None else Ranks(process_group)
        self.register_buffer("weights", weights)
        LossWeighting.reset(self)

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

    def forward(self, values: Tensor, /) -> Tensor:
        """The objective, 0-dim; in training mode the weights are then updated, for the next call.

        Args:
            values: The losses of the K exits: K elements in any shape, with their graph.

        Raises:
            TypeError: the losses are no tensor, for instance a list of tensors.
            ValueError: there are not K of them.
            BadLoss: on a CPU, outside a compiled graph: a loss is negative, NaN or infinite.
        """
        losses = self._vector(values)
        if self._ranks is not None and self.training:
            losses = self._ranks.mean(losses)
        if may_raise(losses):
            refuse_bad(losses, "losses")
        with torch.no_grad():
            # √ℓ is finite where ℓ is good, and 0 · √ℓ is then 0, else NaN (the factor becomes 0: some devices leave out
            # a product with 0 itself). A new tensor: autograd keeps it, while update() changes the weights in place.
            self._used = torch.add(self.weights, losses.sqrt(), alpha=5e-324)
        try:
            objective = self.combine(losses)
            if self.training:
                with torch.no_grad():
                    self.update(losses)
        except RuntimeError as error:
            if "mutate a captured Tensor" in str(error):
                error.add_note(f"{type(self).__name__} in training mode changes its state: call eval() before")
            raise
        finally:
            if not torch.compiler.is_compiling() and is_functorch_wrapped_tensor(losses):
                LossWeighting.reset(self)  # nothing can read or copy the tensor after the transform
        return objective

    def _vector(self, values: Tensor, name: str = "losses") -> Tensor:
        if not isinstance(values, Tensor):
            found = f"found {type(values).__name__}; torch.stack makes one of several"
            raise TypeError(f"{name}: expected a tensor of {self.num_exits}, {found}")
        if values.numel() != self.num_exits:
            raise ValueError(
                f"{name}: expected {self.num_exits}, one per exit, found {values.numel()} (shape {list(values.shape)})"
            )
        losses, dtype = values.flatten(), self.weights.dtype
        return losses if losses.dtype == dtype else losses.to(torch.promote_types(losses.dtype, dtype))

    def combine(self, losses: Tensor) -> Tensor:
        """The objective of losses [K], 0-dim. Its gradient must be NaN where a loss is bad, as in ``_used``."""
        return torch.dot(self._used, losses)

    def update(self, losses: Tensor) -> None:
        """Take note of this step's losses [K], without gradients, and change ``weights`` in place.

        Not called on a CPU with a bad loss. Elsewhere it is, and leaves out losses that are not :meth:`good`.
        """

    def good(self) -> Tensor:
        """Which losses of this call were good, bool [K], on the device."""
        return self._used >= 0

    def reset(self) -> None:
        """Go back to the start, as after construction: no loss has been seen. Static weights are there already."""
        self._used = None  # B in the last call, NaN where a loss was bad

    def end_epoch(self) -> None:
        """Take note that an epoch is over. Most weightings do not count epochs."""

    def check(self) -> None:
        """Raise BadLoss if one of the last call was bad. Waits for the device: call it where values are read anyway."""
        if self._used is not None:
            refuse_bad(self._used, "losses, told by B_i = NaN")

    def extra_repr(self) -> str:
        """Shown by ``repr``."""
        return f"num_exits={self.num_exits}"


def may_raise(losses: Tensor) -> bool:
    """Whether values can be looked at without a wait."""
    plain = not torch.compiler.is_compiling() and not is_functorch_wrapped_tensor(losses)
    return plain and losses.device.type == "cpu"


def refuse_bad(values: Tensor, what: str) -> None:
    """Raise BadLoss at the first of values [K] that is negative, NaN or infinite."""
    for number, value in enumerate(values.tolist(), start=1):
        if not 0 <= value < math.inf:
            raise BadLoss(f"{what}: expected finite values of 0 or more, found {value} at exit {number}", number)


def require(holds: bool, name: str, expected: str, found: object) -> None:
    """Refuse an option of a weighting: ``AdaLoss floor: expected 0 to 1, found 2``."""
    if not holds:
        raise ValueError(f"{name}: expected {expected}, found {found}")

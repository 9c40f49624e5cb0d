"""What a network is fed where only shapes matter: to count its costs, to find how its parts fit together."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

Net = TypeVar("Net", bound=nn.Module)


def example_batch(inputs: Sequence[int] | Any, net: nn.Module, samples: int = 1) -> Any:
    """A batch of N = ``samples`` rows without data, on the meta device; ``inputs`` as for ``exit_costs``."""
    if _is_shape(inputs):
        dtypes = (parameter.dtype for parameter in net.parameters() if parameter.is_floating_point())
        return torch.empty((samples, *inputs), dtype=next(dtypes, torch.float32), device="meta")
    return tree_map_only(Tensor, lambda x: torch.empty(samples, *x.shape[1:], dtype=x.dtype, device="meta"), inputs)


def shapes_of(inputs: Sequence[int] | Any) -> str:
    """The shapes, for an error."""
    if _is_shape(inputs):
        return str(tuple(inputs))
    return ", ".join(str(tuple(x.shape)) if isinstance(x, Tensor) else repr(x) for x in tree_leaves(inputs))


def on_meta(net: Net) -> Net:
    """A copy without data, in evaluation mode. The weights of ``net`` are not copied on the way."""
    with torch.no_grad():
        memo: dict[int, Tensor] = {id(x): x.to("meta") for x in net.buffers()}
        memo |= {id(x): nn.Parameter(x.to("meta"), x.requires_grad) for x in net.parameters()}
    return copy.deepcopy(net, memo).eval()


def _is_shape(inputs: Sequence[int] | Any) -> bool:
    return isinstance(inputs, Sequence) and all(isinstance(size, int) for size in inputs)

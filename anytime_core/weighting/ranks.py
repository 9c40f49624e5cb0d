"""Losses of all processes of a distributed run."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor


def mean_over_ranks(values: Tensor) -> Tensor:
    """Mean of ``values`` over all processes, so that each of them draws the same conclusions from it.

    The gradient goes to this process's own values. Averaged over the processes, as ``DistributedDataParallel`` does, it
    is that of the mean. One process, or none of :mod:`torch.distributed`: ``values`` itself. Nothing waits for a GPU.

    Args:
        values: Any shape, the same on all processes; 0 or more. A negative, NaN or infinite value of any process is
            NaN or infinite on all of them: a mean must not hide it.

    Returns:
        As ``values``; the same bits on every process.
    """
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return values
    own = values.detach()
    total = own.masked_fill(own < 0, float("nan"))
    dist.all_reduce(total)  # a sum: Gloo has no mean
    # own values minus themselves: exactly 0, and it carries the gradient
    return total / dist.get_world_size() + (values - own)

"""Losses of all processes of a distributed run."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor


class Ranks:
    """The processes of a group of :mod:`torch.distributed`, which copies of this object share."""

    def __init__(self, group: dist.ProcessGroup) -> None:
        self.group = group

    def mean(self, values: Tensor) -> Tensor:
        """Mean of ``values`` over all processes, so that each of them draws the same conclusions from it.

        The gradient goes to this process's own values. Averaged over the processes, as ``DistributedDataParallel``
        does, it is that of the mean. All processes of the group must make the call. Nothing waits for a GPU.

        Values have any shape, the same on all processes; their mean has the same bits on all. A negative, NaN or
        infinite value of any process is NaN or infinite on all of them: a mean must not hide it.
        """
        own = values.detach()
        total = own.masked_fill(own < 0, float("nan"))
        dist.all_reduce(total, group=self.group)  # a sum: Gloo has no mean
        # own values minus themselves: exactly 0, and it carries the gradient
        return total / self.group.size() + (values - own)

    def __deepcopy__(self, memo: dict[int, object]) -> Ranks:
        """Itself: processes cannot be copied."""
        return self

"""One run by several processes: each has a device of its own and computes with its share of every batch.

``torchrun`` starts the processes; then each enters :func:`process_group`. Gradients are averaged by torch's
``DistributedDataParallel``, losses by :func:`mean_over_ranks`.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from anytime_core.weighting.distributed import Ranks

Value = TypeVar("Value")

TIMEOUT = timedelta(hours=12)
"""How long a process waits for the others, such as for the first one, which scores the trained network alone."""


def process_rank() -> int:
    """Number of this process among those of the run, from 0; 0 outside of a process group."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def num_processes() -> int:
    """Processes of the run; 1 outside of a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def mean_over_ranks(values: Tensor) -> Tensor:
    """Mean of what each process of the run has; its gradient goes to the own values."""
    world = dist.group.WORLD if num_processes() > 1 else None
    return values if world is None else Ranks(world).mean(values)


def all_gather_object(value: Value) -> list[Value]:
    """What each process gave, by its number. Goes from CPU to CPU: no GPU waits."""
    found: list[Any] = [value] * num_processes()
    if num_processes() > 1:
        dist.all_gather_object(found, value)
    return found


def launched() -> bool:
    """Whether ``torchrun`` has started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "LOCAL_RANK" in os.environ


@contextmanager
def process_group(*, cuda: bool) -> Generator[None]:
    """Meet the other processes of the run, each with its own GPU where there are any; alone nothing happens."""
    if not launched():
        yield
        return
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=TIMEOUT)
    try:
        yield
    finally:
        dist.destroy_process_group()

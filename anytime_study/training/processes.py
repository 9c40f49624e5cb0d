"""One run by several processes: each has a device of its own and computes with its share of every batch.

Either :func:`launch` starts the processes, or ``torchrun`` does; then each calls :func:`process_group`. Gradients are
averaged by torch's ``DistributedDataParallel``, losses by :func:`mean_over_ranks`.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

from anytime_core.errors import InputError
from anytime_core.weighting.distributed import Ranks
from anytime_study.training.interruption import AGAIN, Interrupted, ProcessFailed, stop_requests

Value = TypeVar("Value")

TIMEOUT = timedelta(hours=12)
"""How long a process waits for the others: the first one scores the trained network alone, which may take hours where
images are decoded one by one. If a process fails, the others are ended at once."""


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


def all_reduce_max(value: int) -> int:
    """The largest ``value`` of all processes, so that all of them do the same. Goes from CPU to CPU: no GPU waits."""
    if num_processes() == 1:
        return value
    found = torch.tensor(value)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


def broadcast_object(value: Value) -> Value:
    """What the first process gave; it travels to all others."""
    box: list[Any] = [value]
    if num_processes() > 1:
        dist.broadcast_object_list(box)
    return box[0]


def all_gather_object(value: Value) -> list[Value]:
    """What each process gave, by its number."""
    found: list[Any] = [value] * num_processes()
    if num_processes() > 1:
        dist.all_gather_object(found, value)
    return found


def launched() -> bool:
    """Whether ``torchrun`` or :func:`launch` has started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "LOCAL_RANK" in os.environ


@contextmanager
def process_group(devices: int, *, cuda: bool) -> Generator[None]:
    """Meet the other processes of the run; each with its own GPU, where there are any.

    Raises:
        InputError: not as many processes were started as the run has devices, or there are not as many GPUs.
    """
    started = int(os.environ["WORLD_SIZE"])
    if started != devices:
        raise InputError(f"devices: expected {started}, the number of processes started, found {devices}")
    if cuda:
        here = int(os.environ["LOCAL_RANK"])
        if here >= torch.cuda.device_count():
            raise InputError(f"devices: expected a GPU for each process, found {torch.cuda.device_count()}")
        torch.cuda.set_device(here)
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=TIMEOUT)
    try:
        yield
    finally:
        dist.destroy_process_group()


def launch(devices: int, call: Callable[..., object], *args: Any) -> None:
    """Start ``devices`` processes on this machine that all do ``call(*args)``, and wait for their end.

    SIGTERM or Ctrl-C is passed on. The processes end with this one, however it ends.

    Args:
        devices: How many.
        call: A function of a module, which the processes import.
        args: For it; they travel to the processes.

    Raises:
        Interrupted: the processes were asked to stop.
        ProcessFailed: one of them failed.
    """
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)  # that it ends the others is no news
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = torch.multiprocessing.start_processes(
        _work, (devices, port, call, args), nprocs=devices, join=False, start_method="spawn"
    )
    with stop_requests() as request:
        try:
            while not context.join(timeout=0.5):
                if request.made:
                    for process in context.processes:
                        process.terminate()
        except ProcessExitedException as error:
            if not request.made and error.exit_code != AGAIN:
                raise ProcessFailed(f"process {error.error_index} of {devices}: {error}") from None
            raise Interrupted("asked to stop; the same call goes on from the last state") from None
        except ProcessRaisedException as error:
            raise ProcessFailed(f"process {error.error_index} of {devices}: {str(error).splitlines()[-1]}") from None


def _work(number: int, devices: int, port: int, call: Callable[..., object], args: tuple[Any, ...]) -> None:
    """What a process does. PyTorch has the system send it SIGINT if its parent ends."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": devices}
    where |= {"RANK": number, "LOCAL_RANK": number, "LOCAL_WORLD_SIZE": devices}
    os.environ.update({name: str(value) for name, value in where.items()})
    try:
        call(*args)
    except Interrupted:
        raise SystemExit(AGAIN) from None

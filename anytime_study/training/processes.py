"""One run by several processes: each has a device of its own and computes with its share of every batch.

Either this module starts the processes (:func:`in_processes`), or ``torchrun`` does; then each calls
:func:`process_group`. Gradients are averaged by torch's ``DistributedDataParallel``, losses by
:func:`mean_over_ranks`.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor

from anytime_core.errors import InputError
from anytime_core.weighting.distributed import Ranks
from anytime_study.training.interruption import AGAIN, Interrupted, end_with_parent, stop_requests

Answer = TypeVar("Answer")

PATIENCE = timedelta(hours=12)
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


def largest(value: int, device: torch.device) -> int:
    """The largest ``value`` of all processes, so that all of them do the same. Waits for the device."""
    if num_processes() == 1:
        return value
    found = torch.tensor(value, device=device)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


def from_first(value: Answer) -> Answer:
    """What the first process gave; it travels to all others."""
    if num_processes() == 1:
        return value
    box: list[Any] = [value]
    dist.broadcast_object_list(box)
    return box[0]


def from_all(value: Answer) -> list[Answer]:
    """What each process gave, by its number."""
    if num_processes() == 1:
        return [value]
    found: list[Any] = [None] * num_processes()
    dist.all_gather_object(found, value)
    return found


def were_started() -> bool:
    """Whether ``torchrun`` or :func:`in_processes` has started this process as one of several."""
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
    dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def in_processes(devices: int, call: Callable[..., Answer], *args: Any) -> Answer:
    """Start ``devices`` processes on this machine that all do ``call(*args)``; gives what the first one gave.

    SIGTERM or Ctrl-C is passed on. The processes end with this one, however it ends.

    Args:
        devices: How many.
        call: A function of a module, which the processes import. Its answer holds no tensors: these would lie in
            memory that ends with the process.
        args: For it; they travel to the processes.

    Raises:
        Interrupted: the processes were asked to stop, and have kept their state.
        Exception: whatever the first process to fail raised; the others are ended.
    """
    answers = torch.multiprocessing.get_context("spawn").SimpleQueue()
    port = _free_port()
    context = torch.multiprocessing.start_processes(
        _work, (devices, port, answers, call, args), nprocs=devices, join=False, start_method="spawn"
    )
    outcomes: list[Any] = []
    asked = ended = False
    with stop_requests() as request:
        try:
            while not ended:
                ended = context.join(timeout=0.5)
                while not answers.empty():  # at once: a large answer waits for its reader before its process can end
                    outcomes.append(answers.get())
                if request.made and not asked:
                    asked = True
                    for process in context.processes:
                        process.terminate()
        except torch.multiprocessing.ProcessExitedException as error:
            while not answers.empty():
                outcomes.append(answers.get())
            if error.exit_code == AGAIN:
                raise Interrupted("asked to stop; the state is kept, and the same call goes on from there") from None
            if asked:
                raise Interrupted("asked to stop before a state could be agreed on; the same call goes on") from None
            if not outcomes:
                raise RuntimeError(f"process {error.error_index} of {devices}: {error}") from None
    if isinstance(outcomes[0], Exception):
        raise outcomes[0]
    return outcomes[0]


def _work(number: int, devices: int, port: int, answers: Any, call: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """What a process does; its answer, or what it raised, goes through the queue."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent passes it on as SIGTERM
    end_with_parent()
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": devices}
    where |= {"RANK": number, "LOCAL_RANK": number, "LOCAL_WORLD_SIZE": devices}
    os.environ.update({name: str(value) for name, value in where.items()})
    try:
        answer = call(*args)
    except Interrupted:
        raise SystemExit(AGAIN) from None
    except Exception as error:
        answers.put(error)
        raise SystemExit(1) from None
    if number == 0:
        answers.put(answer)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]

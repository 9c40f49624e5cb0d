"""Other work on the machine while something is measured."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing.synchronize import Event

READY_SECONDS = 120.0


@contextmanager
def busy_processes(count: int) -> Generator[None]:
    """``count`` processes that multiply matrices on one thread each, for as long as the block runs.

    Raises:
        RuntimeError: a process does not begin.
    """
    context = multiprocessing.get_context("spawn")
    started = [context.Event() for _ in range(count)]
    processes = [context.Process(target=_multiply, args=(event,), daemon=True) for event in started]
    try:
        for process in processes:
            process.start()
        if not all(event.wait(READY_SECONDS) for event in started):
            raise RuntimeError("a process that makes load did not begin")
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


@contextmanager
def before_others() -> Generator[None]:
    """Give this process the highest ordinary priority inside the block.

    Raises:
        PermissionError: the system allows that to nobody but root.
    """
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def may_go_first() -> bool:
    """Whether :func:`before_others` is allowed here."""
    try:
        with before_others():
            return True
    except PermissionError:
        return False


def _multiply(started: Event) -> None:
    import torch  # in the child

    torch.set_num_threads(1)
    matrix = torch.rand(512, 512)
    started.set()
    while True:
        torch.mm(matrix, matrix)

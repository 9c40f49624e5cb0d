"""One workflow at a time in a checkout, and nothing that a killed one left behind is still at work."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import psutil

from anytime_core.errors import InputError

MARK = "ANYTIME_WORKFLOW"
"""Environment variable of everything that a workflow starts: the checkout it is at work in."""

_SECONDS = 30.0  # for a run to finish its step and keep its state

_held: list[int] = []  # open until this process ends, however it ends: then the system lets the lock go


def begin_workflow(root: Path) -> int:
    """Claim a checkout for the workflow of this process, until the process ends, by ``kill -9`` too.

    Snakemake's own lock outlives a killed workflow, so that somebody has to know how to unlock; this one is the
    system's (flock) and does not. What a killed workflow started may live on, and train the same runs again: that is
    asked to stop, which keeps the state of its runs.

    Args:
        root: The checkout.

    Returns:
        How many processes of a killed workflow were stopped.

    Raises:
        InputError: another workflow is at work in the checkout.
        OSError: the folder ``build`` cannot be written.
    """
    path = root.resolve() / "build" / "workflow.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)  # Python's are not inherited: no child holds the lock
    if not _lock(handle):
        holder = os.read(handle, 200).decode(errors="replace").strip() or "process unknown"
        os.close(handle)
        raise InputError(
            f"workflow: expected to be the only one in {root.resolve()}, found another at work ({holder}); "
            "wait for its end or stop it"
        )
    _held.append(handle)
    os.ftruncate(handle, 0)
    os.write(handle, f"process {os.getpid()}, since {datetime.now():%Y-%m-%d %H:%M}\n".encode())
    stopped = _stop_orphans(str(path.parent.parent))
    os.environ[MARK] = str(path.parent.parent)
    return stopped


def _lock(handle: int) -> bool:
    """Take the lock of an open file, or say that another process has it."""
    try:
        import fcntl
    except ImportError:  # Windows: nobody is kept out
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop_orphans(root: str) -> int:
    """End all processes that a workflow in this checkout started; as the lock is ours, no such workflow lives."""
    own = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    orphans = [process for process in psutil.process_iter() if process.pid not in own and _mark(process) == root]
    for process in orphans:
        _signal(process, kill=False)
    end = time.monotonic() + _SECONDS
    while (left := [process for process in orphans if _lives(process)]) and time.monotonic() < end:
        time.sleep(0.1)
    for process in left:
        _signal(process, kill=True)
    return len(orphans)


def _lives(process: psutil.Process) -> bool:
    """Whether a process can still do anything: one whose end nobody has asked about (a zombie) cannot."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):  # gone, or another user's
        return None


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with suppress(psutil.Error):  # gone by itself
        process.kill() if kill else process.terminate()

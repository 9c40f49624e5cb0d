"""A whole study without a workflow engine: several runs side by side, each by a process of its own.

Small networks leave most of a processor or GPU idle, so a study is done sooner by runs side by side than by threads.
The processes stay for the whole study: starting one takes as long as a small run.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from anytime_core.errors import InputError
from anytime_study.foundations.validation import own_fault, require_folder
from anytime_study.runs.config import RunConfig
from anytime_study.training.interruption import AGAIN, Interrupted, stop_requests


@dataclass(frozen=True)
class Finished:
    """What became of one run.

    Attributes:
        config: The run.
        outcome: ``"finished"``, ``"diverged"``, ``"interrupted"`` (it goes on with the next call) or ``"failed"``.
        message: For people: a line that says what came out, or why nothing did.
    """

    config: RunConfig
    outcome: str
    message: str


def run_study(
    runs: Sequence[RunConfig],
    folder: Path,
    *,
    jobs: int = 1,
    rules: Mapping[str, str] | None = None,
    seconds: float | None = None,
    progress: bool = False,
) -> Iterator[Finished]:
    """Make the records of ``runs`` in ``folder``, ``jobs`` at a time; gives each as soon as it is known.

    A run that fails, or whose process is killed, does not stop the others. SIGTERM or Ctrl-C is passed on: every run
    keeps its state, and the next call goes on from there. So it is when the time is over: no run begins any more.

    Args:
        runs: Runs without a record.
        folder: For the records.
        jobs: Processes; each computes with the ``threads`` of its run.
        rules: For the records, see :class:`RunRecord`.
        seconds: Time after which to stop; None for no limit. Keeping the state takes a moment more.
        progress: Whether runs show a bar on standard error; those of several jobs would overwrite each other.

    Raises:
        InputError: ``jobs`` is below 1, or the folder cannot be written.
    """
    if jobs < 1:
        raise InputError(f"jobs: expected at least 1, found {jobs}")
    require_folder(folder, name="records_dir")
    end = None if seconds is None else time.monotonic() + seconds
    todo = list(reversed(runs))
    workers: dict[Connection, _Worker] = {}
    with stop_requests() as request:
        try:
            while todo or workers:
                if request.is_set() or (end is not None and time.monotonic() > end):
                    todo.clear()
                    for worker in workers.values():
                        worker.stop()
                while todo and len(workers) < jobs:
                    worker = _Worker(todo.pop(), folder, rules, progress)
                    workers[worker.link] = worker
                # Look at the request now and then: a signal does not end the wait.
                for link in wait(list(workers), timeout=0.5):
                    worker = workers.pop(link)  # ty: ignore[invalid-argument-type]
                    yield worker.finished()
                    if todo and worker.give(todo[-1]):
                        todo.pop()
                        workers[worker.link] = worker
                    else:
                        worker.end()
        finally:
            for worker in workers.values():
                worker.stop()


class _Worker:
    """A process that makes records one after another, and the run that it is at."""

    def __init__(self, config: RunConfig, *how: object) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process that has used CUDA or threads is broken
        self.link, theirs = context.Pipe()
        # Read before numeric libraries are loaded there, or each process starts threads for all cores.
        threads_before = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = str(config.threads)
        try:
            # no daemon, which could not start processes: a run may have several
            self.process: SpawnProcess = context.Process(target=_work, args=(theirs, *how))
            self.process.start()
        finally:
            if threads_before is None:
                del os.environ["OMP_NUM_THREADS"]
            else:
                os.environ["OMP_NUM_THREADS"] = threads_before
        theirs.close()
        self.stopping = False
        self.give(config)

    def give(self, config: RunConfig) -> bool:
        """Begin the next run; False if the process is gone."""
        self.config = config
        try:
            self.link.send(config)
        except OSError:
            return False
        return True

    def finished(self) -> Finished:
        """What became of the run, once the link has something to say."""
        try:
            outcome, message = self.link.recv()
        except (EOFError, OSError):
            self.process.join()
            outcome, message = "failed", f"its process ended with status {self.process.exitcode}"
            if self.stopping:
                outcome, message = "interrupted", "stopped before its first step"
        return Finished(self.config, outcome, message)

    def stop(self) -> None:
        """Ask the run at hand to keep its state and stop; once is enough."""
        if not self.stopping:
            self.stopping = True
            self.process.terminate()

    def end(self) -> None:
        """Let the process go; it ends when nothing more can come."""
        self.link.close()
        self.process.join()


def _work(link: Connection, folder: Path, rules: Mapping[str, str] | None, progress: bool) -> None:
    """What a worker process does: run after run, until the link is closed."""
    from anytime_study.training.checkpointed_run import run_to_record  # seconds of imports, once per process

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent passes it on as SIGTERM
    while True:
        try:
            config = link.recv()
        except EOFError:
            return
        try:
            record, _ = run_to_record(config, folder, rules=rules, progress=progress)
            answer = record.outcome, record.summary
        except Interrupted as error:
            answer = "interrupted", str(error)
        except Exception as error:  # whatever it is, the other runs go on, and the message tells
            answer = "failed", own_fault(error) or f"{type(error).__name__}: {error}"
        with suppress(OSError):  # nobody is there any more who could be told
            link.send(answer)
        if answer[0] == "interrupted":
            raise SystemExit(AGAIN)

"""Asked to stop, a run finishes its step, keeps its state, and says that it can go on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager

AGAIN = 75
"""Exit status that means "run the same command again": EX_TEMPFAIL of BSD's sysexits."""


class Interrupted(RuntimeError):
    """A run was asked to stop and has kept its state; the same call goes on from there."""


class ProcessFailed(RuntimeError):
    """One of the processes of a run failed; the message is one line, which ends with its error."""


class StopRequest:
    """Whether somebody has asked to stop.

    Attributes:
        made: True from the first request on.
    """

    def __init__(self) -> None:
        self.made = False


@contextmanager
def stop_requests() -> Generator[StopRequest]:
    """SIGTERM and SIGINT (Ctrl-C) become a request for as long as the context lasts; afterwards all is as before.

    Signals reach a process's main thread only: in any other thread the request is never made.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(_number: int, _frame: object) -> None:
        request.made = True

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_parent() -> None:
    """If the process that started this one is killed, SIGTERM comes here too: a run keeps its state and stops."""
    if parent := multiprocessing.parent_process():

        def wait_and_stop() -> None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=wait_and_stop, daemon=True).start()

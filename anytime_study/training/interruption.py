"""Asked to stop, a run finishes its step, keeps its state, and says that it can go on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager

AGAIN = 75
"""Exit status that means "run the same command again": EX_TEMPFAIL of BSD's sysexits."""


class Interrupted(RuntimeError):
    """A run was asked to stop and has kept its state; the same call goes on from there."""


@contextmanager
def stop_requests() -> Generator[threading.Event]:
    """SIGTERM and SIGINT (Ctrl-C) set the event for as long as the context lasts; afterwards all is as before.

    Signals reach a process's main thread only: in any other thread the event is never set.
    """
    request = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    numbers = signal.SIGTERM, signal.SIGINT
    before = {number: signal.signal(number, lambda *_: request.set()) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

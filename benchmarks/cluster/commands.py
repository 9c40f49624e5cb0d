"""Commands as a user starts them: their time, and the memory of their largest process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Run by a small process of its own: a process inherits the peak memory of the one that starts it.
_WITH_PEAK = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
with open(sys.argv[1], "w") as file:
    file.write(str(peak))
sys.exit(status if status >= 0 else 128 - status)
"""


@dataclass(frozen=True)
class Ended:
    """A command that came to its end.

    Attributes:
        seconds: It took this long.
        peak_mb: Largest resident memory of the process or of one that it waited for, in megabytes.
        status: Exit status; 128 and the signal's number if a signal ended it.
        output: What it wrote.
    """

    seconds: float
    peak_mb: float
    status: int
    output: str


def environment(cache: Path, **more: str) -> dict[str, str]:
    """As a user has it: with the programs of this Python, and with compiled modules kept, here in ``cache``."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    given = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**given, "PATH": programs, "PYTHONPYCACHEPREFIX": str(cache), **more}


def run(
    command: Sequence[str], *, folder: Path, env: Mapping[str, str], log: Path, limit_s: float | None = None
) -> Ended | None:
    """Run a command with its output in ``log``; None if it was ended after ``limit_s`` seconds."""
    start = time.perf_counter()
    peak = log.with_name(f"{log.name}.peak")
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", _WITH_PEAK, str(peak), *command],
            cwd=folder,
            env=dict(env),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        status = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # the session that was started above
            process.wait()
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    return Ended(seconds, int(peak.read_text()) * unit / 1e6, status, log.read_text(errors="replace"))

"""Where a record comes from: versions, commit, machine."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from anytime_core import __version__
from anytime_core.inference.latency import device_name

# What decides a run's numbers. Records, pages and prose are left out: making them does not make the code dirty.
_CODE = ["anytime_core", "anytime_study", "notebooks", "workflow", "pyproject.toml", "requirements.lock"]


class Provenance(BaseModel):
    """Where and with what a run was made. It never changes what the run is.

    Attributes:
        package: Version of anytime_core.
        commit: Git commit of the code, None outside a checkout.
        dirty: Whether code differed from that commit (generated files do not count), None outside a checkout.
        torch: Version of PyTorch.
        python: Version of Python.
        platform: Operating system and processor type.
        device: Name of the processor or GPU that computed.
        threads: CPU threads PyTorch used.
        compiled: Whether torch.compile was at work; False too where it was asked for and there is no C++ compiler.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str
    commit: str | None
    dirty: bool | None
    torch: str
    python: str
    platform: str
    device: str
    threads: int
    compiled: bool = False


def provenance(device: torch.device, *, compiled: bool = False) -> Provenance:
    """Describe this process computing on ``device``."""
    changes = _git("status", "--porcelain", "--", *_CODE)
    return Provenance(
        package=__version__,
        commit=_git("rev-parse", "HEAD") or None,
        dirty=None if changes is None else bool(changes),
        torch=torch.__version__,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        device=device_name(device),
        threads=torch.get_num_threads(),
        compiled=compiled,
    )


def _git(*arguments: str) -> str | None:
    """Output of a git command in the package's checkout; None without git or outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parents[2]), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None

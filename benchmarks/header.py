"""The header of a result file: hardware, versions, load."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Literal

import torch

from anytime_study.foundations.provenance import provenance
from benchmarks.reports import Device, Made

_BF16 = ("avx512_bf16", "amx_bf16", "amx_tile")


def bf16_features() -> list[str]:
    """What this processor has for arithmetic in bfloat16; nothing where the system does not tell."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return []
    flags = next((line.split() for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), [])
    return [feature for feature in _BF16 if feature in flags]


def describe_device(kind: Literal["cpu", "cuda"], cores: int) -> Device:
    """The hardware of this process."""
    cpu = provenance(torch.device("cpu")).device
    name = provenance(torch.device("cuda")).device if kind == "cuda" else cpu
    return Device(
        name=name, kind=kind, cpu=cpu or platform.machine() or "unknown", cores=cores, features=bf16_features()
    )


def load_average() -> float | None:
    """Processes that wanted to run, mean of the last minute; None where the system does not tell."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def made(*, threads: int, load: float | None, seconds: float, setting: str) -> Made:
    """When and with what a row was measured.

    Args:
        threads: CPU threads.
        load: Load average at the start: the measurement itself raises it.
        seconds: How long it took.
        setting: For people: network, data and batch.
    """
    where = provenance(torch.device("cpu"))
    return Made(
        package=where.package,
        commit=where.commit,
        dirty=where.dirty,
        torch=where.torch,
        python=where.python,
        platform=where.platform,
        threads=threads,
        load_average=load,
        seconds=seconds,
        setting=setting,
    )

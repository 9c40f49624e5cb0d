"""Peak memory, a fresh process for each measurement."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from anytime_study.training.compilation import can_compile
from benchmarks.ratios import comparison
from benchmarks.rows import Found
from benchmarks.settings import Settings

ROOT = Path(__file__).parents[2]
NAMES = {
    "plain": "plain loop, 0 workers",
    "fp32": "package, fp32",
    "bf16": "package, bf16",
    "compiled": "package, compiled",
    "evaluation": "evaluation, fp32",
    "data": "libraries and images only",
}


def measure(settings: Settings) -> Found:
    """Peak of resident memory (on a GPU: of tensors); unit MiB, so a ratio below 1 is less than the plain loop's.

    The compiler works in the process that it compiles for, so its own memory counts there.
    """
    variants = ["plain", *dict.fromkeys(["fp32", settings.precision]), "evaluation", "data"]
    variants = settings.pick(variants, ["plain", "fp32"])
    if not settings.quick and can_compile():
        variants.insert(-2, "compiled")
    found: dict[str, list[float]] = {NAMES[variant]: [] for variant in variants}
    for _ in range(settings.pick(2, 1)):
        for variant in variants:
            found[NAMES[variant]].append(peak_mib(settings, variant))
    return Found({"peak": comparison("peak memory", "MiB", NAMES["plain"], found)})


def peak_mib(settings: Settings, variant: str) -> float:
    """Peak memory of a fresh process that does ``variant``, in MiB.

    Raises:
        RuntimeError: the process failed.
    """
    text = json.dumps({**asdict(settings), "variant": variant})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory_probe", text], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"memory of {variant}: the process failed: {done.stderr[-500:]}")
    return float(done.stdout.split()[-1])

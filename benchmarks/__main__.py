"""The command ``python -m benchmarks``: measure rows and keep them in the device's report."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import tyro

from anytime_core.errors import InputError
from anytime_study.datasets import DatasetError
from anytime_study.foundations.provenance import provenance
from benchmarks.machine import Settings, cores, describe_device
from benchmarks.peers import Absent
from benchmarks.report import Report, Row, load_report

RowName = Literal["weightings", "exits", "stopping", "deadlines", "confidence", "msdnet_pytorch", "torchjd", "earlyon"]
MODULES = {"weightings": "training", "exits": "training", "confidence": "stopping"}  # else that of the row's name
MODULES |= {"msdnet_pytorch": "peers.msdnet", "torchjd": "peers.scalarizers", "earlyon": "peers.earlyon"}
ON_ONE_THREAD = ("stopping", "deadlines", "confidence", "torchjd", "earlyon")
RESULTS = Path(__file__).parent / "results"
TRIED = Path(__file__).parents[1] / "build" / "benchmarks"  # quick numbers mean nothing: they are not kept


def measure(
    rows: tuple[RowName, ...] = (),
    quick: bool = False,
    out: Path | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    threads: int = 0,
    msdnet: Path | None = None,
) -> None:
    """Measure, and write the report of this device; rows that are not measured now stay as they are in it.

    The whole takes half an hour on two cores. Leave the machine alone meanwhile.

    Args:
        rows: What to measure; everything if left out. Other libraries that are not here are left out.
        quick: Shrink everything, to try the machinery; the numbers mean nothing.
        out: The file, instead of benchmarks/results/<device>.json (build/benchmarks/<device>.json if quick).
        device: Where to compute.
        threads: CPU threads of training; 0 takes as many as there are cores.
        msdnet: A clone of github.com/kalviny/MSDNet-PyTorch, for the row msdnet_pytorch.
    """
    # torch.utils.benchmark looks for a CUDA toolkit; that there is none is no news
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    if threads < 0:
        raise InputError(f"threads: expected 0 or more, found {threads}")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: expected a CUDA device, found none")
    settings = Settings(quick=quick, device=device, threads=threads or cores(), msdnet=msdnet)
    here = describe_device(device)
    path = out or (TRIED if quick else RESULTS) / f"{here.slug}.json"
    report = load_report(path) if path.exists() else Report(device=here, quick=quick, rows={})
    if (report.device, report.quick) != (here, quick):
        raise InputError(f"out: expected a file of {here.name} with quick={quick}, found another one in {path}")
    for name in rows or get_args(RowName):
        try:
            report = report.model_copy(update={"rows": {**report.rows, name: measured(name, settings)}})
        except Absent as absent:
            sys.stdout.write(f"{name}: left out; {absent}\n")
            continue
        report.save(path)  # after every row: what is measured is kept, whatever happens to the next
        sys.stdout.write(f"{name}: {report.rows[name].seconds:.0f} s\n")
        sys.stdout.flush()
    sys.stdout.write(f"{path}\n")


def measured(name: RowName, settings: Settings) -> Row:
    """One row, with what it was made with."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    start = time.perf_counter()
    module = importlib.import_module(f"benchmarks.{MODULES.get(name, name)}")
    found: dict[str, Any] = getattr(module, name)(settings)
    seconds = time.perf_counter() - start
    threads = 1 if name in ON_ONE_THREAD else settings.threads
    made = provenance(torch.device(settings.device)).model_copy(update={"threads": threads})
    return Row.model_validate(
        {"made": made, "load_average": load, "seconds": seconds, "setting": settings.text, **found}
    )


def main() -> None:
    """Run the command; bad input is one line and exit status 1, without a traceback."""
    try:
        tyro.cli(measure, prog="python -m benchmarks")
    except (InputError, DatasetError, OSError) as error:
        sys.stderr.write(f"benchmarks: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()

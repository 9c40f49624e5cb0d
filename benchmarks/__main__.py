"""The command ``python -m benchmarks``: measure rows and keep them in the device's report."""

from __future__ import annotations

import importlib
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from anytime_core.errors import InputError
from benchmarks.report import Device, Report, Row, load_report

if TYPE_CHECKING:
    from benchmarks.machine import Settings

RowName = Literal["training", "weightings", "exits", "cuda_graph", "stopping", "deadlines", "confidence"]
ROWS: dict[RowName, str] = {  # the module of each row's function, which has the row's name
    "training": "training",
    "weightings": "training",
    "exits": "training",
    "cuda_graph": "cuda_graph",
    "stopping": "stopping",
    "deadlines": "deadlines",
    "confidence": "stopping",
}
ON_ONE_THREAD = ("stopping", "deadlines", "confidence")
RESULTS = Path(__file__).parent / "results"
TRIED = Path(__file__).parents[1] / "build" / "benchmarks"  # quick numbers mean nothing: they are not kept


def measure(
    rows: tuple[RowName, ...] = (),
    quick: bool = False,
    out: Path | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    threads: int = 0,
) -> None:
    """Measure, and write the report of this device; rows that are not measured now stay as they are in it.

    The whole takes half an hour on two cores. Leave the machine alone meanwhile.

    Args:
        rows: What to measure; everything that the device can do if left out.
        quick: Shrink everything, to try the machinery; the numbers mean nothing.
        out: The file, instead of benchmarks/results/<device>.json (build/benchmarks/<device>.json if quick).
        device: Where to compute.
        threads: CPU threads of training; 0 takes as many as there are cores.
    """
    # torch.utils.benchmark looks for a CUDA toolkit; that there is none is no news
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    import torch  # seconds that --help does without

    from benchmarks.machine import Settings, cores, describe_device

    if threads < 0:
        raise InputError(f"threads: expected 0 or more, found {threads}")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: expected a CUDA device, found none")
    possible = tuple(row for row in ROWS if device == "cuda" or row != "cuda_graph")
    if impossible := set(rows).difference(possible):
        raise InputError(f"rows: expected --device cuda with {', '.join(impossible)}, found cpu")
    settings = Settings(quick=quick, device=device, threads=threads or cores())
    here = describe_device(device)
    path = out or (TRIED if quick else RESULTS) / f"{here.slug}.json"
    report = earlier(path, here, quick)  # before anything is measured: a bad file shows now
    for name in rows or possible:
        report = report.model_copy(update={"rows": {**report.rows, name: measured(name, settings)}})
        report.save(path)  # after every row: what is measured is kept, whatever happens to the next
        sys.stdout.write(f"{name}: {report.rows[name].made.seconds:.0f} s\n")
        sys.stdout.flush()
    sys.stdout.write(f"{path}\n")


def earlier(path: Path, device: Device, quick: bool) -> Report:
    """What the file holds of this device, or an empty report.

    Raises:
        InputError: it is damaged, of another device, or quick where this is not (or the other way round).
    """
    if not path.exists():
        return Report(device=device, quick=quick, rows={})
    report = load_report(path)
    if report.device != device or report.quick != quick:
        raise InputError(
            f"out: expected a file of {device.name} with quick={quick}, "
            f"found {path} of {report.device.name} with quick={report.quick}"
        )
    return report


def measured(name: RowName, settings: Settings) -> Row:
    """One row, with what it was made with."""
    from benchmarks.machine import load_average, made

    load, start = load_average(), time.perf_counter()
    found: dict[str, Any] = getattr(importlib.import_module(f"benchmarks.{ROWS[name]}"), name)(settings)
    threads = 1 if name in ON_ONE_THREAD else settings.threads
    how = made(threads, load, time.perf_counter() - start)
    return Row.model_validate({"setting": settings.text, **found, "made": how})


def main() -> None:
    """Run the command; bad input is one line and exit status 1, without a traceback."""
    try:
        tyro.cli(measure, prog="python -m benchmarks")
    except (InputError, OSError) as error:
        sys.stderr.write(f"benchmarks: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()

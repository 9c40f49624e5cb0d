"""The command ``python -m benchmarks``: measure rows and keep them in the device's result file."""

from __future__ import annotations

import importlib
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

import tyro

from anytime_core.errors import InputError
from anytime_study.datasets import DatasetError
from benchmarks.reports import Device
from benchmarks.results import Report, Row, load_report
from benchmarks.rows import ROWS, RowName

if TYPE_CHECKING:
    from benchmarks.settings import Settings

RESULTS = Path(__file__).parent / "results"
TRIED = Path(__file__).parents[1] / "build" / "benchmarks"  # quick numbers mean nothing: they are not kept


def measure(
    rows: tuple[RowName, ...] = ROWS,
    quick: bool = False,
    out: Path | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int = 0,
) -> None:
    """Measure, and write the result file of this device; rows that are not measured now stay as they are in it.

    The whole takes 10 to 20 minutes on two cores. Leave the machine alone meanwhile.

    Args:
        rows: What to measure.
        quick: Shrink everything, to try the machinery; the numbers mean nothing.
        out: The file, instead of benchmarks/results/<device>.json (build/benchmarks/<device>.json if quick).
        device: Where to compute; auto takes a CUDA device if there is one.
        threads: CPU threads; 0 takes as many as there are cores.
    """
    # torch.utils.benchmark looks for a CUDA toolkit; that there is none is no news
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    import torch  # seconds that --help does without

    from benchmarks.header import describe_device
    from benchmarks.settings import Settings, cores

    if threads < 0:
        raise InputError(f"threads: expected 0 or more, found {threads}")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: expected a CUDA device, found none")
    kind: Literal["cpu", "cuda"] = "cpu" if device == "cpu" or not torch.cuda.is_available() else "cuda"
    settings = Settings(quick=quick, device=kind, threads=threads or cores())
    here = describe_device(kind, cores())
    path = out or (TRIED if quick else RESULTS) / f"{here.slug}.json"
    report = earlier(path, here, quick)  # before anything is measured: a bad file shows now
    for name in rows:
        report = report.with_rows({name: measured(name, settings)})
        report.save(path)  # after every row: what is measured is kept, whatever happens to the next
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


def measured(name: str, settings: Settings) -> Row:
    """One row, with what it was made with."""
    from benchmarks.header import load_average, made

    load, start = load_average(), time.perf_counter()
    found = importlib.import_module(f"benchmarks.rows.{name}").measure(settings)
    seconds = time.perf_counter() - start
    sys.stdout.write(f"{name}: {seconds:.0f} s\n")
    sys.stdout.flush()
    return Row(
        made=made(threads=settings.threads, load=load, seconds=seconds, setting=settings.text),
        comparisons=found.comparisons,
        facts=found.facts,
    )


def main() -> None:
    """Run the command; bad input is one message and exit status 1, without a traceback."""
    try:
        tyro.cli(measure, prog="python -m benchmarks")
    except (InputError, DatasetError) as error:
        _stop(error)
    except OSError as error:
        _stop(f"{error.filename}: {error.strerror}")


def _stop(reason: object) -> NoReturn:
    sys.stderr.write(f"benchmarks: {reason}\n")
    raise SystemExit(1) from None


if __name__ == "__main__":
    main()

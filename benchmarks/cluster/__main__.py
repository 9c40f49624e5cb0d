"""The command ``python -m benchmarks.cluster``: how long the workflow plans, by the number of runs."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import tyro
import yaml

from anytime_core.errors import InputError
from benchmarks.cluster.commands import environment, run
from benchmarks.cluster.report import Command, Sizes, StudySize, keep

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "cluster"


def measure(
    runs: tuple[int, ...] = (10, 1000, 10_000),
    repeats: int = 3,
    limit: float = 600.0,
    out: Path | None = None,
) -> None:
    """Measure, and write the file of this device. Leave the machine alone meanwhile.

    Studies of digits that have no record are made up; nothing is trained. Beyond 1 000 runs a command is run once.

    Args:
        runs: Sizes of the studies.
        repeats: Of each command, up to 1 000 runs.
        limit: Seconds after which a command is given up.
        out: Folder of the file, instead of benchmarks/results/cluster.
    """
    from benchmarks.header import describe_device, load_average, made
    from benchmarks.settings import cores

    if repeats < 1 or min(runs, default=0) < 1 or not limit > 0:
        raise InputError("expected repeats and runs from 1 on, and a limit above 0")
    load, start = load_average(), time.perf_counter()
    studies = []
    with tempfile.TemporaryDirectory() as folder:
        for number in (1, *sorted(runs)):  # the first compiles all modules, and does not count
            found = planned(number, Path(folder), repeats if number <= 1000 else 1, limit)
            sys.stdout.write(f"{found}\n")
            sys.stdout.flush()
            studies.append(found)
    sizes = Sizes(
        made=made(threads=1, load=load, seconds=time.perf_counter() - start, setting="digits, no records"),
        limit_s=limit,
        studies=studies[1:],
    )
    sys.stdout.write(f"{keep(out or RESULTS, describe_device('cpu', cores()), {'sizes': sizes})}\n")


def planned(runs: int, folder: Path, repeats: int, limit: float) -> StudySize:
    """Plan a study of so many runs, and list it."""
    study = folder / f"study{runs}.yaml"
    content = {
        "title": f"{runs} runs",
        "tier": "quick",
        "committed": False,
        "common": {"dataset": "digits", "train_size": 111, "batch_size": 32},  # in no study: no records
        "grids": [{"seed": list(range(runs))}],
    }
    study.write_text(yaml.safe_dump(content))
    plan = ("snakemake", "study", "--config", f"study={study}", "--dry-run", "--quiet", "all")
    return StudySize(
        runs=runs,
        plan=_timed(plan, folder, repeats, limit),
        listing=_timed(("anytime", "study", str(study)), folder, repeats, limit),
    )


def _timed(command: tuple[str, ...], folder: Path, repeats: int, limit: float) -> Command | None:
    env = environment(folder / "pycache", PYTHONPATH=str(ROOT))
    found = []
    for _ in range(repeats):
        ended = run(command, folder=ROOT, env=env, log=folder / "log", limit_s=limit)
        if ended is None:
            return None
        if ended.status:
            raise InputError(f"{' '.join(command)}: ended with status {ended.status}\n{ended.output[-2000:]}")
        found.append(ended)
    return Command(seconds=[end.seconds for end in found], peak_mb=max(end.peak_mb for end in found))


def main() -> None:
    """Run the command; bad input is one message and exit status 1, without a traceback."""
    try:
        tyro.cli(measure, prog="python -m benchmarks.cluster")
    except InputError as error:
        sys.stderr.write(f"benchmarks.cluster: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()

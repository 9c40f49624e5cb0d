"""The command ``anytime``: what the notebooks and the workflow do, from a shell."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, NoReturn

import tyro
from pydantic import ValidationError
from tyro.extras import SubcommandApp

from anytime_core.claims import load_claims
from anytime_core.config import RunConfig
from anytime_core.datasets import DatasetError, fetch
from anytime_core.interruption import AGAIN, Interrupted
from anytime_core.publishing import PublishError, publish
from anytime_core.records import load_outcome
from anytime_core.study import load_study
from anytime_core.study_runner import run_study
from anytime_core.validation import InputError, explain

app = SubcommandApp()


@app.command(name="train")
def _train(
    config: Annotated[RunConfig, tyro.conf.arg(name="")], records_dir: Path = Path("data/records/local")
) -> None:
    """Train one network and write its record.

    Exit status 75 means that it was asked to stop: the same command goes on from there.

    Args:
        config: The run.
        records_dir: Folder for the record.
    """
    from anytime_core.runs import run_to_record  # seconds of imports that other commands do without

    record, path = run_to_record(config, records_dir, rules=load_claims().rules)
    print(path)
    if record.outcome == "diverged":
        _stop(record.reason)


@app.command(name="study")
def _study(file: tyro.conf.Positional[Path], jobs: int = 0, records_dir: Path | None = None) -> None:
    """List the runs of a study, or make those that have no record.

    Exit status 75 means that it was asked to stop: the same command goes on from there.

    Args:
        file: A study file, such as workflow/studies/quick.yaml.
        jobs: Runs side by side; 0 only lists them.
        records_dir: Folder of the records instead of the study's own.
    """
    study, runs = load_study(file)
    folder = study.records if records_dir is None else records_dir
    todo = [config for config in runs if not (folder / f"{config.name}.json").exists()]
    if jobs == 0:
        for config in runs:
            print(f"{'to do' if config in todo else 'made':6} {config.name}")
    print(f"{study.title}: {len(runs)} runs, {len(runs) - len(todo)} with a record")
    if jobs and todo:
        _run(todo, folder, jobs, load_claims().rules)


def _run(todo: list[RunConfig], folder: Path, jobs: int, rules: dict[str, str]) -> None:
    start = time.perf_counter()
    outcomes: Counter[str] = Counter()
    for number, done in enumerate(run_study(todo, folder, jobs=jobs, rules=rules), start=1):
        outcomes[done.outcome] += 1
        print(f"[{number}/{len(todo)}] {done.outcome} {done.config.name}: {done.message}", flush=True)
    told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    print(f"{told}; {time.perf_counter() - start:.0f} s with {jobs} jobs")
    if outcomes["failed"]:
        raise SystemExit(1)
    if outcomes["interrupted"]:
        raise SystemExit(AGAIN)


@app.command(name="fetch")
def _fetch(dataset: tyro.conf.Positional[str]) -> None:
    """Download a data set unless it is there, and verify it.

    Args:
        dataset: Name of the data set.
    """
    try:
        print(fetch(dataset))
    except ValueError as error:  # no such data set
        _stop(error)


@app.command(name="compare")
def _compare(first: tyro.conf.Positional[Path], second: tyro.conf.Positional[Path]) -> None:
    """Tell whether two folders hold the same records up to timings and provenance; exit status 1 if not.

    Args:
        first: A folder of records.
        second: Another one.
    """
    names = sorted({path.name for folder in (first, second) for path in folder.glob("*.json")})
    if not names:
        raise InputError(f"no records in {first} and {second}")
    different = 0
    for name in names:
        if not all((folder / name).exists() for folder in (first, second)):
            print(f"only in one folder: {name}")
        elif load_outcome(first / name).results() != load_outcome(second / name).results():
            print(f"different: {name}")
        else:
            continue
        different += 1
    print(f"{len(names) - different} of {len(names)} records are the same")
    if different:
        raise SystemExit(1)


@app.command(name="publish")
def _publish(executed: tyro.conf.Positional[Path], page: tyro.conf.Positional[Path], title: str | None = None) -> None:
    """Turn an executed notebook into a page of the book.

    Args:
        executed: Notebook that papermill has run.
        page: Where the page goes.
        title: Heading of the page instead of the notebook's own.
    """
    publish(executed, page, title=title)


def main() -> None:
    """Run the command; bad input is one message and exit status 1, without a traceback."""
    try:
        app.cli(prog="anytime", description="Anytime neural networks with adaptive loss balancing.")
    except ValidationError as error:  # only the arguments of `train` make a RunConfig here
        _stop(explain(error, RunConfig, where="arguments"))
    except (InputError, DatasetError, PublishError) as error:
        _stop(error)
    except Interrupted as error:
        print(f"anytime: {error}", file=sys.stderr)
        raise SystemExit(AGAIN) from None
    except OSError as error:
        _stop(f"{error.filename}: {error.strerror}")


def _stop(reason: object) -> NoReturn:
    print(f"anytime: {reason}", file=sys.stderr)
    raise SystemExit(1) from None


if __name__ == "__main__":
    main()

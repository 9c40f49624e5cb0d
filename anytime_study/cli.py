"""The command ``anytime``: what the notebooks and the workflow do, from a shell."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import tyro
from pydantic import ValidationError
from tyro.extras import SubcommandApp

from anytime_core.errors import InputError
from anytime_core.files import atomic_write
from anytime_study.analysis.claims import load_claims
from anytime_study.datasets import DatasetError, fetch
from anytime_study.foundations.validation import explain
from anytime_study.pages.publishing import PublishError, publish
from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import load_outcome
from anytime_study.studies.runner import run_study
from anytime_study.studies.study import has_record, load_study
from anytime_study.training.interruption import AGAIN, Interrupted

app = SubcommandApp()


@app.command(name="train")
def _train(
    config: Annotated[RunConfig, tyro.conf.arg(name="")],
    records_dir: Path = Path("data/records/local"),
    model_dir: Path | None = None,
) -> None:
    """Train one network and write its record.

    Exit status 75 means that it was asked to stop: the same command goes on from there.

    Args:
        config: The run.
        records_dir: Folder for the record.
        model_dir: Folder for the trained network too, as `anytime predict` reads it.
    """
    from anytime_study.training.kept_run import run_to_record  # seconds of imports that other commands do without

    record, path = run_to_record(config, records_dir, rules=load_claims().rules, model_dir=model_dir)
    print(path)
    if record.outcome == "diverged":
        _stop(record.reason)


@app.command(name="study")
def _study(
    file: tyro.conf.Positional[Path], jobs: int = 0, records_dir: Path | None = None, minutes: float | None = None
) -> None:
    """List the runs of a study, or make those that have no record.

    Exit status 75 means that it was asked to stop, or that the minutes are over: the same command goes on from there.

    Args:
        file: A study file, such as workflow/studies/quick.yaml.
        jobs: Runs side by side; 0 only lists them.
        records_dir: Folder of the records instead of the study's own.
        minutes: Stop after this time; the runs at hand keep their state.
    """
    if minutes is not None and not minutes > 0:
        raise InputError(f"bad arguments: minutes: expected above 0, found {minutes:g}")
    study, runs = load_study(file)
    folder = study.records if records_dir is None else records_dir
    made = {config.name for config in runs if has_record(config, folder)}
    todo = [config for config in runs if config.name not in made]
    if jobs == 0:
        for config in runs:
            print(f"{'made' if config.name in made else 'to do':6} {config.name}")
    print(f"{study.title}: {len(runs)} runs, {len(runs) - len(todo)} with a record")
    if jobs and todo:
        _run(todo, folder, jobs, load_claims().rules, minutes)


def _run(todo: list[RunConfig], folder: Path, jobs: int, rules: dict[str, str], minutes: float | None) -> None:
    start = time.perf_counter()
    outcomes: Counter[str] = Counter()
    seconds = None if minutes is None else 60 * minutes
    for number, done in enumerate(run_study(todo, folder, jobs=jobs, rules=rules, seconds=seconds), start=1):
        outcomes[done.outcome] += 1
        print(f"[{number}/{len(todo)}] {done.outcome} {done.config.name}: {done.message}", flush=True)
    not_begun = len(todo) - outcomes.total()
    told = [f"{count} {outcome}" for outcome, count in outcomes.items()] + [f"{not_begun} not begun"] * (not_begun > 0)
    print(f"{', '.join(told)}; {time.perf_counter() - start:.0f} s with {jobs} jobs")
    if outcomes["failed"]:
        raise SystemExit(1)
    if outcomes["interrupted"] or not_begun:
        raise SystemExit(AGAIN)


@app.command(name="study-cost")
def _study_cost(
    files: tyro.conf.Positional[tuple[Path, ...]],
    rate: float | None = None,
    device: Literal["auto", "cpu", "cuda"] | None = None,
) -> None:
    """Tell what studies cost before they are started: runs, multiply-adds, images scored, and hours.

    Hours are multiply-adds over one rate. Unless it is given, training steps of the costliest run are timed for three
    seconds, on random images. Leave the machine alone meanwhile.

    Args:
        files: Study files; a run that several of them share counts once.
        rate: Multiply-adds per second of one process.
        device: Time on this device instead of the run's own.
    """
    if rate is not None and not rate > 0:
        raise InputError(f"bad arguments: rate: expected above 0, found {rate:g}")
    runs: dict[Path, tuple[RunConfig, bool]] = {}
    for file in files:
        study, configs = load_study(file)
        for config in configs:
            runs.setdefault(study.records / f"{config.name}.json", (config, has_record(config, study.records)))
        print(f"{study.title} ({study.tier}): {len(configs)} runs", flush=True)
    if not runs:
        raise InputError("bad arguments: files: expected at least one study, found none")
    from anytime_study.studies.cost import cost_table, duration, measure_rate, run_macs  # pandas, for this command only

    if rate is None:
        costliest = max((config for config, _ in runs.values()), key=run_macs)
        print(f"timing {costliest.network} on images of {costliest.dataset}", file=sys.stderr, flush=True)
        rate = measure_rate(costliest if device is None else costliest.model_copy(update={"device": device}))
    table = cost_table(list(runs.values()), rate)
    totals = table[["training MACs", "hours", "hours left"]].sum()
    hours = dict.fromkeys(("hours", "hours left"), duration)
    print(table.to_string(index=False, formatters={"training MACs": "{:.2e}".format, **hours}))
    print(
        f"all runs: {totals['training MACs']:.2e} MACs, {duration(totals['hours'])} one after the other; without a "
        f"record: {duration(totals['hours left'])}; at {rate:.2e} multiply-adds per second"
    )


@app.command(name="ledger")
def _ledger(tier: Literal["quick", "laptop", "cifar", "paper"] = "laptop", records_dir: Path | None = None) -> None:
    """Judge the papers' claims by the records of a tier, as data/claims.yaml says.

    Args:
        tier: Whose studies and records.
        records_dir: Folder of the records instead of the tier's own.
    """
    from anytime_study.analysis.ledger import ledger, ledger_lines  # SciPy and pandas, for this command only

    for line in ledger_lines(ledger(tier, records=records_dir)):
        print(line)


@app.command(name="predict")
def _predict(
    image: tyro.conf.Positional[Path],
    model: Path,
    deadline: str | None = None,
    exit: int | None = None,
    macs: float | None = None,
    confidence: float | None = None,
    threads: int = 1,
    measure: bool = False,
) -> None:
    """Name what is on an image, under one limit: a deadline, an exit, a budget or a confidence.

    The image is turned upright, made grey or coloured as the network needs, and its middle is scaled to the network's
    size. Its levels stay: the garments of Fashion-MNIST are bright on black, and a dark one on a white background is
    not inverted. The clock starts when the model and the image are loaded and the network has been warmed up.

    Args:
        image: File of an image, such as PNG or JPEG.
        model: Folder of a trained network, as `anytime train --model-dir` writes it.
        deadline: Time for the answer, such as 2ms or 0.002 (seconds).
        exit: Answer at this exit, from 1.
        macs: Multiply-adds for the answer.
        confidence: Stop at the first exit that is as sure, from 0 to 1.
        threads: CPU threads.
        measure: First measure this device, for a minute or less, and keep the times in the model's card.
    """
    from anytime_study.prediction import Limits, predict_file  # PyTorch, which other commands do without

    limits = Limits(deadline=deadline, exit=exit, macs=macs, confidence=confidence)
    answer = predict_file(image, model, limits, threads=threads, measure=measure)
    print("\n".join(answer.lines()))
    if answer.note:
        print(f"anytime: {answer.note}", file=sys.stderr)


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


@app.command(name="record")
def _record(
    action: tyro.conf.Positional[Literal["check", "merge", "table"]],
    folders: tyro.conf.Positional[tuple[Path, ...]],
    out: Path | None = None,
) -> None:
    """Look after folders of records, of one machine or of many.

    `check` verifies every record, where it comes from, and that no run is there twice with different results; exit
    status 1 if something is wrong. `merge` copies into the folder `out` what that lacks. `table` writes all records to
    the Parquet file `out`, a row per run and exit.

    Args:
        action: What to do.
        folders: Folders of records; those in them count too.
        out: For merge and table.
    """
    from anytime_study.runs.folders import check_records, merge_records, records_table

    if not folders:
        raise InputError("bad arguments: folders: expected at least one, found none")
    if (action == "check") != (out is None):
        expected = "nothing, for check writes nothing" if action == "check" else "where to write"
        raise InputError(f"bad arguments: out: expected {expected}, found {out}")
    if action == "check":
        found = check_records(folders)
        print("\n".join(found.lines()))
        if found.problems:
            raise SystemExit(1)
    elif out is not None and action == "merge":
        copied, others = merge_records(folders, out)
        print(f"{copied} records copied to {out}")
        if others:
            _stop(f"{out} holds these runs with other results, and keeps them: {', '.join(map(str, others))}")
    elif out is not None:
        table = records_table(folders)
        atomic_write(out, table.to_parquet(index=False))
        print(f"{out}: {len(table)} rows of {table['run'].nunique()} runs")


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

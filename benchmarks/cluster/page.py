"""What the chapter *Beyond one machine* says of the measurements, as tables and sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import pandas as pd

from anytime_study.runs.record import RunRecord
from anytime_study.studies.cost import training_macs
from anytime_study.studies.study import load_study
from benchmarks.cluster.report import Command, SlurmTrial, StudySize

COUNTS = (10, 1_000, 100_000)
"""Runs of the studies that the chapter speaks of."""


def execution_table(trial: SlurmTrial) -> pd.DataFrame:
    """A row per way to run the same study: seconds in all, and for each run the place it took and what was training."""
    return pd.DataFrame(
        [
            {
                "runs made by": name,
                "runs": way.runs,
                "side by side": way.side_by_side,
                "in all (s)": way.seconds,
                "a place, per run (s)": way.seconds_per_run,
                "training, per run (s)": way.seconds_per_run - way.overhead_s,
                "overhead, per run (s)": way.overhead_s,
            }
            for name, way in trial.executions.items()
        ]
    )


def overhead_table(trial: SlurmTrial, counts: Sequence[int] = COUNTS) -> pd.DataFrame:
    """A row per way and a column per number of runs: hours of one place that are overhead, if it stays as it was."""
    rows = [
        {"runs made by": name, **{f"{count:,} runs (h)": count * way.overhead_s / 3600 for count in counts}}
        for name, way in trial.executions.items()
    ]
    return pd.DataFrame(rows)


def planning_table(studies: Sequence[StudySize], counts: Sequence[int] = COUNTS) -> pd.DataFrame:
    """A row per number of runs: seconds until the first run could begin, and memory, measured or continued.

    Continued means: on the straight line through the two largest measured studies.
    """
    found = {"workflow": _points(studies, "plan"), "listing": _points(studies, "listing")}
    rows = []
    for count in sorted({*counts, *(study.runs for study in studies)}):
        row: dict[str, object] = {"runs": f"{count:,}"}
        for what, points in found.items():
            for place, unit in enumerate(("s", "MB")):
                row[f"{what} ({unit})"] = _value(points, count, place)
        rows.append(row)
    return pd.DataFrame(rows)


def planning_per_run(studies: Sequence[StudySize]) -> float:
    """Milliseconds that one more run adds to the workflow's planning, between the two largest measured studies."""
    return 1000 * _slope(_points(studies, "plan"), 0)


def throughput(records: Iterable[RunRecord]) -> pd.DataFrame:
    """A row per device: runs, and the median of their multiply-adds in training per second and process."""
    table = pd.DataFrame(
        [(record.provenance.device, training_macs(record.config) / record.timing.seconds) for record in records],
        columns=["device", "rate"],
    )
    grouped = table.groupby("device")["rate"].agg(["count", "median"]).reset_index()
    return grouped.set_axis(["device", "runs", "multiply-adds per second"], axis=1)


def tier_table(files: Sequence[Path], rates: pd.DataFrame) -> pd.DataFrame:
    """A row per study: runs, multiply-adds of training, and hours of one process at each device's measured rate.

    A run that several studies share counts in the first.
    """
    rows, seen = [], set()
    for file in files:
        study, configs = load_study(file)
        new = [config for config in configs if config.name not in seen]
        seen |= {config.name for config in new}
        macs = sum(training_macs(config) for config in new)
        row: dict[str, object] = {"study": study.title, "runs": len(new), "multiply-adds": float(macs)}
        for device, rate in zip(rates["device"], rates["multiply-adds per second"], strict=True):
            row[f"{device}, one process (h)"] = macs / rate / 3600
        rows.append(row)
    table = pd.DataFrame(rows)
    total = table.drop(columns="study").sum().to_dict()
    return pd.concat([table, pd.DataFrame([{"study": "all", **total}])], ignore_index=True).astype({"runs": int})


def slurm_sentence(trial: SlurmTrial) -> str:
    """What became of the records, and what Slurm it was."""
    runs = next(iter(trial.executions.values())).runs
    return (
        f"{trial.same_records} of {runs} runs gave the same results to the last bit in all executions. "
        f"Slurm {trial.slurm}; Snakemake asked it about its jobs for the first time after {trial.first_check_s} s."
    )


def _points(studies: Sequence[StudySize], what: str) -> list[tuple[int, float, float]]:
    """Runs, seconds (the median) and megabytes of the sizes that were measured."""
    commands: list[tuple[int, Command | None]] = [(study.runs, getattr(study, what)) for study in studies]
    return [(runs, median(command.seconds), command.peak_mb) for runs, command in commands if command]


def _slope(points: list[tuple[int, float, float]], place: int) -> float:
    """What one more run adds, between the two largest points."""
    if len(points) < 2:
        return math.nan
    (fewer, *before), (more, *after) = points[-2:]
    return (after[place] - before[place]) / (more - fewer)


def _value(points: list[tuple[int, float, float]], count: int, place: int) -> str:
    for runs, *values in points:
        if runs == count:
            return f"{values[place]:,.1f}" if place == 0 else f"{values[place]:,.0f}"
    runs, *values = points[-1]
    continued = values[place] + (count - runs) * _slope(points, place)
    return f"about {continued:,.0f}, continued" if math.isfinite(continued) else "not measured"

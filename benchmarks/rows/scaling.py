"""How speed changes with size: depth, width, batch, and runs side by side."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from anytime_study.runs.config import RunConfig
from anytime_study.studies.runner import run_study
from benchmarks.packaged import PackagedTraining
from benchmarks.ratios import comparison
from benchmarks.results import Comparison
from benchmarks.rows import Found
from benchmarks.settings import Settings, cores
from benchmarks.turns import take_turns


def measure(settings: Settings) -> Found:
    """Training in images/s (a ratio above 1 is faster than the baseline); a sweep of small runs in s (slower)."""
    depths = {f"n = {n}": {"network": settings.resann(n=n)} for n in settings.pick((1, 3, 5, 9), (1, 2))}
    widths = {f"c = {c}": {"network": settings.resann(c=c)} for c in settings.pick((8, 16, 32), (4, 8))}
    batches = {f"batch {size}": {"batch_size": size} for size in settings.pick((32, 64, 128, 256), (16, 32))}
    return Found(
        {
            "depth": _rates(settings, "depth", depths),
            "width": _rates(settings, "width", widths),
            "batch": _rates(settings, "batch size", batches),
            "jobs": _jobs(settings),
        }
    )


def _rates(settings: Settings, name: str, changes: Mapping[str, Mapping[str, object]]) -> Comparison:
    """Images/s of training, the first one as baseline."""
    trainings = {label: PackagedTraining(settings.config(**change)) for label, change in changes.items()}
    number = settings.pick(4, 1)
    seconds = take_turns({label: each.block(number) for label, each in trainings.items()}, settings.pick(10, 2))
    rates = {
        label: [trainings[label].run.config.batch_size / value for value in values] for label, values in seconds.items()
    }
    # a training step computes about three times the forward pass
    facts = {label: {"macs_per_image": 3.0 * each.run.costs.macs_cumulative[-1]} for label, each in trainings.items()}
    return comparison(name, "images/s", next(iter(rates)), rates, facts=facts)


def _jobs(settings: Settings) -> Comparison:
    """Wall time of 16 short runs, processes started and records written included."""
    runs = [
        RunConfig(
            dataset="digits",
            network=settings.pick("resann(n=2, c=8)", "resann(n=1, c=4)"),
            weighting=weighting,
            seed=seed,
            epochs=settings.pick(5, 1),
            batch_size=32,
            device=settings.device,
        )
        for weighting in ("const", "adaloss")
        for seed in range(settings.pick(8, 1))
    ]
    jobs = [count for count in settings.pick((1, 2, 4), (1,)) if count <= max(cores(), 2)]
    seconds: dict[str, list[float]] = {f"{count} job(s)": [] for count in jobs}
    for _ in range(settings.pick(2, 1)):
        for count in jobs:
            seconds[f"{count} job(s)"].append(_sweep_seconds(runs, count))
    return comparison(f"a sweep of {len(runs)} runs", "s", f"{jobs[0]} job(s)", seconds)


def _sweep_seconds(runs: list[RunConfig], jobs: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        outcomes = [done.outcome for done in run_study(runs, Path(folder), jobs=jobs)]
        seconds = time.perf_counter() - start
    if set(outcomes) != {"finished"}:
        raise RuntimeError(f"sweep: expected every run to finish, found {sorted(set(outcomes))}")
    return seconds

"""Random deadlines: how often an answer is late and right, idle and under load, with a latency table and without."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
from torch import Tensor

from anytime_core import AnytimePredictor, measure_latency
from anytime_core.inference.latency import LatencyTable
from anytime_core.networks.ensemble import EANN
from anytime_study.foundations.torch_state import compute_settings
from benchmarks.machine import Settings, cores, images_of
from benchmarks.report import Bin, Load, Trial
from benchmarks.stopping import Subject, shipped, untrained

BINS = 24
DEPTHS = (1, 2, 4)  # of the EANN's members: those of the study of sequences of networks
# Ends with the process that started it, whatever becomes of that one.
_BUSY = """
import os, torch
torch.set_num_threads(1)
matrix, parent = torch.rand(512, 512), os.getppid()
print("ready", flush=True)
while os.getppid() == parent:
    torch.mm(matrix, matrix)
"""


def deadlines(settings: Settings) -> dict[str, object]:
    """Trials by name: each draws its deadlines, calls the predictor with each, and counts. One thread, batch 1."""
    rounds, count = settings.pick(1000, 100), settings.pick(10_000, 100)
    with compute_settings(1, deterministic=False):
        single = shipped(settings)
        table = latency_of(single, rounds)
        found = {
            "table, idle": run_trial(single, table, count),
            "table, one core busy": run_trial(single, table, count, load="one core busy"),
            "table, all cores busy": run_trial(single, table, count, load="all cores busy"),
            "no table, idle": run_trial(single, table, count, plan=False),
            "no table, one core busy": run_trial(single, table, count, plan=False, load="one core busy"),
        }
        # One deep network against a sequence of networks that ends with the same one
        data, width = images_of(settings), settings.size[1]
        members = [f"resann(n={n}, c={width})" for n in settings.pick(DEPTHS, (1, 2))]
        nets = {f"EANN of {', '.join(members)}": EANN([untrained(text, data) for text in members])}
        nets[members[-1]] = untrained(members[-1], data)
        pair = [replace(single, text=text, net=net.to(settings.device), labels=None) for text, net in nets.items()]
        tables = [latency_of(subject, rounds) for subject in pair]
        ends = min(times(each)[0] for each in tables), 1.2 * times(tables[0])[1]
        for name, subject, each in zip(("EANN", "deepest"), pair, tables, strict=True):
            found[name] = run_trial(subject, each, count, ends=ends)
    return {"setting": f"{single.text}, batch 1, fp32, images in memory", "trials": found}


def latency_of(subject: Subject, rounds: int) -> LatencyTable:
    """Measure a network with the present number of threads."""
    return measure_latency(AnytimePredictor(subject.net), subject.images[:1], rounds=rounds)


def times(table: LatencyTable) -> tuple[float, float, float]:
    """In seconds: the first exit's 99th percentile, and the medians of the whole way and of the longest step."""
    return table.exits[0].fixed.p99, table.exits[-1].streamed.p50, max(row.step.p50 for row in table.exits)


def run_trial(
    subject: Subject,
    table: LatencyTable,
    count: int,
    *,
    load: Load = "idle",
    plan: bool = True,
    ends: tuple[float, float] | None = None,
) -> Trial:
    """Draw ``count`` deadlines, call the predictor with each, and count.

    ``table`` is that of the idle machine; with ``plan`` the predictor uses it. ``ends`` are the shortest and longest
    deadline in seconds, by default the first exit's 99th percentile and twice the median of the whole way.
    """
    predictor = AnytimePredictor(subject.net, table if plan else None)
    first_s, full_s, step_s = times(table)
    deadlines = np.random.default_rng(0).uniform(*(ends or (first_s, 2 * full_s)), count)
    busy = {"idle": 0, "one core busy": 1, "all cores busy": cores()}[load]
    with busy_processes(busy):
        calls = _calls(predictor, subject.images, deadlines.tolist())
    return Trial(
        network=subject.text,
        load=load,
        table=plan,
        full_s=full_s,
        step_s=step_s,
        late_by_step=int((calls["late_s"] > step_s).sum()),
        bins=_bins(calls, subject),
    )


def _calls(predictor: AnytimePredictor, images: Tensor, deadlines: list[float]) -> pd.DataFrame:
    """Answer an image by each deadline, in turn; times are the caller's, from just before a call to just after it."""
    predictor.warm_up(images[:1])
    rows = []
    for number, deadline in enumerate(deadlines):
        index = number % len(images)
        start = time.perf_counter()
        prediction = predictor.predict(images[index : index + 1], deadline=deadline)
        late_s = max(0.0, time.perf_counter() - start - deadline)
        rows.append((index, deadline, late_s, late_s > 0, prediction.exit, int(prediction.logits.argmax())))
    return pd.DataFrame(rows, columns=["image", "deadline_s", "late_s", "late", "exit", "answer"])


def _bins(calls: pd.DataFrame, subject: Subject) -> list[Bin]:
    """Calls in bins of equal width; a bin without calls is left out."""
    edges = np.linspace(calls["deadline_s"].min(), calls["deadline_s"].max(), BINS + 1)
    place = np.clip(np.searchsorted(edges, calls["deadline_s"], side="right") - 1, 0, BINS - 1)
    labels = subject.labels
    right = None if labels is None else calls["answer"] == labels.numpy()[calls["image"]]
    return [
        Bin(
            low_s=low,
            high_s=high,
            late=int(calls["late"][place == number].sum()),
            correct=None if right is None else int(right[place == number].sum()),
            exits=np.bincount(calls["exit"][place == number] - 1, minlength=subject.net.num_exits).tolist(),
        )
        for number, (low, high) in enumerate(pairwise(edges))
        if (place == number).any()
    ]


@contextmanager
def busy_processes(count: int) -> Generator[None]:
    """``count`` processes that multiply matrices on one thread each, for as long as the block runs.

    Raises:
        RuntimeError: a process does not begin.
    """
    command = [sys.executable, "-c", _BUSY]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        if not all(process.stdout and process.stdout.readline() for process in processes):
            raise RuntimeError("a process that makes load did not begin")
        yield
    finally:
        for process in processes:
            process.kill()
            process.communicate()

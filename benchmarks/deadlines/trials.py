"""Random deadlines on this machine: idle and under load, with a latency table and without."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import torch

from anytime_core.inference.latency import LatencyTable
from anytime_core.inference.latency_measurement import measure_latency
from anytime_core.inference.predictor import AnytimePredictor
from anytime_core.networks.base import AnytimeNetwork
from anytime_study.training.deadlines import deadline_trial, random_deadlines
from benchmarks.deadlines.load import before_others, busy_processes
from benchmarks.deadlines.report import Bin, Load, Trial

BINS = 24


@dataclass(frozen=True)
class Subject:
    """A network under test.

    Attributes:
        text: What it is, for people.
        net: In evaluation mode, on the CPU.
        images: Normalised test images [M, C, H, W]; answered in turn.
        labels: [M]; None if the network is not trained.
        table: Measured on the idle machine.
    """

    text: str
    net: AnytimeNetwork
    images: torch.Tensor
    labels: torch.Tensor | None
    table: LatencyTable

    @property
    def first_s(self) -> float:
        """99th percentile of the first exit's time."""
        return self.table.exits[0].fixed.p99

    @property
    def full_s(self) -> float:
        """Median time to the last exit."""
        return self.table.exits[-1].streamed.p50

    @property
    def step_s(self) -> float:
        """Median time of the longest step."""
        return max(row.step.p50 for row in self.table.exits)


def make_subject(
    text: str, net: AnytimeNetwork, images: torch.Tensor, labels: torch.Tensor | None, rounds: int
) -> Subject:
    """Measure the table of a network with the present number of threads."""
    channels, height, width = images.shape[1:]
    predictor = AnytimePredictor(net, (channels, height, width))
    return Subject(text, net, images, labels, measure_latency(predictor, (channels, height, width), rounds=rounds))


def run_trial(
    subject: Subject,
    count: int,
    *,
    load: Load = "idle",
    busy: int = 0,
    table: bool = True,
    ends: tuple[float, float] | None = None,
    first: bool = False,
) -> Trial:
    """Draw deadlines, call the predictor with each, and count.

    Args:
        subject: The network.
        count: Deadlines.
        load: What the trial is called.
        busy: Processes that make that load.
        table: Whether the predictor plans with the subject's table.
        ends: Shortest and longest deadline, seconds; by default the first exit's 99th percentile and twice the full
            latency.
        first: Whether this process goes before all others, see :func:`before_others`.
    """
    shape = subject.images.shape[1], subject.images.shape[2], subject.images.shape[3]
    predictor = AnytimePredictor(subject.net, shape, subject.table if table else None)
    low, high = ends or (None, None)
    deadlines = random_deadlines(subject.table, count, shortest=low, longest=high)
    with busy_processes(busy) if busy else nullcontext(), before_others() if first else nullcontext():
        calls = deadline_trial(predictor, subject.images, deadlines.tolist())
    late = calls.loc[calls["late"], "late_s"]
    return Trial(
        network=subject.text,
        load=load,
        table=table,
        first=first,
        first_s=subject.first_s,
        full_s=subject.full_s,
        step_s=subject.step_s,
        late_by_step=int((calls["late_s"] > subject.step_s).sum()),
        lateness_s=tuple(late.quantile([0.5, 0.9, 1.0]).tolist()) if len(late) else None,
        bins=_bins(calls, subject),
    )


def _bins(calls: pd.DataFrame, subject: Subject) -> list[Bin]:
    """Calls in bins of equal width; a bin without calls is left out."""
    edges = np.linspace(calls["deadline_s"].min(), calls["deadline_s"].max(), BINS + 1)
    calls = calls.assign(bin=np.clip(np.searchsorted(edges, calls["deadline_s"], side="right") - 1, 0, BINS - 1))
    if subject.labels is not None:
        calls = calls.assign(correct=calls["answer"] == subject.labels.numpy()[calls["image"]])
    parts = [(low, high, calls[calls["bin"] == place]) for place, (low, high) in enumerate(pairwise(edges))]
    return [
        Bin(
            low_s=low,
            high_s=high,
            late=int(part["late"].sum()),
            correct=None if subject.labels is None else int(part["correct"].sum()),
            exits=np.bincount(part["exit"] - 1, minlength=subject.net.num_exits).tolist(),
        )
        for low, high, part in parts
        if len(part)
    ]

"""How fast runs are on this machine: a few steps of every kind of run are timed.

They are taken by the class that trains, with the run's own precision and threads, after a warm-up. Where a data set is
not here, random images of its shape take its place; then the reading of files is left out.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch

from anytime_study.datasets import DATASETS
from anytime_study.datasets.batches import evaluation_batches
from anytime_study.foundations.torch_state import compute_settings
from anytime_study.runs.config import RunConfig
from anytime_study.studies.absent_data import on_this_machine, random_images_like, stand_in
from anytime_study.studies.multiply_adds import images_scored, passes
from anytime_study.training.evaluation import evaluate
from anytime_study.training.loop import TrainingRun

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

STEPS = 15
"""Steps that are timed, at most; fewer where ``SECONDS`` are over before."""

WARM_UP = 2
"""Steps that are not timed: in the first ones libraries choose and cache their kernels."""

SECONDS = 4.0
"""Longest timing of one kind, in seconds; at least one step is timed."""

CPU_STEP_MACS = 1e11
"""On a CPU, batches are cut so that a timed step has about as many multiply-adds: a second or so. A larger batch would
not change the rate per image of a network that large, only take its memory and minutes."""


@dataclass(frozen=True)
class Rates:
    """How fast one kind of run is on this machine.

    Attributes:
        training: Training images per second.
        evaluation: Evaluated images per second.
        startup: Seconds until the first step is done, once a process runs: data, network, warm-up.
        on_random_images: Whether the data set was not there.
    """

    training: float
    evaluation: float
    startup: float
    on_random_images: bool

    def seconds(self, config: RunConfig) -> float:
        """Estimate for one run: start, all steps, and the scores at its end."""
        trained = config.epochs * config.steps_per_epoch * config.batch_size
        return self.startup + trained / self.training + images_scored(config) / self.evaluation


def kind_of(config: RunConfig) -> RunConfig:
    """The run that is timed in the place of ``config``: the same for all runs that take the same time per image."""
    one_image = passes(config.dataset, config.network, config.weighting)
    alike = ("network", "batch_size", "precision", "compile", "threads", "device", "workers", "augment")
    return RunConfig(
        dataset=stand_in(config.dataset),
        weighting=one_image.like,
        learning_rate=1e-4,  # so small that nothing diverges
        epochs=WARM_UP + STEPS,  # enough for all steps, however few an epoch has
        warmup_epochs=0.0,
        **{field: getattr(config, field) for field in alike},
    )


def measure(kind: RunConfig) -> Rates:
    """Time a few steps and a little evaluation of ``kind``.

    Raises:
        DatasetError: the data set is on this machine, but damaged.
    """
    with _runnable(kind) as config:
        start = time.perf_counter()
        run = TrainingRun(config)
        cpu = run.fabric.device.type == "cpu"
        wait = (lambda: None) if cpu else torch.cuda.synchronize
        steps = run.steps()
        with compute_settings(config.threads, deterministic=cpu):
            next(steps)
            wait()
            startup = time.perf_counter() - start
            for _ in range(WARM_UP - 1):
                next(steps)
            step = _seconds_per_call(lambda: next(steps), wait)
            macs = passes(kind.dataset, kind.network, kind.weighting).forward
            size = _batch(kind, macs, largest=100 if DATASETS[kind.dataset].streamed else 1000)
            batches = evaluation_batches(run.data, "train", batch_size=size, workers=config.workers)
            (first,) = islice(batches, 1)
            evaluate(run.net, [first])  # the warm-up
            scored = _seconds_per_call(lambda: evaluate(run.net, [first]), wait, most=3)
    return Rates(
        training=config.batch_size / step,
        evaluation=len(first[1]) / scored,
        startup=startup,
        on_random_images=config.dataset != kind.dataset,
    )


def slow_down(kind: RunConfig, alone: Rates) -> float:
    """By which factor a second run beside it slows a run down, in a process of its own; at least 1."""
    context = multiprocessing.get_context("spawn")
    going = context.Event()
    other = context.Process(target=_keep_busy, args=(kind, going), daemon=True)
    other.start()
    try:
        while not going.wait(0.2) and other.is_alive():
            pass
        beside = measure(kind)
    finally:
        other.kill()
        other.join()
    return max(1.0, alone.training / beside.training)


def _keep_busy(kind: RunConfig, going: Event) -> None:
    measure(kind)
    going.set()
    while True:
        measure(kind)


@contextmanager
def _runnable(kind: RunConfig) -> Generator[RunConfig]:
    """``kind`` with a batch that a timing can afford, and with random images if its own are not here."""
    macs = passes(kind.dataset, kind.network, kind.weighting).macs
    config = kind.model_copy(update={"batch_size": _batch(kind, macs, kind.batch_size)})
    if on_this_machine(DATASETS[kind.dataset]):
        yield config
        return
    with random_images_like(kind.dataset, (WARM_UP + STEPS) * config.batch_size) as name:
        yield config.model_copy(update={"dataset": name})


def _seconds_per_call(call: Callable[[], object], wait: Callable[[], None], most: int = STEPS) -> float:
    wait()
    start = time.perf_counter()
    done = 0
    while done < most and (done == 0 or time.perf_counter() - start < SECONDS):
        call()
        done += 1
    wait()  # a GPU answers before it is done
    return (time.perf_counter() - start) / done


def _batch(kind: RunConfig, macs: int, largest: int) -> int:
    """Images of ``macs`` each that are computed at once: as many as a run takes, or on a CPU what a second allows."""
    if kind.device != "cpu" and (kind.device == "cuda" or torch.cuda.is_available()):
        return largest
    return max(1, min(largest, int(CPU_STEP_MACS / macs)))

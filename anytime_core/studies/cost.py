"""What a study costs before anyone starts it: runs, multiply-adds, and hours on this machine.

Multiply-adds follow a rule. One image of one training step costs three forward passes through all exits: the forward
pass, and two products per layer in the backward pass, for the gradients of its input and of its weights. A weighting
that takes the gradient of each of K losses adds K backward passes through the whole network, two forward passes each.
OPT at an exit trains no further than that exit, so its passes end there.

Hours are measured: a few steps of every kind of run, by the class that trains, with the run's own precision and
threads, after a warm-up. Where a data set is not on this machine, random images of its shape take its place; then the
reading of files is left out.
"""

from __future__ import annotations

import functools
import multiprocessing
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from anytime_core.datasets import DATASETS
from anytime_core.datasets.batches import evaluation_batches
from anytime_core.datasets.cache import default_cache_dir
from anytime_core.datasets.cards import DataCard
from anytime_core.datasets.readers import Arrays
from anytime_core.foundations.torch_state import compute_settings
from anytime_core.networks.cost import exit_costs
from anytime_core.runs.config import RunConfig, network_without_data
from anytime_core.training.evaluation import evaluate
from anytime_core.training.loop import TrainingRun
from anytime_core.weighting import WEIGHTINGS
from anytime_core.weighting.adaptive import AdaLoss

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

    from numpy.typing import NDArray

STEPS = 15
"""Steps that are timed, at most; fewer where ``SECONDS`` are over before."""

WARM_UP = 2
"""Steps that are not timed: in the first ones libraries choose and cache their kernels."""

SECONDS = 4.0
"""Longest timing of one kind, in seconds; at least one step is timed."""

CPU_STEP_MACS = 1e11
"""On a CPU, batches are cut so that a timed step has about as many multiply-adds: a second or so. A larger batch would
not change the rate per image of a network that large, only take its memory and minutes."""


# --- multiply-adds -----------------------------------------------------------------------------------------------


def training_macs(config: RunConfig) -> int:
    """Multiply-adds of all training steps of a run; see the rule above."""
    passes = _passes(config.dataset, config.network, config.weighting)
    return passes.macs * config.epochs * config.steps_per_epoch * config.batch_size


def images_scored(config: RunConfig) -> int:
    """Images that are scored at the end of a run: of the training, validation and test images."""
    card = DATASETS[config.dataset]
    return config.num_train + card.num_validation + card.num_test


class _Passes(NamedTuple):
    """What is computed for one image.

    Attributes:
        macs: Multiply-adds in a training step.
        forward: Multiply-adds of one image through all exits, as it is scored.
        like: The weighting that stands for all that compute the same.
    """

    macs: int
    forward: int
    like: str


@functools.cache
def _passes(dataset: str, network: str, weighting: str) -> _Passes:
    card = DATASETS[dataset]
    net = network_without_data(network, card.num_classes, card.image_shape[0])
    with torch.device("meta"):  # shapes without numbers: nothing is initialised or computed
        weigh = WEIGHTINGS.build(weighting, num_exits=net.num_exits, parameters=net.parameters(), seed=0)
    cumulative = _macs_cumulative(dataset, network)
    takes_gradients = isinstance(weigh, AdaLoss) and weigh.order == 1
    backward_passes = 1 + (weigh.num_exits if takes_gradients else 0)
    return _Passes(
        macs=cumulative[weigh.last_exit - 1] * (1 + 2 * backward_passes),
        forward=cumulative[-1],
        like=weighting if takes_gradients or weigh.last_exit < weigh.num_exits else "const",
    )


@functools.cache  # a network of ILSVRC takes seconds
def _macs_cumulative(dataset: str, network: str) -> tuple[int, ...]:
    card = DATASETS[dataset]
    net = network_without_data(network, card.num_classes, card.image_shape[0])
    with torch.device("meta"):
        return tuple(exit_costs(net, card.image_shape).macs_cumulative)


# --- rates ---------------------------------------------------------------------------------------------------------


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
    passes = _passes(config.dataset, config.network, config.weighting)
    alike = ("network", "batch_size", "precision", "compile", "threads", "device", "workers", "augment")
    return RunConfig(
        dataset=_stand_in(config.dataset),
        weighting=passes.like,
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
        steps = run._steps()
        with compute_settings(config.threads, deterministic=cpu):
            next(steps)
            wait()
            startup = time.perf_counter() - start
            for _ in range(WARM_UP - 1):
                next(steps)
            step = _seconds_per_call(lambda: next(steps), wait)
            macs = _passes(kind.dataset, kind.network, kind.weighting).forward
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


# --- data sets that are not here -----------------------------------------------------------------------------------


def on_this_machine(card: DataCard) -> bool:
    """Whether the files of a data set are here; nothing is downloaded to find out."""
    folder = default_cache_dir() / card.folder
    return (folder.is_dir() and any(folder.iterdir())) or card.reader.installed() is not None


def _stand_in(dataset: str) -> str:
    """The data set itself, or if it is not here, the first one of the same shape that is not here."""
    card = DATASETS[dataset]
    if on_this_machine(card):
        return dataset
    alike = (other for other in DATASETS.values() if other.image_shape == card.image_shape)
    return next(other.name for other in alike if not on_this_machine(other))


@contextmanager
def _runnable(kind: RunConfig) -> Generator[RunConfig]:
    """``kind`` with a batch that a timing can afford, and with random images if its own are not here."""
    macs = _passes(kind.dataset, kind.network, kind.weighting).macs
    config = kind.model_copy(update={"batch_size": _batch(kind, macs, kind.batch_size)})
    card = DATASETS[kind.dataset]
    if on_this_machine(card):
        yield config
        return
    name = f"random images like {card.name}"
    count = (WARM_UP + STEPS) * config.batch_size
    DATASETS[name] = replace(
        card, name=name, num_train=count, num_validation=1, num_test=1, reader=_RandomImages(), streamed=False
    )
    try:
        yield config.model_copy(update={"dataset": name})
    finally:
        del DATASETS[name]


class _RandomImages:
    """Reads nothing, and gives images and labels drawn at random."""

    def installed(self) -> Path:
        return Path()

    def download(self, folder: Path) -> None:
        pass

    def verify(self, folder: Path) -> None:
        pass

    def read(self, card: DataCard, folder: Path, train_size: int) -> Arrays:  # noqa: ARG002 (there are no files)
        draw = np.random.default_rng(0)
        tasks = (card.num_tasks,) if card.num_tasks > 1 else ()

        def images(size: int) -> NDArray[np.uint8]:
            return draw.integers(0, 256, (size, *card.image_shape), dtype=np.uint8)

        def labels(size: int) -> NDArray[np.int64]:
            return draw.integers(0, card.num_classes, (size, *tasks))

        train, held_out, test = train_size, card.num_validation, card.num_test
        return Arrays(images(train), labels(train), images(held_out), labels(held_out), images(test), labels(test))


# --- the estimate --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What all runs of one data set, network and weighting cost.

    Attributes:
        dataset, network, weighting: As in the runs.
        runs: How many.
        made: How many of these have a record.
        macs: Multiply-adds of training, all runs.
        hours: One after the other, all runs.
        hours_left: One after the other, runs without a record.
        on_random_images: Whether the rate is of random images.
    """

    dataset: str
    network: str
    weighting: str
    runs: int
    made: int
    macs: int
    hours: float
    hours_left: float
    on_random_images: bool


@dataclass(frozen=True)
class Estimate:
    """What a set of runs costs.

    Attributes:
        rows: In the order of the runs.
        slow_down: Factor by which a second run beside it slows a run down.
    """

    rows: tuple[Row, ...]
    slow_down: float

    def two_jobs(self, hours: float) -> float:
        """Hours of two runs side by side, for work that takes ``hours`` one after the other."""
        return hours * self.slow_down / 2

    def __str__(self) -> str:
        lines = [_LINE.format("data set", "network", "weighting", "runs", "made", "MACs", "1 job", "2 jobs")]
        for row in self.rows:
            dataset = f"{row.dataset}*" if row.on_random_images else row.dataset
            hours = (f"{value:.2f} h" for value in (row.hours, self.two_jobs(row.hours)))
            lines.append(
                _LINE.format(dataset, row.network, row.weighting, row.runs, row.made, f"{row.macs:.2e}", *hours)
            )
        for what, hours in (
            ("all runs", sum(row.hours for row in self.rows)),
            ("without a record", sum(row.hours_left for row in self.rows)),
        ):
            lines.append(f"{what}: {hours:.2f} h with 1 job, {self.two_jobs(hours):.2f} h of two cores with 2 jobs")
        lines.append(f"multiply-adds of training, all runs: {sum(row.macs for row in self.rows):.3e}")
        if any(row.on_random_images for row in self.rows):
            lines.append("* not on this machine: rate of random images of this shape, reading of files left out")
        return "\n".join(line.rstrip() for line in lines)


_LINE = "{:22} {:42} {:34} {:>5} {:>5} {:>9} {:>10} {:>10}"


def estimate(runs: Sequence[tuple[RunConfig, bool]], *, say: Callable[[str], None] = lambda _: None) -> Estimate:
    """Count and time ``runs``, each with whether it has a record.

    Args:
        runs: At least one.
        say: Told what is being timed.

    Raises:
        DatasetError: a data set is on this machine, but damaged.
    """
    rates: dict[RunConfig, Rates] = {}
    total: dict[RunConfig, float] = {}
    timed = []
    for config, made in runs:
        kind = kind_of(config)
        if kind not in rates:
            say(f"timing {config.network} on {config.dataset}, batch {config.batch_size}, {kind.weighting}")
            rates[kind] = measure(kind)
        seconds = rates[kind].seconds(config)
        total[kind] = total.get(kind, 0.0) + seconds
        timed.append((config, made, seconds, rates[kind].on_random_images))
    costliest = max(total, key=lambda kind: total[kind])
    say(f"timing two runs side by side: {costliest.network}")
    factor = slow_down(costliest, rates[costliest])
    order: dict[tuple[str, str, str], int] = {}
    for config, *_ in timed:
        order.setdefault(_row_of(config), len(order))
    timed.sort(key=lambda item: order[_row_of(item[0])])
    rows = []
    for names, group in groupby(timed, key=lambda item: _row_of(item[0])):
        items = list(group)
        rows.append(
            Row(
                *names,
                runs=len(items),
                made=sum(made for _, made, _, _ in items),
                macs=sum(training_macs(config) for config, *_ in items),
                hours=sum(seconds for _, _, seconds, _ in items) / 3600,
                hours_left=sum(seconds for _, made, seconds, _ in items if not made) / 3600,
                on_random_images=any(random for *_, random in items),
            )
        )
    return Estimate(tuple(rows), factor)


def _row_of(config: RunConfig) -> tuple[str, str, str]:
    return config.dataset, config.network, config.weighting

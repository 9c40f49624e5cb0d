"""Images per second of training: the package against a plain loop, precisions, threads, torch.compile."""

from __future__ import annotations

import torch

from anytime_study.datasets import ImageData, load_dataset
from benchmarks.packaged import PackagedTraining
from benchmarks.plain_network import PlainResANN
from benchmarks.plain_training import PlainTraining
from benchmarks.ratios import comparison, spread
from benchmarks.results import Comparison
from benchmarks.rows import Found
from benchmarks.settings import Settings
from benchmarks.turns import Block, take_turns

WORKERS = (0, 2)  # of the plain loop's DataLoader: which is better depends on the cores


def measure(settings: Settings) -> Found:
    """Up to three comparisons; unit images/s, so a ratio above 1 is faster than the baseline."""
    found = {"plain_loop": _against_plain(settings), "precision": _precisions(settings), "compile": _compiled(settings)}
    return Found({key: value for key, value in found.items() if value is not None})


def plain_training(settings: Settings, workers: int) -> PlainTraining:
    """The plain loop on the same network and data."""
    data = load_dataset(settings.dataset)
    if not isinstance(data, ImageData):
        raise TypeError(f"data set: expected one that is kept in memory, found {settings.dataset}")
    card, (n, c) = data.card, settings.size
    return PlainTraining(
        PlainResANN(n, c, num_classes=card.num_classes, in_channels=card.image_shape[0]),
        data,
        batch_size=settings.batch_size,
        workers=workers,
        threads=settings.threads,
        device=torch.device(settings.device),
    )


def _against_plain(settings: Settings) -> Comparison:
    number = settings.pick(8, 2)
    blocks: dict[str, Block] = {}
    for workers in settings.pick(WORKERS, (0,)):
        loop = plain_training(settings, workers)
        blocks[f"plain loop, {workers} workers"] = lambda loop=loop: loop.measure(number)
    for precision in dict.fromkeys(["fp32", settings.precision]):
        blocks[f"package, {precision}"] = PackagedTraining(settings.config(precision=precision)).block(number)
    seconds = take_turns(blocks, settings.pick(12, 2))
    rates = _rates(seconds, settings.batch_size)
    plain = [name for name in rates if name.startswith("plain")]
    best = max(plain, key=lambda name: spread(rates[name]).median)  # nobody shall say that it was slowed down
    return comparison("against a plain loop", "images/s", best, rates)


def _precisions(settings: Settings) -> Comparison:
    number = settings.pick(8, 2)
    blocks = {
        f"{precision}, {threads} thread(s)": PackagedTraining(
            settings.config(precision=precision, threads=threads)
        ).block(number)
        for precision in dict.fromkeys(["fp32", settings.precision])
        for threads in sorted({1, settings.threads})
    }
    rates = _rates(take_turns(blocks, settings.pick(10, 2)), settings.batch_size)
    return comparison("precision and threads", "images/s", "fp32, 1 thread(s)", rates)


def _compiled(settings: Settings) -> Comparison | None:
    if settings.quick:  # half a minute of compiling
        return None
    compiled = PackagedTraining(settings.config(compile=True))
    if not compiled.run.compiled:  # no C++ compiler here
        return None
    number = 8
    blocks = {"eager": PackagedTraining(settings.config()).block(number), "compiled": compiled.block(number)}
    rates = _rates(take_turns(blocks, 12), settings.batch_size)
    return comparison(
        "torch.compile",
        "images/s",
        "eager",
        rates,
        facts={"compiled": {"compile_seconds": compiled.first_step_seconds}},
    )


def _rates(seconds: dict[str, list[float]], batch_size: int) -> dict[str, list[float]]:
    return {name: [batch_size / value for value in values] for name, values in seconds.items()}

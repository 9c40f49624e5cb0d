"""What the exits cost: all of them against the last one alone, on the same units."""

from __future__ import annotations

import torch

from anytime_study.datasets.batches import first_images
from benchmarks.packaged import PackagedTraining
from benchmarks.ratios import comparison
from benchmarks.rows import Found
from benchmarks.settings import Settings
from benchmarks.turns import Block, take_turns, timed

ALL, LAST = "all exits", "last exit only"


def measure(settings: Settings) -> Found:
    """A training step and an evaluation of a batch; unit ms, so a ratio above 1 is slower than the last exit alone."""
    number, rounds = settings.pick(5, 2), settings.pick(30, 2)
    depth = 3 * settings.size[0]  # units
    networks = {LAST: settings.resann(first_exit=depth), ALL: settings.resann()}
    trainings = {
        name: PackagedTraining(settings.config(network=network, weighting="const"))
        for name, network in networks.items()
    }
    training = take_turns({name: each.block(number) for name, each in trainings.items()}, rounds)
    evaluation = take_turns({name: _evaluation(each, settings, number) for name, each in trainings.items()}, rounds)
    macs = {name: float(each.run.costs.macs_cumulative[-1]) for name, each in trainings.items()}
    facts = {name: {"exits": float(each.run.weighting.num_exits)} for name, each in trainings.items()}
    return Found(
        {
            "training": comparison("a training step", "ms", LAST, _ms(training), facts=facts),
            "evaluation": comparison("an evaluation", "ms", LAST, _ms(evaluation), facts=facts),
        },
        {"macs_all_over_last": macs[ALL] / macs[LAST]},
    )


def _evaluation(training: PackagedTraining, settings: Settings, number: int) -> Block:
    run = training.run
    images = run.data.normalise(first_images(run.data, settings.batch_size)[0])
    images = images.to(memory_format=torch.channels_last)
    run.net.eval()

    def call() -> None:
        with torch.inference_mode():
            run.net(images)

    return timed(call, number=number, threads=settings.threads, deterministic=settings.device == "cpu")


def _ms(seconds: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: [1000 * value for value in values] for name, values in seconds.items()}

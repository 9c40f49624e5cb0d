"""How near a training step is to the rate of this machine's convolutions."""

from __future__ import annotations

import torch

from anytime_study.datasets.batches import first_images
from benchmarks.convolutions import Convolution, convolutions_of
from benchmarks.packaged import PackagedTraining
from benchmarks.ratios import comparison, spread
from benchmarks.rows import Found
from benchmarks.settings import Settings
from benchmarks.turns import Block, take_turns, timed

STEP, ALONE = "whole training step", "its convolutions alone"


def measure(settings: Settings) -> Found:
    """Time of the step's convolutions alone over that of the step; unit ms, so the ratio is the share of the ceiling.

    A shape that occurs several times is timed once per round and counted as often as it occurs. Facts are rates in
    billions of multiply-adds per second: of the step (3 × the forward pass's, linear layers included, as exit_costs
    counts them) and of the convolutions alone (what they really compute).
    """
    training = PackagedTraining(settings.config())
    run, number = training.run, settings.pick(8, 2)
    device = run.fabric.device
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    images = run.data.normalise(first_images(run.data, settings.batch_size)[0])
    shapes = convolutions_of(run.network, images)

    blocks: dict[str, Block] = {STEP: training.block(number)}
    for shape in shapes:
        alone = Convolution(shape, dtype, device)
        blocks[shape.name] = timed(alone.step, number=number, threads=settings.threads)
    seconds = take_turns(blocks, settings.pick(25, 2))
    step = seconds.pop(STEP)
    per_round = zip(*(seconds[shape.name] for shape in shapes), strict=True)
    alone_seconds = [
        sum(count * value for count, value in zip(shapes.values(), values, strict=True)) for values in per_round
    ]

    forward = run.costs.macs_cumulative[-1] * settings.batch_size
    convolution_macs = sum(shape.macs * count for shape, count in shapes.items())
    achieved = 3 * forward / spread(step).median / 1e9
    ceiling = convolution_macs / spread(alone_seconds).median / 1e9
    facts = {
        shape.name: {
            "occurs": float(count),
            "gmac_per_s": shape.macs / spread(seconds[shape.name]).median / 1e9,
        }
        for shape, count in shapes.items()
    }
    largest = max(seconds, key=lambda name: spread(seconds[name]).median)
    return Found(
        {
            "share": comparison(
                "convolutions alone against the whole step", "ms", STEP, _ms({STEP: step, ALONE: alone_seconds})
            ),
            "shapes": comparison("each kind of convolution, once", "ms", largest, _ms(seconds), facts=facts),
        },
        {"achieved_gmac_per_s": achieved, "ceiling_gmac_per_s": ceiling, "achieved_over_ceiling": achieved / ceiling},
    )


def _ms(seconds: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: [1000 * value for value in values] for name, values in seconds.items()}

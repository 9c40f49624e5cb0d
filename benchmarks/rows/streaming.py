"""Anytime use of one image: reaching exit k through all exits before it, against a network that ends there."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch
from torch import Tensor

from anytime_core.networks.base import AnytimeNetwork
from anytime_study.datasets import find_card
from benchmarks.ratios import comparison
from benchmarks.results import Comparison
from benchmarks.rows import Found
from benchmarks.settings import Settings
from benchmarks.turns import take_turns, timed

CUT, STREAMED = "cut after the exit", "streamed"


def measure(settings: Settings) -> Found:
    """One comparison per exit; unit ms, so a ratio above 1 is what the heads on the way cost.

    Batch 1, one thread, float32: bfloat16 does not pay for one small image.
    """
    config = settings.config()
    network = config.build_network().eval().to(settings.device).to(memory_format=torch.channels_last)
    image = torch.randn(1, *find_card(settings.dataset).image_shape, device=settings.device).to(
        memory_format=torch.channels_last
    )
    found: dict[str, Comparison] = {}
    for exit_number in range(1, network.num_exits + 1):
        calls = {CUT: cut(network, exit_number, image), STREAMED: streamed(network, exit_number, image)}
        blocks = {name: timed(call, number=settings.pick(20, 2), threads=1) for name, call in calls.items()}
        seconds = take_turns(blocks, settings.pick(60, 2))
        milliseconds = {name: [1000 * value for value in values] for name, values in seconds.items()}
        found[f"exit_{exit_number}"] = comparison(f"exit {exit_number}", "ms", CUT, milliseconds)
    return Found(found, {"exits": float(network.num_exits)})


def cut(network: AnytimeNetwork, exit_number: int, image: Tensor) -> Callable[[], Tensor]:
    """Call segments 1 … ``exit_number`` and that head only."""
    segments, head = network.segments[:exit_number], network.heads[exit_number - 1]

    def call() -> Tensor:
        with torch.inference_mode():
            state = image
            for segment in segments:
                state = segment(state)
            return head(state)

    return call


def streamed(network: AnytimeNetwork, exit_number: int, image: Tensor) -> Callable[[], Tensor]:
    """Call ``network.stream`` as far as exit ``exit_number``, every head on the way included."""

    def call() -> Tensor:
        with torch.inference_mode():
            return next(islice(network.stream(image), exit_number - 1, None))

    return call

"""What studies cost before anyone starts them: runs, multiply-adds (MACs), images scored, hours.

One image of one training step costs three forward passes through all exits: the forward pass, and two products per
layer in the backward pass, for the gradients of its input and of its weights. A weighting that takes the gradient of
each of K losses adds K backward passes through the whole network, two forward passes each. OPT at an exit trains no
further than that exit, so its passes end there. Starting a process and reading files are not counted.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence

import pandas as pd
import torch

from anytime_core.costs import exit_costs
from anytime_study.datasets import find_card
from anytime_study.foundations.torch_state import compute_settings
from anytime_study.runs.config import RunConfig, network_without_data
from anytime_study.runs.registries import WEIGHTINGS

CPU_STEP_MACS = 1e11
"""Multiply-adds of a timed step on a CPU, at most: a second or so. Larger batches would not change the rate."""


def training_macs(config: RunConfig) -> int:
    """Multiply-adds of all training steps of a run, by the rule of this module."""
    macs_per_image, _ = _passes(config.dataset, config.network, config.weighting)
    return macs_per_image * config.epochs * config.steps_per_epoch * config.batch_size


def images_scored(config: RunConfig) -> int:
    """Images that are scored at the end of a run: of the training, validation and test images."""
    card = find_card(config.dataset)
    return config.num_train + card.num_validation + card.num_test


def run_macs(config: RunConfig) -> int:
    """Multiply-adds of a run: of training, and of one forward pass for each image that is scored."""
    _, forward = _passes(config.dataset, config.network, config.weighting)
    return training_macs(config) + forward * images_scored(config)


def cost_table(runs: Sequence[tuple[RunConfig, bool]], rate: float) -> pd.DataFrame:
    """A row per data set, network and weighting, in the order of the runs.

    Args:
        runs: Each with whether it has a record.
        rate: Multiply-adds per second of one process.

    Returns:
        Columns: data set, network, weighting, runs, made, training MACs, images scored, hours, hours left. Hours are
        those of one run after the other; those left are of runs without a record.
    """
    table = pd.DataFrame(
        [
            {
                "data set": config.dataset,
                "network": config.network,
                "weighting": config.weighting,
                "runs": 1,
                "made": int(made),
                "training MACs": float(training_macs(config)),
                "images scored": images_scored(config),
                "hours": (hours := run_macs(config) / rate / 3600),
                "hours left": 0.0 if made else hours,
            }
            for config, made in runs
        ]
    )
    return table.groupby(["data set", "network", "weighting"], sort=False, as_index=False).sum()


def duration(hours: float) -> str:
    """Hours in a unit that shows them: ``"0.2 s"``, ``"12 s"``, ``"3.4 min"``, ``"5.6 h"``."""
    if hours < 1 / 60:
        return f"{3600 * hours:.2g} s"
    return f"{60 * hours:.1f} min" if hours < 1 else f"{hours:.1f} h"


def measure_rate(config: RunConfig, seconds: float = 3.0) -> float:
    """Multiply-adds per second of training on this machine: steps of the run's network on random images of its shape.

    Args:
        config: Whose network, batch size, precision, threads and device are timed; the data set is not read.
        seconds: Steps are taken until this time is over, at least one after a warm-up of two.
    """
    card = find_card(config.dataset)
    device = torch.device("cuda" if config.on_cuda else "cpu")
    macs_per_image, _ = _passes(config.dataset, config.network, "const")
    size = config.batch_size if config.on_cuda else max(1, min(config.batch_size, int(CPU_STEP_MACS / macs_per_image)))
    net = config.build_network().to(device)
    images = card.random_inputs(size, device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            logits = net(images)
        logits.float().square().mean().backward()
        if config.on_cuda:
            torch.cuda.synchronize()

    with compute_settings(config.threads, deterministic=False):
        step()
        step()
        start, done = time.perf_counter(), 0
        while done == 0 or time.perf_counter() - start < seconds:
            step()
            done += 1
        return macs_per_image * size * done / (time.perf_counter() - start)


@functools.cache
def _passes(dataset: str, network: str, weighting: str) -> tuple[int, int]:
    """Multiply-adds for one image: of a training step, and of a forward pass through all exits."""
    net = network_without_data(network, dataset)
    with torch.device("meta"):  # shapes without numbers: nothing is initialised or computed
        weigh = WEIGHTINGS.build(weighting, num_exits=net.num_exits, parameters=net.parameters(), seed=0)
    cumulative = _macs_cumulative(dataset, network)
    backward_passes = 1 + (weigh.num_exits if WEIGHTINGS.parse(weighting).options.get("order") == 1 else 0)
    return cumulative[weigh.last_exit - 1] * (1 + 2 * backward_passes), cumulative[-1]


@functools.cache  # a network of ILSVRC takes seconds
def _macs_cumulative(dataset: str, network: str) -> tuple[int, ...]:
    net = network_without_data(network, dataset)
    with torch.device("meta"):
        return tuple(exit_costs(net, find_card(dataset).example()).macs_cumulative)

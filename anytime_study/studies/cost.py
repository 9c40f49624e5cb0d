"""What studies cost before anyone starts them: runs, multiply-adds (MACs), hours.

One image of one training step costs three forward passes through all exits: the forward pass, and two products per
layer in the backward pass, for the gradients of its input and of its weights. A weighting that takes the gradient of
each of K losses adds K backward passes through the whole network, two forward passes each. OPT at an exit trains no
further than that exit, so its passes end there. Starting a process and reading files are not counted.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import pandas as pd
import torch

from anytime_core.costs import exit_costs
from anytime_study.datasets import find_card
from anytime_study.foundations.torch_state import compute_settings
from anytime_study.runs.config import RunConfig, network_without_data
from anytime_study.runs.registries import WEIGHTINGS
from anytime_study.training.loop import TrainingRun


def training_macs(config: RunConfig) -> int:
    """Multiply-adds of all training steps of a run, by the rule of this module."""
    macs_per_image, _ = _passes(config.dataset, config.network, config.weighting)
    return macs_per_image * config.epochs * config.steps_per_epoch * config.batch_size


def run_macs(config: RunConfig) -> int:
    """Multiply-adds of a run: of training, and of one forward pass for each image of all splits, which are scored."""
    card = find_card(config.dataset)
    _, forward = _passes(config.dataset, config.network, config.weighting)
    return training_macs(config) + forward * (config.num_train + card.num_validation + card.num_test)


def cost_table(runs: Sequence[tuple[RunConfig, bool]], rate: float) -> pd.DataFrame:
    """A row per data set, network and weighting, in the order of the runs.

    Args:
        runs: Each with whether it has a record.
        rate: Multiply-adds per second of one process.

    Returns:
        Columns: data set, network, weighting, runs, made, training MACs, hours, hours left. Hours are those of one
        run after the other; those left are of runs without a record.
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
    """Multiply-adds per second of training on this machine, timed on the first steps of a run.

    Args:
        config: The run, whose data set must be there.
        seconds: Steps are taken until this time is over, at least one after the first, which warms up.

    Raises:
        DatasetError: the data set is not there, and cannot be downloaded.
    """
    run = TrainingRun(config)
    warm, done = 0.0, 0
    with compute_settings(config.threads, deterministic=False):
        for done, _ in enumerate(run.steps()):
            if done == 0:
                warm = run.seconds
            elif run.seconds - warm > seconds:
                break
    took = run.seconds - warm if done else run.seconds
    return training_macs(config) * max(done, 1) / (config.epochs * config.steps_per_epoch) / took


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

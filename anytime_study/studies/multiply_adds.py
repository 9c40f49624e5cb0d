"""What a run computes, in multiply-adds, and how many images it scores.

One image of one training step costs three forward passes through all exits: the forward pass, and two products per
layer in the backward pass, for the gradients of its input and of its weights. A weighting that takes the gradient of
each of K losses adds K backward passes through the whole network, two forward passes each. OPT at an exit trains no
further than that exit, so its passes end there.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch

from anytime_core.costs import exit_costs
from anytime_core.weighting.adaloss import AdaLoss
from anytime_study.datasets import DATASETS
from anytime_study.runs.config import RunConfig, network_without_data
from anytime_study.runs.registries import WEIGHTINGS


def training_macs(config: RunConfig) -> int:
    """Multiply-adds of all training steps of a run, by the rule of this module."""
    one_image = passes(config.dataset, config.network, config.weighting)
    return one_image.macs * config.epochs * config.steps_per_epoch * config.batch_size


def images_scored(config: RunConfig) -> int:
    """Images that are scored at the end of a run: of the training, validation and test images."""
    card = DATASETS[config.dataset]
    return config.num_train + card.num_validation + card.num_test


class Passes(NamedTuple):
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
def passes(dataset: str, network: str, weighting: str) -> Passes:
    """Count what is computed for one image of a data set, by a network under a weighting."""
    card = DATASETS[dataset]
    net = network_without_data(network, card.num_classes, card.image_shape[0])
    with torch.device("meta"):  # shapes without numbers: nothing is initialised or computed
        weigh = WEIGHTINGS.build(weighting, num_exits=net.num_exits, parameters=net.parameters(), seed=0)
    cumulative = _macs_cumulative(dataset, network)
    takes_gradients = isinstance(weigh, AdaLoss) and weigh.order == 1
    backward_passes = 1 + (weigh.num_exits if takes_gradients else 0)
    return Passes(
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

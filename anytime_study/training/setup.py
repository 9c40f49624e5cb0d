"""What a run trains with, made from its config: device, optimiser, learning rate."""

from __future__ import annotations

import torch

from anytime_core.errors import InputError
from anytime_core.networks.base import AnytimeNetwork
from anytime_core.weighting.base import LossWeighting
from anytime_study.runs.config import RunConfig
from anytime_study.training.decay import decay_groups
from anytime_study.training.processes import num_processes
from anytime_study.training.schedule import learning_rate_factor


def choose_device(config: RunConfig) -> torch.device:
    """The device of this process.

    Raises:
        InputError: there is no GPU, or there are not as many processes as the run has devices.
    """
    if num_processes() != config.devices:
        raise InputError(
            f"devices: expected {num_processes()}, the number of processes of this run, found {config.devices}; "
            "run_to_record starts as many processes as there are devices"
        )
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: expected a GPU that PyTorch can use, found none; auto takes the CPU then")
    return torch.device("cuda", torch.cuda.current_device()) if config.on_cuda else torch.device("cpu")


def make_optimiser(config: RunConfig, network: AnytimeNetwork, weighting: LossWeighting) -> torch.optim.SGD:
    """SGD of the network's parameters, and of the weighting's, where it learns its weights (uncertainty weighting)."""
    groups = decay_groups(network, config.weight_decay, config.head_weight_decay)
    if learned := list(weighting.parameters()):
        groups.append({"params": learned, "weight_decay": 0.0})
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=True)


def make_learning_rate(config: RunConfig, optimiser: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
    """The learning rate of every step of the run."""
    total_steps = config.epochs * config.steps_per_epoch
    warmup_steps = round(config.warmup_epochs * config.steps_per_epoch)
    return torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: learning_rate_factor(
            step, total_steps=total_steps, warmup_steps=warmup_steps, schedule=config.schedule
        ),
    )

"""What a run trains with, made from its config: device, random numbers, optimiser, learning rate, compiler."""

from __future__ import annotations

import logging
import math
import os
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from numpy.random import SeedSequence
from torch import nn

from anytime_core.errors import InputError
from anytime_core.networks.base import AnytimeNetwork
from anytime_core.weighting.base import LossWeighting
from anytime_core.weighting.static import sieve
from anytime_study.foundations.torch_state import own_random_state, random_state
from anytime_study.runs.config import HeadDecay, RunConfig, Schedule
from anytime_study.training.processes import num_processes, process_rank

_log = logging.getLogger(__name__)


def choose_device(config: RunConfig) -> torch.device:
    """The device of this process.

    Raises:
        InputError: there is no GPU, or there are not as many processes as the run has devices.
    """
    if num_processes() != config.devices:
        raise InputError(
            f"devices: expected {num_processes()}, the number of processes of this run, found {config.devices}; "
            "torchrun --nproc-per-node starts as many as there are devices"
        )
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: expected a GPU that PyTorch can use, found none; auto takes the CPU then")
    return torch.device("cuda", torch.cuda.current_device()) if config.on_cuda else torch.device("cpu")


class RandomStreams:
    """The random numbers of a run: four streams from one seed.

    They do not depend on the weighting: runs that differ only in their weighting start from the same weights and see
    the same batches, so their differences are paired.

    Attributes:
        order: Draws the order of the training images; on the CPU.
        crops: Draws their augmentation; on the device.
        noise: State of PyTorch's global generators where training goes on: of what draws inside a network, such as
            dropout.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        init_seed, order_seed, crops_seed, noise_seed = (int(n) for n in SeedSequence(seed).generate_state(4))
        self._init_seed, self._device = init_seed, device
        self.order = torch.Generator().manual_seed(order_seed)
        self.crops = torch.Generator(device).manual_seed(crops_seed)
        with own_random_state(device):
            torch.manual_seed(noise_seed + process_rank())  # dropout differs between the shares of a batch
            self.noise = random_state(device)

    @contextmanager
    def initialisation(self) -> Generator[None]:
        """Inside, PyTorch's global generators draw the first weights; outside they are as they were."""
        with own_random_state(self._device):
            torch.manual_seed(self._init_seed)
            yield


def make_optimiser(config: RunConfig, network: AnytimeNetwork, weighting: LossWeighting) -> torch.optim.Optimizer:
    """Of the network's parameters, and of the weighting's, where it learns its weights (uncertainty weighting)."""
    adamw = config.optimiser == "adamw"
    groups = decay_groups(network, config.weight_decay, config.head_weight_decay, spare_layer_norms=adamw)
    if learned := list(weighting.parameters()):
        groups.append({"params": learned, "weight_decay": 0.0})
    if adamw:
        return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(config.momentum, 0.99), fused=True)
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=True)


def decay_groups(
    net: AnytimeNetwork, weight_decay: float, heads: HeadDecay = "same", *, spare_layer_norms: bool = False
) -> list[dict[str, Any]]:
    """Parameter groups for an optimiser: all parameters decay but those of batch norms, or of layer norms too.

    With ``"sieve"`` the linear layer of head i, weight and bias, decays by w_i times as much, w being the static
    weights of SIEVE: early heads hardly decay. The authors' released code does so with AdaLoss; here any weighting can.
    """
    spared = (nn.modules.batchnorm._BatchNorm, *([nn.LayerNorm] if spare_layer_norms else []))
    norms = {id(p) for m in net.modules() if isinstance(m, spared) for p in m.parameters()}
    factors: dict[int, float] = {}  # of parameters that do not simply decay
    if heads == "sieve":
        for head, factor in zip(net.heads, sieve(net.num_exits).weights.tolist(), strict=True):
            linear = (module for module in head.modules() if isinstance(module, nn.Linear))
            factors.update((id(p), factor) for module in linear for p in module.parameters())
    whole = [p for p in net.parameters() if id(p) not in norms and id(p) not in factors]
    groups: list[dict[str, Any]] = [
        {"params": whole, "weight_decay": weight_decay},
        {"params": [p for p in net.parameters() if id(p) in norms], "weight_decay": 0.0},
    ]
    for factor in sorted(set(factors.values())):
        params = [p for p in net.parameters() if factors.get(id(p)) == factor]
        groups.append({"params": params, "weight_decay": factor * weight_decay})
    return groups


def make_learning_rate(config: RunConfig, optimiser: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
    """The learning rate of every step of the run."""
    total, warmup = config.epochs * config.steps_per_epoch, round(config.warmup_epochs * config.steps_per_epoch)
    return torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: learning_rate_factor(step, total_steps=total, warmup_steps=warmup, schedule=config.schedule),
    )


def learning_rate_factor(step: int, *, total_steps: int, warmup_steps: int, schedule: Schedule) -> float:
    """Learning rate of optimiser step ``step`` = 0, 1, …, total_steps - 1, as a factor of its largest value.

    Linear rise over ``warmup_steps``; then a half cosine down to 0 ("cosine"), or 1, 1/10 and 1/100 (the papers'
    schedules): from 1/2 and from 3/4 of the run on ("steps", small images), or from 1/3 and from 2/3 on ("thirds",
    ILSVRC).
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule != "cosine":
        quarters_or_thirds = (2 / 4, 3 / 4) if schedule == "steps" else (1 / 3, 2 / 3)
        return 0.1 ** sum(step >= total_steps * share for share in quarters_or_thirds)
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * progress))


def can_compile() -> bool:
    """Whether there is the C++ compiler that torch.compile calls; if not, one warning in the log says so.

    It is the one that PyTorch itself would take: ``$CXX``, else g++ (on macOS clang++).
    """
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler):
        # that no CUDA toolkit is found is no news on a machine without a GPU
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        return True
    _log.warning("compile=True, but there is no C++ compiler (%s): the network runs uncompiled", compiler)
    return False

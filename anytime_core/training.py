"""Training of one run: config in, record out."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import get_args

import torch
from lightning.fabric import Fabric
from numpy.random import SeedSequence
from torch import nn
from tqdm import tqdm

from anytime_core.batches import Batch, Split, evaluation_batches, train_batches
from anytime_core.config import PROTOCOL, RunConfig
from anytime_core.cost import exit_costs
from anytime_core.datasets import load_dataset
from anytime_core.evaluation import evaluate
from anytime_core.losses import cross_entropy_per_exit
from anytime_core.networks.ensemble import EANN
from anytime_core.provenance import provenance
from anytime_core.records import Costs, RunRecord, Scores, Timing
from anytime_core.schedule import learning_rate_factor
from anytime_core.weighting.base import BadLoss


def train(config: RunConfig, *, progress: bool = True) -> RunRecord:
    """Train one network and score every exit.

    Deterministic on a CPU: the same config on the same machine gives the same record, timing apart.

    Args:
        config: What to train.
        progress: Whether to show a progress bar on standard error.

    Raises:
        DatasetError: the data set is not there or is damaged.
        TrainingDiverged: a loss became infinite or NaN.
    """
    run = TrainingRun(config)
    run.fit(progress=progress)
    return run.record()


class TrainingDiverged(RuntimeError):
    """A loss left the numbers: what follows would not be a result."""


class TrainingRun:
    """A network in training, with all that its next step depends on.

    Attributes:
        config: What is trained.
        network: The network.
        net: The same as Fabric wraps it: in the run's precision. This is what is called.
        weighting: The weighting of the exits' losses.
        data: Images and labels, on the device.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        logging.getLogger("lightning.fabric").setLevel(logging.WARNING)  # else it tells its precision on every start
        cuda = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
        self.fabric = Fabric(
            accelerator="cuda" if cuda else "cpu",
            devices=1,
            precision="bf16-mixed" if config.precision == "bf16" else "32-true",
        )
        device = self.fabric.device
        self.data = load_dataset(config.dataset, train_size=config.train_size, device=device)

        # Three streams from one seed. They do not depend on the weighting: runs that differ only in their weighting
        # start from the same weights and see the same batches, so their differences are paired.
        init_seed, order_seed, crops_seed = (int(seed) for seed in SeedSequence(config.seed).generate_state(3))
        self._order = torch.Generator().manual_seed(order_seed)
        self._crops = torch.Generator(device).manual_seed(crops_seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(init_seed)
            network = config.build_network()  # on the CPU, so that every device starts from the same weights
        self.weighting = config.build_weighting(network).to(device)
        self.costs = exit_costs(network, self.data.card.image_shape)

        self.network = network.to(memory_format=torch.channels_last)  # the layout in which convolutions run fastest
        groups = _decay_groups(network, config.weight_decay)
        if learned := list(self.weighting.parameters()):  # a weighting may learn its weights (uncertainty weighting)
            groups.append({"params": learned, "weight_decay": 0.0})
        optimiser = torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=True)
        self.net, self.optimiser = self.fabric.setup(self.network, optimiser)
        total_steps = config.epochs * config.steps_per_epoch
        self._rate = torch.optim.lr_scheduler.LambdaLR(
            optimiser,
            lambda step: learning_rate_factor(
                step,
                total_steps=total_steps,
                warmup_steps=round(config.warmup_epochs * config.steps_per_epoch),
                schedule=config.schedule,
            ),
        )
        self._epoch_losses: list[list[float]] = []
        self._epoch_weights: list[list[float]] = []
        self._seconds = 0.0

    def fit(self, *, progress: bool = True) -> None:
        """Train for all epochs."""
        with (
            _settings(self.config.threads, deterministic=self.fabric.device.type == "cpu"),
            tqdm(total=self.config.epochs, desc=self.config.name, unit="epoch", disable=not progress) as bar,
        ):
            for _ in range(self.config.epochs):
                self._train_epoch()
                bar.set_postfix(last_exit_loss=f"{self._epoch_losses[-1][-1]:.4f}", refresh=False)
                bar.update()

    def _train_epoch(self) -> None:
        start = time.perf_counter()
        losses = torch.zeros_like(self.weighting.weights)
        try:
            for images, labels in self.epoch_batches():
                batch_losses = cross_entropy_per_exit(self.net(images), labels)  # [K]
                objective = self.weighting(batch_losses)
                self.optimiser.zero_grad(set_to_none=True)
                self.fabric.backward(objective)
                self.optimiser.step()
                self._rate.step()
                losses += batch_losses.detach()
            self.weighting.check()  # the only wait for the device in an epoch, with the two lists below
        except BadLoss as error:
            raise TrainingDiverged(
                f"{self.config.name}: epoch {len(self._epoch_losses) + 1}: {error}; "
                f"try a learning rate below {self.config.learning_rate:g}"
            ) from None
        self.weighting.end_epoch()
        self._epoch_losses.append((losses / self.config.steps_per_epoch).tolist())
        self._epoch_weights.append(self.weighting.weights.tolist())
        self._seconds += time.perf_counter() - start

    def epoch_batches(self) -> Iterator[Batch]:
        """The batches of the next epoch; each call draws a new order and new crops."""
        config = self.config
        return train_batches(
            self.data,
            config.batch_size,
            order=self._order,
            crops=self._crops,
            augment=config.augment,
            workers=config.workers,
        )

    def _scores(self, split: Split) -> Scores:
        batches = evaluation_batches(self.data, split, workers=self.config.workers)
        return Scores(**vars(evaluate(self.net, batches)))

    def record(self) -> RunRecord:
        """Score every exit on all splits and write down the run."""
        config = self.config
        with _settings(config.threads, deterministic=self.fabric.device.type == "cpu"):
            if isinstance(self.network, EANN):  # which exits count is decided on validation images, before any score
                self.network.adopt(self._scores("validation").error)
            scores = {split: self._scores(split) for split in get_args(Split)}
            made = provenance(self.fabric.device)
        images_seen = config.epochs * config.steps_per_epoch * config.batch_size
        return RunRecord(
            name=config.name,
            protocol=PROTOCOL,
            config=config,
            num_exits=self.weighting.num_exits,
            epoch_losses=self._epoch_losses,
            epoch_weights=self._epoch_weights,
            **scores,
            costs=Costs(**{key: list(value) for key, value in vars(self.costs).items()}),
            timing=Timing(seconds=self._seconds, images_per_second=images_seen / self._seconds),
            provenance=made,
        )


def _decay_groups(net: nn.Module, weight_decay: float) -> list[dict]:
    """Parameters of convolutions and linear layers decay, those of batch norm do not (as in the authors' code)."""
    norms = {id(p) for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) for p in m.parameters()}
    return [
        {"params": [p for p in net.parameters() if id(p) not in norms], "weight_decay": weight_decay},
        {"params": [p for p in net.parameters() if id(p) in norms], "weight_decay": 0.0},
    ]


@contextmanager
def _settings(threads: int, *, deterministic: bool) -> Generator[None]:
    """PyTorch's process-wide settings for the time of a run; what was set before comes back."""
    threads_before = torch.get_num_threads()
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)

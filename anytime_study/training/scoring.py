"""The end of a run: every exit is scored on all splits, and what there is to keep is written down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import torch
from torch import nn

from anytime_core.costs import ExitCosts
from anytime_core.networks.base import AnytimeNetwork
from anytime_study.datasets.images import Split
from anytime_study.foundations.provenance import provenance
from anytime_study.runs.config import PROTOCOL, RunConfig
from anytime_study.runs.record import Costs, DivergedRecord, EarlyExitScores, RunRecord, Scores, Timing, packed
from anytime_study.training.evaluation import ExitScores, evaluate
from anytime_study.training.exit_saving import early_exit_scores

if TYPE_CHECKING:
    from anytime_study.datasets.images import ImageData


class TrainingDiverged(RuntimeError):
    """A loss became NaN or infinite: what follows would not be a result.

    Attributes:
        record: What there is to keep of the run.
    """

    def __init__(self, record: DivergedRecord) -> None:
        super().__init__(record.reason)
        self.record = record


@dataclass(frozen=True)
class TrainingHistory:
    """How training went: E epochs that were completed, K exits.

    Attributes:
        config: What was trained.
        num_exits: K.
        epoch_losses: Mean training loss of every exit, epoch by epoch, [E, K].
        epoch_weights: The weights after each epoch, [E, K].
        seconds: Wall-clock seconds of all training steps.
        device: Where it was trained.
        compiled: Whether torch.compile was at work.
    """

    config: RunConfig
    num_exits: int
    epoch_losses: list[list[float]]
    epoch_weights: list[list[float]]
    seconds: float
    device: torch.device
    compiled: bool

    def described(self) -> dict[str, Any]:
        """What records of finished and of diverged runs have in common."""
        images_seen = len(self.epoch_losses) * self.config.steps_per_epoch * self.config.batch_size
        return {
            "name": self.config.name,
            "protocol": PROTOCOL,
            "config": self.config,
            "num_exits": self.num_exits,
            "epoch_losses": self.epoch_losses,
            "epoch_weights": self.epoch_weights,
            "timing": Timing(
                seconds=self.seconds, images_per_second=images_seen / self.seconds if images_seen else 0.0
            ),
            "provenance": provenance(self.device, compiled=self.compiled),
        }

    def diverged(self, exit_number: int, what: str) -> TrainingDiverged:
        """The error that ends a run in the epoch at hand, with its record."""
        epoch = len(self.epoch_losses) + 1
        return TrainingDiverged(
            DivergedRecord(
                **self.described(),
                epoch=epoch,
                exit=exit_number,
                reason=f"{self.config.name}: epoch {epoch}: {what}; "
                f"try a learning rate below {self.config.learning_rate:g}",
            )
        )


def scored_record(history: TrainingHistory, network: AnytimeNetwork, data: ImageData, costs: ExitCosts) -> RunRecord:
    """Score every exit on all splits and write down the run.

    Args:
        history: How training went.
        network: The trained network; an ensemble decides here which of its exits it adopts.
        data: Its three splits are scored.
        costs: Of the network.

    Raises:
        TrainingDiverged: the network gives no numbers: its weights or its running statistics blew up at the end.
    """
    with torch.compiler.set_stance("force_eager"):  # else a compiled network is compiled again to be evaluated
        if network.adopted is not None:  # which exits answer is decided on validation images, before any score
            network.adopt(_scores(history, network, data, "validation").error)
        scores = {split: _scores(history, network, data, split) for split in get_args(Split)}
        correct = packed(scores["test"].correct)
        early_exit = _early_exit(network, data) if history.config.early_exit else None
    return RunRecord(
        **history.described(),
        **{split: Scores(loss=found.loss, error=found.error) for split, found in scores.items()},
        test_correct=correct,
        costs=Costs(**{key: list(value) for key, value in vars(costs).items()}),
        early_exit=early_exit,
    )


def _scores(history: TrainingHistory, net: nn.Module, data: ImageData, split: Split) -> ExitScores:
    scores = evaluate(net, data.batches(split), bf16=history.config.precision == "bf16")
    for exit_number, loss in enumerate(scores.loss, start=1):
        if not math.isfinite(loss):
            raise history.diverged(exit_number, f"the {split} loss of the trained network is {loss}")
    return scores


def _early_exit(network: AnytimeNetwork, data: ImageData) -> EarlyExitScores:
    return early_exit_scores(network, data.batches("validation"), data.batches("test"), data.card.image_shape)

"""The end of a run: every exit is scored on all splits, and what there is to keep is written down."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, get_args

import torch
from torch import Tensor, nn

from anytime_core.costs import exit_costs
from anytime_core.inference.early_exit import EarlyExit, answer_costs
from anytime_core.inference.logits import exit_logits
from anytime_core.inference.thresholds import fit_non_inferior_thresholds
from anytime_core.losses import cross_entropy_per_exit
from anytime_core.networks.base import AnytimeNetwork, modes_kept
from anytime_study.datasets.images import Batch, Split
from anytime_study.foundations.provenance import provenance
from anytime_study.runs.config import PROTOCOL
from anytime_study.runs.record import Costs, DivergedRecord, EarlyExitScores, RunRecord, Scores, Timing, packed

if TYPE_CHECKING:
    from anytime_study.training.loop import TrainingRun


class TrainingDiverged(RuntimeError):
    """A loss became NaN or infinite: what follows would not be a result.

    Attributes:
        record: What there is to keep of the run.
    """

    def __init__(self, record: DivergedRecord) -> None:
        super().__init__(record.reason)
        self.record = record


def diverged(run: TrainingRun, exit_number: int, what: str) -> TrainingDiverged:
    """The error that ends a run in the epoch at hand, with its record."""
    config, epoch = run.config, len(run.epoch_losses) + 1
    reason = f"{config.name}: epoch {epoch}: {what}; try a learning rate below {config.learning_rate:g}"
    return TrainingDiverged(DivergedRecord(**_history(run), epoch=epoch, exit=exit_number, reason=reason))


def scored_record(run: TrainingRun) -> RunRecord:
    """Score every exit on all splits and write down the run; an ensemble decides here which of its exits it adopts.

    Raises:
        TrainingDiverged: the network gives no numbers: its weights or its running statistics blew up at the end.
    """
    network, data = run.network, run.data
    with torch.compiler.set_stance("force_eager"):  # else a compiled network is compiled again to be evaluated
        if network.adopted is not None:  # which exits answer is decided on validation images, before any score
            network.adopt(_scores(run, "validation")[0].error)
        scored = {split: _scores(run, split) for split in get_args(Split)}
        early_exit = None
        if run.config.early_exit:
            splits = data.batches("validation"), data.batches("test")
            early_exit = early_exit_scores(network, *splits, data.card.example())
    return RunRecord(
        **_history(run),
        **{split: scores for split, (scores, _) in scored.items()},
        test_correct=None if data.card.reads_text else packed(scored["test"][1]),  # of a text: larger than it
        costs=Costs(**{key: list(value) for key, value in vars(run.costs).items()}),
        early_exit=early_exit,
    )


def _history(run: TrainingRun) -> dict[str, Any]:
    """What records of finished and of diverged runs have in common."""
    images_seen = len(run.epoch_losses) * run.config.steps_per_epoch * run.config.batch_size
    return {
        "name": run.config.name,
        "protocol": PROTOCOL,
        "config": run.config,
        "num_exits": run.weighting.num_exits,
        "epoch_losses": run.epoch_losses,
        "epoch_weights": run.epoch_weights,
        "timing": Timing(seconds=run.seconds, images_per_second=images_seen / run.seconds if images_seen else 0.0),
        "provenance": provenance(run.device, compiled=run.compiled),
    }


def _scores(run: TrainingRun, split: Split) -> tuple[Scores, Tensor]:
    """Scores on a split, and which of its images each exit answers rightly, bool [K, N]."""
    losses, correct = evaluate(run.network, run.data.batches(split), bf16=run.config.precision == "bf16")
    for exit_number, loss in enumerate(losses, start=1):
        if not math.isfinite(loss):
            raise diverged(run, exit_number, f"the {split} loss of the trained network is {loss}")
    errors = (~correct).sum(1).double() / correct.shape[1]
    return Scores(loss=losses, error=errors.tolist()), correct


def evaluate(net: nn.Module, batches: Iterable[Batch], *, bf16: bool = False) -> tuple[list[float], Tensor]:
    """Loss of every exit of ``net``, and which images it answers rightly, in evaluation mode.

    Args:
        net: images -> logits [K, N, num_classes]. The mode of each of its parts is restored afterwards.
        batches: Normalised images float32 [N, C, H, W] with labels int64 [N], or [N, K] where exit k has a task of its
            own and is scored on column k; or windows of a text [N, T] with labels [N, T], of each character, for logits
            [K, N, T, num_classes]. How they are cut into batches does not change the scores beyond rounding.
        bf16: Whether convolutions are computed in bfloat16 (autocast).

    Returns:
        Mean cross-entropy in nats, [K], and whether the largest logit is the label's, bool [K, N] on the CPU, images in
        their order.

    Raises:
        ValueError: there is no batch.
    """
    losses, correct, count = [], [], 0
    with modes_kept(net), torch.inference_mode():
        net.eval()
        for images, labels in batches:
            with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
                logits = net(images).float()  # [K, N, num_classes]
            targets = labels.T if labels.ndim == logits.ndim - 1 == 2 else labels  # [N] or [N, T]; [K, N] of K tasks
            losses.append(cross_entropy_per_exit(logits, labels) * len(labels))
            correct.append((logits.argmax(-1) == targets).flatten(1))  # [K, N], or [K, N · T]
            count += len(labels)
        if not losses:
            raise ValueError("batches: expected at least one, found none")
        loss = (torch.stack(losses).double().sum(0) / count).tolist()  # the first wait for the device
    return loss, torch.cat(correct, 1).cpu()


def early_exit_scores(
    net: AnytimeNetwork, validation: Iterable[Batch], test: Iterable[Batch], image_shape: tuple[int, ...]
) -> EarlyExitScores:
    """Run early exit on test images, beside the last exit.

    Thresholds are the cheapest that err no more than the last exit on validation images. The test images really leave:
    each batch shrinks. Their labels serve to count errors alone.

    Args:
        net: The trained network.
        validation: Batches of held-out images, not augmented, with labels [N]; gone through once.
        test: Batches of test images with labels; gone through once.
        image_shape: (C, H, W).

    Raises:
        InputError: batches that cannot be used.
    """
    logits, labels = exit_logits(net, validation)
    early = EarlyExit(net, fit_non_inferior_thresholds(logits, labels, answer_costs(net, image_shape)))
    early_wrong, last_wrong, macs, exits = [], [], [], []
    for images, targets in test:
        prediction = early.predict(images)
        with torch.inference_mode():
            last = net(images)[early.exits[-1] - 1]
        early_wrong.append((prediction.logits.argmax(1) != targets).cpu())
        last_wrong.append((last.argmax(1) != targets).cpu())
        macs.append(prediction.macs.cpu())
        exits.append(prediction.exit.cpu())
    taken = torch.cat(exits)
    return EarlyExitScores(
        thresholds=[value if math.isfinite(value) else None for value in early.thresholds],
        exit_shares=[(taken == number).double().mean().item() for number in early.exits],
        error=torch.cat(early_wrong).double().mean().item(),
        last_error=torch.cat(last_wrong).double().mean().item(),
        macs=torch.cat(macs).double().mean().item(),
        last_macs=exit_costs(net, image_shape).macs_fixed[early.exits[-1] - 1],
    )

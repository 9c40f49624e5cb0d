"""A balancer of gradients, for scale: torchjd's IMTL-G, which needs the gradient of every loss by itself."""

from __future__ import annotations

from torchjd.aggregation import IMTLG
from torchjd.autojac import backward, jac_to_grad

from anytime_core.losses import cross_entropy_per_exit
from anytime_study.training.loop import TrainingRun


class GradientBalancing:
    """Training steps of a run in which IMTL-G makes one gradient of those of the K losses.

    Args:
        run: Its network, optimiser and batches are used; its weighting is not.
    """

    def __init__(self, run: TrainingRun) -> None:
        self.run = run
        self.aggregator = IMTLG()
        self.batches = run.epoch_batches()

    def step(self) -> None:
        """One step of training. Begins the epoch anew when it is over."""
        batch = next(self.batches, None)
        if batch is None:
            self.batches = self.run.epoch_batches()
            batch = next(self.batches)
        images, labels = batch
        losses = cross_entropy_per_exit(self.run.net(images), labels)
        self.run.optimiser.zero_grad(set_to_none=True)
        # One backward pass after the other: all at once (torch.vmap) took twice as long on a CPU.
        backward(losses, inputs=self.run.network.parameters(), parallel_chunk_size=1)
        jac_to_grad(self.run.network.parameters(), self.aggregator)
        self.run.optimiser.step()

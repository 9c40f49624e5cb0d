"""Training as the package does it: steps of a real TrainingRun."""

from __future__ import annotations

from anytime_study.foundations.torch_state import compute_settings
from anytime_study.runs.config import RunConfig
from anytime_study.training.loop import TrainingRun
from benchmarks.turns import Block, clock, timed


class PackagedTraining:
    """A run that is trained step by step, batches and augmentation included.

    Attributes:
        run: The run.
        first_step_seconds: Time of the first step, in which a compiled network is compiled.
    """

    def __init__(self, config: RunConfig) -> None:
        self.run = TrainingRun(config)
        self._steps = self.run.steps()
        self._deterministic = self.run.fabric.device.type == "cpu"  # as TrainingRun.fit has it
        start = clock()
        with compute_settings(config.threads, deterministic=self._deterministic):
            self.step()
        self.first_step_seconds = clock() - start

    def step(self) -> None:
        """One step of training."""
        next(self._steps)

    def block(self, number: int) -> Block:
        """Time ``number`` steps in a row."""
        return timed(self.step, number=number, threads=self.run.config.threads, deterministic=self._deterministic)

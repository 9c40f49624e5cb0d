"""The random numbers of a run: streams of its own, all from its seed."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from numpy.random import SeedSequence

from anytime_study.foundations.torch_state import own_random_state, random_state
from anytime_study.training.processes import process_rank


class RandomStreams:
    """Four streams from one seed.

    They do not depend on the weighting: runs that differ only in their weighting start from the same weights and see
    the same batches, so their differences are paired.

    Args:
        seed: The run's.
        device: Where the network computes.

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

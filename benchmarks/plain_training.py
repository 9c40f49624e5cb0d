"""The training loop that someone would write otherwise, with what the usual tutorials use."""

from __future__ import annotations

from collections.abc import Generator

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from anytime_study.datasets.images import ImageData
from anytime_study.foundations.torch_state import compute_settings
from benchmarks.turns import clock

PREFETCHED = 2  # batches that each worker of a DataLoader has ready, PyTorch's default


class PilImages(Dataset):
    """Training images one by one, as torchvision's data sets give them."""

    def __init__(self, data: ImageData) -> None:
        self.images = data.train_images.cpu().permute(0, 2, 3, 1).squeeze(-1).contiguous()  # [n, H, W] or [n, H, W, 3]
        self.labels = data.train_labels.cpu()
        height = data.card.image_shape[1]
        flip = [transforms.RandomHorizontalFlip()] if data.card.flip else []
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(height, padding=data.card.pad),
                *flip,
                transforms.ToTensor(),
                transforms.Normalize(data.mean.tolist(), data.std.tolist()),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index].numpy())), int(self.labels[index])


class PlainTraining:
    """Training step by step: K cross-entropies, AdaLoss written inline with ``.item()``, SGD as it comes.

    Args:
        network: images -> list of K logits.
        data: Images.
        batch_size: Images per step.
        workers: Processes of the DataLoader.
        threads: CPU threads.
        device: Where the network is trained.
    """

    def __init__(
        self, network: nn.Module, data: ImageData, *, batch_size: int, workers: int, threads: int, device: torch.device
    ) -> None:
        self.network = network.to(device)
        self.device, self.workers, self.threads = device, workers, threads
        self.loader = DataLoader(
            PilImages(data),
            batch_size=batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            pin_memory=device.type == "cuda",
        )
        # A small rate, so that nothing diverges however long it is measured: the time does not depend on it.
        self.optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, T_max=100_000)
        self.averages: list[float] = []
        self.weights: list[float] = []
        self.steps = 0

    def step(self, images: Tensor, labels: Tensor) -> None:
        """One step of training."""
        images, labels = images.to(self.device), labels.to(self.device)
        losses = [F.cross_entropy(logits, labels) for logits in self.network(images)]
        weights = self.weights or [1.0] * len(losses)
        objective = torch.stack([weight * loss for weight, loss in zip(weights, losses, strict=True)]).sum()
        self.optimiser.zero_grad()
        objective.backward()
        self.optimiser.step()
        self.schedule.step()
        values = [loss.item() for loss in losses]
        averages = self.averages or values
        self.averages = [0.99 * old + 0.01 * new for old, new in zip(averages, values, strict=True)]
        self.steps += 1
        if self.steps % 100 == 0:
            inverse = [1 / max(average, 1e-8) for average in self.averages]
            self.weights = [0.93 * weight / max(inverse) + 0.07 for weight in inverse]

    def batches(self) -> Generator[tuple[Tensor, Tensor]]:
        """Endless batches."""
        while True:
            yield from self.loader

    def measure(self, number: int) -> float:
        """Seconds per step over ``number`` steps.

        Workers start and end with the block: they would work ahead in other contenders' turns. What they have ready
        when all is in motion is used up before the clock starts; starting them is not counted, as an epoch is long.
        """
        batches = self.batches()
        with compute_settings(self.threads, deterministic=False):
            for _ in range(2 + PREFETCHED * self.workers):
                self.step(*next(batches))
            start = clock()
            for _ in range(number):
                self.step(*next(batches))
            seconds = (clock() - start) / number
        batches.close()
        return seconds

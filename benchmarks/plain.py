"""What someone would write otherwise: the same network and training loop with what the usual tutorials use."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from anytime_study.datasets.images import ImageData
from anytime_study.foundations.torch_state import compute_settings
from benchmarks.machine import Settings, images_of
from benchmarks.timing import clock

PREFETCHED = 2  # batches that each worker of a DataLoader has ready, PyTorch's default


class PlainUnit(nn.Module):
    """A pre-activation residual unit; where channels double, the map is halved."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.added = after - before
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, after, 3, stride=2 if self.added else 1, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H, W], or [N, 2C, ⌈H/2⌉, ⌈W/2⌉]."""
        out = self.conv1(F.relu(self.norm1(x)))
        out = self.norm3(self.conv2(F.relu(self.norm2(out))))
        if self.added:
            x = F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
            x = F.pad(x, (0, 0, 0, 0, self.added // 2, self.added // 2))
        return out + x


class PlainResANN(nn.Module):
    """Three stages of ``n`` units, ``c`` channels at first, an exit after every unit."""

    def __init__(self, n: int, c: int, num_classes: int, in_channels: int) -> None:
        super().__init__()
        widths = [c * 2**stage for stage in range(3) for _ in range(n)]
        self.stem = nn.Conv2d(in_channels, c, 3, padding=1, bias=False)
        self.units = nn.ModuleList(
            PlainUnit(before, after) for before, after in zip([c, *widths], widths, strict=False)
        )
        self.heads = nn.ModuleList(nn.Linear(width, num_classes) for width in widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images [N, in_channels, H, W] -> K logits [N, num_classes]."""
        x = self.stem(x)
        logits = []
        for unit, head in zip(self.units, self.heads, strict=True):
            x = unit(x)
            logits.append(head(F.relu(x).mean((2, 3))))
        return logits


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
    """Training step by step: K cross-entropies, AdaLoss written inline with ``.item()``, SGD as it comes."""

    def __init__(self, settings: Settings, workers: int) -> None:
        data = images_of(settings)
        self.device, self.workers, self.threads = torch.device(settings.device), workers, settings.threads
        self.network = PlainResANN(*settings.size, data.card.num_classes, data.card.image_shape[0]).to(self.device)
        self.loader = DataLoader(
            PilImages(data),
            batch_size=settings.batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            pin_memory=settings.device == "cuda",
        )
        # A small rate, so that nothing diverges however long it is measured: the time does not depend on it.
        self.optimiser = torch.optim.SGD(self.network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
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

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Endless batches."""
        return chain.from_iterable(repeat(self.loader))

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
            return (clock() - start) / number

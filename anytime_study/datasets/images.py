"""A data set in memory, ready for training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from anytime_study.datasets.augment import random_crop_flip
from anytime_study.datasets.card import Arrays, DataCard

Batch = tuple[Tensor, Tensor]  # images float32 [N, C, H, W], normalised; labels int64 [N], or [N, T] of T tasks
Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images and labels of one data set, all on one device.

    Images are uint8 [n, C, H, W], labels int64 [n], or [n, T] where the card's ``num_tasks`` T is not 1. The training
    images are shuffled, once and for all.

    Attributes:
        card: Facts about the data set. Its ``num_train`` is the full number; ``len(train_labels)`` is what is used.
        train_images, train_labels: For training.
        validation_images, validation_labels: Held out from the training set, for every choice.
        test_images, test_labels: For the final errors only.
        mean, std: float32 [C], of the pixels of the training images used, where black is 0 and white is 1.
    """

    card: DataCard
    train_images: Tensor = field(repr=False)
    train_labels: Tensor = field(repr=False)
    validation_images: Tensor = field(repr=False)
    validation_labels: Tensor = field(repr=False)
    test_images: Tensor = field(repr=False)
    test_labels: Tensor = field(repr=False)
    mean: Tensor
    std: Tensor

    @classmethod
    def from_arrays(cls, card: DataCard, arrays: Arrays, device: torch.device | str) -> ImageData:
        """Put what a reader has read on a device."""
        # In C order, whatever the files have: the order decides how convolutions round.
        tensors = [torch.from_numpy(np.require(array, requirements=["C", "W"])) for array in arrays]
        return cls(card, *(tensor.to(device) for tensor in (*tensors, *pixel_statistics(tensors[0]))))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels 0, 1, …."""
        return self.card.class_names

    def train_batches(
        self,
        batch_size: int,
        *,
        order: torch.Generator,
        crops: torch.Generator,
        augment: bool,
        skip: int = 0,
        share: tuple[int, int] = (0, 1),
    ) -> Iterator[Batch]:
        """One pass over the training images in a new order; the last incomplete batch is left out.

        Args:
            batch_size: N.
            order: Draws the order; on the CPU, so that it is the same for every device.
            crops: Draws the augmentation, and lies on the device of the images.
            augment: Whether to crop, and to flip where the data set allows it.
            skip: Batches to leave out at the start, of a pass that goes on: they are neither read nor augmented.
            share: (r, n) gives the r-th of n equal parts of each batch, counted from 0: of the batches that one process
                would see, with the same crops. ``batch_size`` is that of all parts together, a multiple of n.
        """
        size = batch_size // share[1]
        own = slice(share[0] * size, (share[0] + 1) * size)
        shuffled = torch.randperm(len(self.train_labels), generator=order).to(self.train_labels.device)
        for start in range(skip * batch_size, len(shuffled) - batch_size + 1, batch_size):
            chosen = shuffled[start : start + batch_size]
            images = self.train_images[chosen]
            if augment:  # all images of the batch, so that every process draws what one alone would draw
                images = random_crop_flip(images, pad=self.card.pad, flip=self.card.flip, generator=crops)
            yield self.normalise(images[own]), self.train_labels[chosen[own]]

    def batches(self, split: Split, batch_size: int = 1000) -> Iterator[Batch]:
        """All images of a split in their order, not augmented; the last batch may be smaller."""
        images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
        for start in range(0, len(labels), batch_size):
            yield self.normalise(images[start : start + batch_size]), labels[start : start + batch_size]

    def normalise(self, images: Tensor) -> Tensor:
        """Map uint8 images [N, C, H, W] to float32 (images / 255 − mean) / std, in the same memory format.

        Raises:
            ValueError: ``images`` is not uint8 or has another number of channels.
        """
        channels = len(self.mean)
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != channels:
            raise ValueError(f"images: expected uint8 [N, {channels}, H, W], found {images.dtype} {list(images.shape)}")
        scaled = images.to(torch.float32).div_(255)
        return scaled.sub_(self.mean.view(-1, 1, 1)).div_(self.std.view(-1, 1, 1))


def pixel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, float32 [C] each, on the scale 0 … 1.

    Exact: the 256 grey levels are counted, block by block, so that no float copy of the images is ever made. The
    deviation is at least one grey level, 1/255, so that a channel of one level can be divided by it.

    Args:
        images: uint8 [n, C, H, W].
    """
    channels = images.shape[1]
    counts = torch.zeros(channels, 256, dtype=torch.int64)
    for block in images.split(8192):
        for channel in range(channels):
            counts[channel] += torch.bincount(block[:, channel].flatten(), minlength=256)
    share = counts.to(torch.float64) / counts.sum(dim=1, keepdim=True)  # [C, 256]
    level = torch.arange(256, dtype=torch.float64) / 255
    mean = share @ level  # [C]
    variance = (share * (level - mean[:, None]) ** 2).sum(dim=1)  # [C]
    return mean.to(torch.float32), variance.sqrt().clamp(min=1 / 255).to(torch.float32)

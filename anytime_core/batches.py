"""Batches of normalised images, alike for data that lies on the device and for data that is streamed to it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from anytime_core.augment import random_crop_flip
from anytime_core.datasets import ImageData

Batch = tuple[Tensor, Tensor]  # images float32 [N, C, H, W], normalised; labels int64 [N]


def train_batches(
    data: ImageData, batch_size: int, *, order: torch.Generator, crops: torch.Generator, augment: bool
) -> Iterator[Batch]:
    """One pass over the training images in a new order; the last incomplete batch is left out.

    Args:
        data: Images on the device.
        batch_size: N.
        order: Draws the order; on the CPU, so that it is the same for every device.
        crops: Draws the augmentation, on the device of the images.
        augment: Whether to crop, and to flip where the data set allows it.
    """
    shuffled = torch.randperm(len(data.train_labels), generator=order).to(data.train_labels.device)
    for start in range(0, len(shuffled) - batch_size + 1, batch_size):
        chosen = shuffled[start : start + batch_size]
        images = data.train_images[chosen]
        if augment:
            images = random_crop_flip(images, pad=data.card.pad, flip=data.card.flip, generator=crops)
        yield data.normalise(images), data.train_labels[chosen]


def evaluation_batches(data: ImageData, split: str, *, batch_size: int = 1000) -> Iterator[Batch]:
    """All images of a split ("train", "validation" or "test") in their order, not augmented.

    Args:
        data: Images on the device.
        split: Which images.
        batch_size: Images at once; the last batch may be smaller.
    """
    images, labels = getattr(data, f"{split}_images"), getattr(data, f"{split}_labels")
    for start in range(0, len(labels), batch_size):
        yield data.normalise(images[start : start + batch_size]), labels[start : start + batch_size]

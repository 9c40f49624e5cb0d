"""Batches of normalised images, alike for data that lies on the device and for data that is streamed to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from anytime_study.datasets import ImageData, ImageStream
from anytime_study.datasets.augment import random_crop_flip

Batch = tuple[Tensor, Tensor]  # images float32 [N, C, H, W], normalised; labels int64 [N], or [N, T] of T tasks
Split = Literal["train", "validation", "test"]


def train_batches(
    data: ImageData | ImageStream,
    batch_size: int,
    *,
    order: torch.Generator,
    crops: torch.Generator,
    augment: bool,
    workers: int = 0,
    skip: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """One pass over the training images in a new order; the last incomplete batch is left out.

    Args:
        data: Images on the device, or streamed to it.
        batch_size: N.
        order: Draws the order; on the CPU, so that it is the same for every device. Draws the crops of a stream too.
        crops: Draws the augmentation of images on the device, and lies there with them.
        augment: Whether to crop, and to flip where the data set allows it.
        workers: Processes that decode the images of a stream.
        skip: Batches to leave out at the start, of a pass that goes on: they are neither read nor augmented.
        share: (r, n) gives the r-th of n equal parts of each batch, counted from 0: of the batches that one process
            would see, with the same crops. ``batch_size`` is that of all parts together.

    Raises:
        ValueError: the batches cannot be cut into n equal parts.
    """
    if batch_size % share[1]:
        raise ValueError(f"batch_size: expected a multiple of {share[1]} processes, found {batch_size}")
    if isinstance(data, ImageStream):
        return data.train_batches(batch_size, generator=order, augment=augment, workers=workers, skip=skip, share=share)
    return _resident_batches(data, batch_size, order, crops if augment else None, skip, share)


def _resident_batches(
    data: ImageData,
    batch_size: int,
    order: torch.Generator,
    crops: torch.Generator | None,
    skip: int,
    share: tuple[int, int],
) -> Iterator[Batch]:
    size = batch_size // share[1]
    own = slice(share[0] * size, (share[0] + 1) * size)
    shuffled = torch.randperm(len(data.train_labels), generator=order).to(data.train_labels.device)
    for start in range(skip * batch_size, len(shuffled) - batch_size + 1, batch_size):
        chosen = shuffled[start : start + batch_size]
        images = data.train_images[chosen]
        if crops is not None:  # all images of the batch, so that every process draws what one alone would draw
            images = random_crop_flip(images, pad=data.card.pad, flip=data.card.flip, generator=crops)
        yield data.normalise(images[own]), data.train_labels[chosen[own]]


def evaluation_batches(
    data: ImageData | ImageStream, split: Split, *, batch_size: int | None = None, workers: int = 0
) -> Iterator[Batch]:
    """All images of a split in their order, not augmented; the last batch may be smaller.

    Args:
        data: Images on the device, or streamed to it.
        split: Which images.
        batch_size: Images at once; by default 1000 small ones, or 100 of a stream, which are large.
        workers: Processes that decode the images of a stream.
    """
    if isinstance(data, ImageStream):
        yield from data.evaluation_batches(split, batch_size or 100, workers)
        return
    images, labels = getattr(data, f"{split}_images"), getattr(data, f"{split}_labels")
    size = batch_size or 1000
    for start in range(0, len(labels), size):
        yield data.normalise(images[start : start + size]), labels[start : start + size]


def first_images(data: ImageData | ImageStream, count: int) -> Batch:
    """The first training images as people see them: uint8 [count, C, H, W], with their labels."""
    if isinstance(data, ImageStream):
        images, labels = next(data.evaluation_batches("train", count, 0))
        levels = (images * data.std.view(-1, 1, 1) + data.mean.view(-1, 1, 1)) * 255
        return levels.round().clamp(0, 255).to(torch.uint8), labels
    return data.train_images[:count], data.train_labels[:count]

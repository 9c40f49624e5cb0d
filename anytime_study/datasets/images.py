"""A data set in memory, ready for training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anytime_study.datasets.card import Arrays, DataCard

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images and labels of one data set, all on one device.

    Images are uint8 [n, C, H, W], labels int64 [n], or [n, T] where the card's ``num_tasks`` T is not 1. The training
    images are shuffled, once and for all.

    Attributes:
        card: Facts about the data set. Its ``num_train`` is the full number; ``len(train_labels)`` is what is used.
        train_images: For training.
        train_labels: For training.
        validation_images: Held out from the training set, for every choice.
        validation_labels: Held out from the training set, for every choice.
        test_images: For the final errors only.
        test_labels: For the final errors only.
        mean: float32 [C], mean pixel of the training images used, on the scale where black is 0 and white is 1.
        std: float32 [C], standard deviation of the pixels of the training images used, on the same scale.
    """

    card: DataCard
    train_images: torch.Tensor = field(repr=False)
    train_labels: torch.Tensor = field(repr=False)
    validation_images: torch.Tensor = field(repr=False)
    validation_labels: torch.Tensor = field(repr=False)
    test_images: torch.Tensor = field(repr=False)
    test_labels: torch.Tensor = field(repr=False)
    mean: torch.Tensor
    std: torch.Tensor

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels 0, 1, …."""
        return self.card.class_names

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Map uint8 images [N, C, H, W] to float32 (images / 255 − mean) / std, in the same memory format.

        Raises:
            ValueError: ``images`` is not uint8 or has another number of channels.
        """
        return normalise(images, self.mean, self.std)


def resident(card: DataCard, arrays: Arrays, device: torch.device | str) -> ImageData:
    """Put what a reader has read on a device."""
    import torch

    mean, std = pixel_statistics(arrays.train_images)
    tensors = (torch.from_numpy(array).to(device) for array in arrays)
    return ImageData(card, *tensors, mean.to(device), std.to(device))


def normalise(images: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """Map uint8 images [N, C, H, W] to float32 (images / 255 − mean) / std, in the same memory format.

    Args:
        images: uint8 [N, C, H, W].
        mean: float32 [C], on the scale where white is 1.
        std: float32 [C], on the same scale.

    Raises:
        ValueError: ``images`` is not uint8 or has another number of channels.
    """
    import torch

    channels = len(mean)
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != channels:
        raise ValueError(f"images: expected uint8 [N, {channels}, H, W], found {images.dtype} {list(images.shape)}")
    return images.to(torch.float32).div_(255).sub_(mean.view(-1, 1, 1)).div_(std.view(-1, 1, 1))


def pixel_statistics(images: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each channel, float32 [C] each, on the scale 0 … 1.

    Exact: the 256 grey levels are counted, block by block, so that no float copy of the images is ever made. The
    deviation is at least one grey level, 1/255, so that a channel of one level can be divided by it.

    Args:
        images: uint8 [n, C, H, W].
    """
    import torch

    channels = images.shape[1]
    counts = torch.zeros(channels, 256, dtype=torch.int64)
    for block in torch.from_numpy(images).split(8192):
        for channel in range(channels):
            counts[channel] += torch.bincount(block[:, channel].flatten(), minlength=256)
    share = counts.to(torch.float64) / counts.sum(dim=1, keepdim=True)  # [C, 256]
    level = torch.arange(256, dtype=torch.float64) / 255
    mean = share @ level  # [C]
    variance = (share * (level - mean[:, None]) ** 2).sum(dim=1)  # [C]
    return mean.to(torch.float32), variance.sqrt().clamp(min=1 / 255).to(torch.float32)

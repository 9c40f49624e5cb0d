"""Random crops and flips of a whole batch at once, on the device that holds it."""

from __future__ import annotations

import torch
from torch.nn import functional


def random_crop_flip(images: torch.Tensor, *, pad: int, flip: bool, generator: torch.Generator) -> torch.Tensor:
    """Pad each image with zeros, cut out a random window of the original size and mirror it with probability 1/2.

    The paper's augmentation for CIFAR ("pad and crop", with flips). The padding is the raw value 0, set before any mean
    is subtracted, as in the authors' code. Every image has its own window, uniform over the (2 pad + 1)² there are.

    One gather serves the batch, and no value travels between host and device. On a CPU it is two to three times as
    fast as indexing with rows and columns (128 images of 28 × 28 or 3 × 32 × 32).

    Args:
        images: uint8 [N, C, H, W].
        pad: Pixels of zeros on each of the four sides. 0 leaves the window where it is.
        flip: Whether images may be mirrored left to right.
        generator: Source of the draws, on the device of ``images``. Nothing is drawn when ``pad`` is 0 and ``flip``
            is False: the images come back as they are.

    Returns:
        uint8 [N, C, H, W], channels_last in memory.

    Raises:
        ValueError: ``images`` has another type or shape, or ``pad`` is negative.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise ValueError(f"images: expected uint8 [N, C, H, W], found {images.dtype} {list(images.shape)}")
    if pad < 0:
        raise ValueError(f"pad: expected 0 or more pixels, found {pad}")
    if pad == 0 and not flip:
        return images.contiguous(memory_format=torch.channels_last)

    count, channels, height, width = images.shape
    device = images.device
    top, left = torch.randint(0, 2 * pad + 1, (2, count, 1), generator=generator, device=device)  # [N, 1] each
    rows = top + torch.arange(height, device=device)  # [N, H]
    columns = torch.arange(width, device=device)  # [W]
    if flip:
        mirrored = torch.randint(0, 2, (count, 1), generator=generator, device=device, dtype=torch.bool)
        columns = torch.where(mirrored, columns.flip(0), columns)  # [N, W]
    columns = left + columns  # [N, W]

    # Where each wanted pixel lies in its padded plane, laid out flat; the channels of an image share it.
    pixels = rows[:, :, None] * (width + 2 * pad) + columns[:, None, :]  # [N, H, W]
    index = pixels.view(count, 1, height * width).expand(-1, channels, -1)  # [N, C, H·W]
    planes = functional.pad(images, (pad, pad, pad, pad)).flatten(2)  # [N, C, (H + 2 pad)·(W + 2 pad)]
    crops = planes.gather(2, index).view(count, channels, height, width)
    return crops.contiguous(memory_format=torch.channels_last)

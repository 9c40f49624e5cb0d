"""One image file as a network takes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from anytime_core.errors import InputError
from anytime_study.datasets.card import BadFileError
from anytime_study.datasets.listing import read_image


def load_image(path: Path, image_shape: tuple[int, int, int]) -> Tensor:
    """Read an image: uint8 [1, C, H, W].

    It is turned upright (EXIF), made grey for C = 1 and coloured for C = 3; its middle, as large as the aspect of
    (H, W) allows, is scaled to (H, W) (bicubic). Levels stay: a dark garment on a white background is not inverted,
    though the garments of Fashion-MNIST are bright on black.

    Args:
        path: The file. Its content counts and not its name.
        image_shape: (C, H, W).

    Raises:
        InputError: it is missing, truncated or no image, has more than 8 bits per channel, or C is neither 1 nor 3.
    """
    channels, height, width = image_shape
    if channels not in (1, 3):
        raise InputError(f"image: expected a network for 1 or 3 channels, found one for {channels}")
    try:
        image = read_image(path, upright=True).convert("L" if channels == 1 else "RGB")
    except BadFileError as bad:
        raise InputError(f"image {bad.path}: {bad.problem}") from None
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
    pixels = np.array(image).reshape(height, width, channels)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()

"""One image file as a network takes it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps

from anytime_core.errors import InputError
from anytime_study.datasets.card import DatasetError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def load_image(path: Path, image_shape: tuple[int, ...]) -> torch.Tensor:
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
    if image_shape[0] not in (1, 3):
        raise InputError(f"image: expected a network for 1 or 3 channels, found one for {image_shape[0]}")
    try:
        return torch.from_numpy(fitted(read_image(path), image_shape))[None].contiguous()
    except DatasetError as bad:
        raise InputError(f"image {bad}") from None


def fitted(image: Image.Image, image_shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The middle of an image, as large as its sides allow, scaled to (C, H, W)."""
    channels, height, width = image_shape
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
    return np.array(image).reshape(height, width, channels).transpose(2, 0, 1)


def read_image(path: Path | str) -> Image.Image:
    """Read and decode one image file, all of it, turned upright as the camera's note in it (EXIF) says.

    Raises:
        DatasetError: it is missing, truncated or no image, or has more than 8 bits per channel.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # of the reader's own large photographs
            image = Image.open(path)
        with image:
            if image.mode.startswith(("I", "F")):  # Pillow would clip these levels to 255 without a word
                raise DatasetError(f"{path}: expected 8 bits per channel, found Pillow's mode {image.mode}")
            upright = ImageOps.exif_transpose(image)  # decoding happens here
            return upright.convert("L" if upright.mode == "L" else "RGB")
    except FileNotFoundError:
        raise DatasetError(f"{path}: missing") from None
    except DatasetError:
        raise
    except Exception as error:  # decoders of damaged files raise whatever they stumble over
        raise DatasetError(f"{path}: no image that can be read ({error})") from error

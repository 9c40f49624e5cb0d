"""One image file as a network takes it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from anytime_study.datasets.card import DatasetError


def read_image(path: Path, image_shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read and decode one image file, all of it: uint8 [C, H, W].

    It is turned upright (EXIF), made grey for C = 1 and coloured for C = 3; its middle, as large as the aspect of
    (H, W) allows, is scaled to (H, W) (bicubic). Levels stay: a dark garment on a white background is not inverted,
    though the garments of Fashion-MNIST are bright on black.

    Args:
        path: The file. Its content counts and not its name.
        image_shape: (C, H, W).

    Raises:
        DatasetError: it is missing, truncated or no image, or has more than 8 bits per channel.
    """
    channels, height, width = image_shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # of the reader's own large photographs
            image = Image.open(path)
        with image:
            if image.mode.startswith(("I", "F")):  # Pillow would clip these levels to 255 without a word
                raise DatasetError(f"{path}: expected 8 bits per channel, found Pillow's mode {image.mode}")
            upright = ImageOps.exif_transpose(image)  # decoding happens here
    except FileNotFoundError:
        raise DatasetError(f"{path}: missing") from None
    except DatasetError:
        raise
    except Exception as error:  # decoders of damaged files raise whatever they stumble over
        raise DatasetError(f"{path}: no image that can be read ({error})") from error
    upright = upright.convert("L" if channels == 1 else "RGB")
    if upright.size != (width, height):
        upright = ImageOps.fit(upright, (width, height), Image.Resampling.BICUBIC)
    return np.array(upright).reshape(height, width, channels).transpose(2, 0, 1)

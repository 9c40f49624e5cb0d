"""Images that are refused before a network sees them: each would give an error from its depth, or a wrong answer."""

from __future__ import annotations

import math

from torch import Tensor

from anytime_core.errors import InputError


def refuse_bad_shape(images: object, like: Tensor) -> None:
    """Whatever depends on type, shape, dtype and device alone.

    Args:
        images: What should be a batch [N, C, H, W].
        like: A parameter of the network: images have its dtype and lie on its device.

    Raises:
        InputError: ``images`` cannot be a batch for this network, or it is empty.
    """
    if not isinstance(images, Tensor):
        raise InputError(f"images: expected a tensor [N, C, H, W], found {type(images).__name__}")
    if images.ndim != 4:
        raise InputError(f"images: expected four dimensions [N, C, H, W], found shape {list(images.shape)}")
    if images.dtype != like.dtype or images.device != like.device:
        raise InputError(
            f"images: expected {like.dtype} on {like.device}, as the network is, "
            f"found {images.dtype} on {images.device}"
        )
    if len(images) == 0:
        raise InputError("images: expected at least one, found an empty batch")


def refuse_bad_pixels(images: Tensor) -> None:
    """Values that are no numbers. On a GPU this waits for the device.

    Raises:
        InputError: a pixel is NaN or infinite.
    """
    # a sum is the fastest look at all pixels; it may overflow where every pixel is finite
    if not math.isfinite(images.sum().item()) and not bool(images.isfinite().all()):
        raise InputError("images: expected finite numbers, found NaN or infinity")

"""The fixed split of the images in the training files: those held out for validation, and the order of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anytime_study.datasets.card import Arrays, BadFileError, DataCard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Part = tuple[NDArray[np.uint8], NDArray[np.int64]]  # images [n, C, H, W], labels [n]

SPLIT_SEED = 0
"""Seed of the one shuffle that fixes the splits, for good and for every run."""

_BLOCK = 8192  # images moved at a time: 25 MB of 3 × 32 × 32


def hold_out(card: DataCard, folder: Path, parts: Iterable[Part], test: Part, train_size: int) -> Arrays:
    """Split shuffled training images into validation and training.

    The images keep the order of the permutation ``numpy.random.default_rng(0).permutation(n)``: the first
    ``num_validation`` are held out, the next ``train_size`` are for training, so a smaller training set is always the
    beginning of a larger one. Each image is copied once, to its place, and only if it is wanted.

    Raises:
        BadFileError: the files hold another number of images than the card says.
    """
    import numpy as np

    total = card.num_validation + card.num_train
    order = np.random.default_rng(SPLIT_SEED).permutation(total)
    place = np.empty_like(order)
    place[order] = np.arange(total)  # image i of the files goes to place[i]

    wanted = card.num_validation + train_size
    images = np.empty((wanted, *card.image_shape), np.uint8)
    labels = np.empty(wanted, np.int64)
    seen = 0
    for block_images, block_labels in _blocks(parts):
        target = place[seen : seen + len(block_labels)]
        seen += len(block_labels)
        if seen > total:
            break
        keep = target < wanted
        images[target[keep]] = block_images[keep]
        labels[target[keep]] = block_labels[keep]
    if seen != total or len(test[1]) != card.num_test:
        raise BadFileError(
            folder,
            f"expected {total} training and {card.num_test} test images, found {seen} and {len(test[1])}",
        )
    held = card.num_validation
    test_images = np.array(test[0], order="C")  # its own writable memory: PyTorch asks for it
    return Arrays(images[held:], labels[held:], images[:held], labels[:held], test_images, test[1])


def _blocks(parts: Iterable[Part]) -> Iterator[Part]:
    for images, labels in parts:
        for start in range(0, len(labels), _BLOCK):
            yield images[start : start + _BLOCK], labels[start : start + _BLOCK]

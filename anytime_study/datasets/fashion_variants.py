"""Data sets made of Fashion-MNIST's files: the same garments, with one thing changed at a time.

The seeds of what is drawn once and for all are part of the data sets: with others, these are other sets.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anytime_study.datasets.card import Arrays, DataCard, Part
from anytime_study.datasets.readers import IdxReader

FAMILIES = ("Top", "Trouser", "Dress", "Shoe", "Bag")

# of T-shirt/top, Trouser, Pullover, Dress, Coat; Sandal, Shirt, Sneaker, Bag, Ankle boot
FAMILY_OF = np.array([0, 1, 0, 2, 0, 3, 0, 3, 4, 3])

_CANVAS = 36  # pixels of height and width on which two garments of 28 are laid


def in_families(part: Part, train: bool) -> Part:  # noqa: ARG001 (both parts alike)
    """The same images, labelled with :data:`FAMILIES`."""
    return part[0], FAMILY_OF[part[1]]


def with_noise(part: Part, train: bool, *, sigma: float) -> Part:
    """Add Gaussian noise to every pixel, round, and clip to 0 … 255.

    The noise depends on the file and on the image's place in it alone: not on a run's seed, nor on how many images are
    used. Sets of different strength have the same noise up to its scale.

    Args:
        part: Images uint8 [n, C, H, W], from the beginning of a file, and labels.
        train: Of which file.
        sigma: Standard deviation, on the scale where white is 1.
    """
    images, labels = part
    values = np.random.default_rng([30_60, int(not train)]).standard_normal(images.shape, dtype=np.float32)
    values *= np.float32(255 * sigma)
    values += images
    return np.clip(np.rint(values, out=values), 0, 255, out=values).astype(np.uint8), labels


class PairReader(IdxReader):
    """Two garments in one image, and two labels: of the garment at the top left, and of the one at the bottom right.

    Each image of a split is laid on its partner, another image of the same split: partners are one fixed permutation of
    it, so that each garment is there once at either place, and no garment is in two splits. (Where the permutation has
    a fixed point, about once in a split, a garment is its own partner.) A smaller training set has fewer pairs, whose
    partners come from all training images.

    Source: the two-task sets of Lin et al. 2019 ("Pareto Multi-Task Learning"), made anew: see :func:`overlaid`.
    """

    def read(self, card: DataCard, folder: Path, train_size: int) -> Arrays:
        """Read the splits of Fashion-MNIST and pair the images within each: labels int64 [n, 2]."""
        splits = super().read(card, folder, card.num_train)
        return Arrays(
            *_paired(splits.train_images, splits.train_labels, used=train_size, stream=0),
            *_paired(splits.validation_images, splits.validation_labels, used=card.num_validation, stream=1),
            *_paired(splits.test_images, splits.test_labels, used=card.num_test, stream=2),
        )


def _paired(images: NDArray[np.uint8], labels: NDArray[np.int64], *, used: int, stream: int) -> Part:
    """The first pairs of a split, and their labels [used, 2]."""
    partner = np.random.default_rng([36, stream]).permutation(len(labels))[:used]
    return overlaid(images[:used], images[partner]), np.stack([labels[:used], labels[partner]], axis=1)


def overlaid(top_left: NDArray[np.uint8], bottom_right: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay two images on a canvas of 36 × 36, the brighter one at each pixel, and scale it to their own size.

    The scaling is bilinear with antialiasing (torchvision).

    Args:
        top_left: uint8 [n, 1, 28, 28].
        bottom_right: The same.

    Returns:
        uint8 [n, 1, 28, 28].
    """
    import torch
    from torchvision.transforms.v2 import functional

    canvas = np.zeros((len(top_left), 1, _CANVAS, _CANVAS), np.uint8)
    canvas[..., :28, :28] = top_left
    corner = canvas[..., -28:, -28:]
    np.maximum(corner, bottom_right, out=corner)
    return functional.resize(torch.from_numpy(canvas), [28, 28], antialias=True).numpy()

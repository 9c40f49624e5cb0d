"""Data sets made of Fashion-MNIST's files: the same garments, with one thing changed at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from anytime_study.datasets.card import Arrays, DataCard
from anytime_study.datasets.readers import IdxReader

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from anytime_study.datasets.readers import Part

NOISE_SEED = 30_60
PAIR_SEED = 36
"""Seeds of what is added once and for all. They are part of the data sets: with others, these are other sets."""

FAMILIES = {
    "Top": ("T-shirt/top", "Pullover", "Coat", "Shirt"),
    "Trouser": ("Trouser",),
    "Dress": ("Dress",),
    "Shoe": ("Sandal", "Sneaker", "Ankle boot"),
    "Bag": ("Bag",),
}
"""Coarse label -> the garments of Fashion-MNIST that it stands for."""

_CANVAS = 36  # pixels of height and width on which two garments of 28 are laid


class NoisyReader(IdxReader):
    """Fashion-MNIST with Gaussian noise on every pixel, drawn once for each image of the published files.

    The noise depends on the file and on the image's place in it alone: not on a run's seed, nor on how many images are
    used. Sets of different strength have the same noise up to its scale.

    Args:
        sigma: Standard deviation of the noise before clipping, on the scale where white is 1.
    """

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma

    def part(self, folder: Path, name: Literal["train", "test"]) -> Part:
        """Noisy images, and their labels."""
        images, labels = super().part(folder, name)
        return with_noise(images, self.sigma, stream=int(name == "test")), labels


class CoarseReader(IdxReader):
    """Fashion-MNIST with :data:`FAMILIES` as labels, in their order.

    Args:
        class_names: The names of Fashion-MNIST's labels 0, 1, ….
    """

    def __init__(self, class_names: tuple[str, ...]) -> None:
        families = list(FAMILIES.values())
        self.family_of = [next(k for k, members in enumerate(families) if name in members) for name in class_names]

    def part(self, folder: Path, name: Literal["train", "test"]) -> Part:
        """Images and coarse labels."""
        import numpy as np

        images, labels = super().part(folder, name)
        return images, np.array(self.family_of)[labels]


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


def with_noise(images: NDArray[np.uint8], sigma: float, *, stream: int) -> NDArray[np.uint8]:
    """Add Gaussian noise, round, and clip to 0 … 255.

    Args:
        images: uint8 [n, C, H, W], from the beginning of a file.
        sigma: Standard deviation, on the scale where white is 1.
        stream: Which noise: another one for each file.

    Returns:
        uint8 [n, C, H, W].
    """
    import numpy as np

    values = np.random.default_rng([NOISE_SEED, stream]).standard_normal(images.shape, dtype=np.float32)
    values *= np.float32(255 * sigma)
    values += images
    return np.clip(np.rint(values, out=values), 0, 255, out=values).astype(np.uint8)


def _paired(images: NDArray[np.uint8], labels: NDArray[np.int64], *, used: int, stream: int) -> Part:
    """The first pairs of a split, and their labels [used, 2]."""
    import numpy as np

    partner = np.random.default_rng([PAIR_SEED, stream]).permutation(len(labels))[:used]
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
    import numpy as np
    import torch
    from torchvision.transforms.v2 import functional

    canvas = np.zeros((len(top_left), 1, _CANVAS, _CANVAS), np.uint8)
    canvas[..., :28, :28] = top_left
    corner = canvas[..., -28:, -28:]
    np.maximum(corner, bottom_right, out=corner)
    return functional.resize(torch.from_numpy(canvas), [28, 28], antialias=True).numpy()

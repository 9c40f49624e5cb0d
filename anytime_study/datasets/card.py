"""The card of a data set: facts about it, and what its reader has to offer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pathlib import Path

    import torch

Part = tuple[NDArray[np.uint8], NDArray[np.int64]]  # images [n, C, H, W], labels [n]


class Arrays(NamedTuple):
    """The splits in host memory: images uint8 [n, C, H, W], labels int64 [n], or [n, T] where an image has T labels."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    validation_images: NDArray[np.uint8]
    validation_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]


class DatasetError(RuntimeError):
    """A data set cannot be had. The message names the file or folder, and what is wrong with it."""


class Reader:
    """What a kind of data set has to offer. Every method raises :class:`DatasetError` for a bad or missing file.

    A set with this reader alone has a name and costs, and cannot be loaded.
    """

    def installed(self) -> Path | None:
        """A folder outside the cache where this machine already has the files, if there is one."""
        return None

    def download(self, folder: Path) -> None:
        """Download the files into an empty folder."""
        raise DatasetError(f"{folder}: this data set cannot be downloaded")

    def read(self, card: DataCard, folder: Path, train_size: int) -> Arrays:
        """Check and read every file, and split the images; of those for training the first ``train_size``."""
        raise DatasetError(f"{folder}: {train_size} images of {card.title} are too many to be held in memory")

    def load(self, card: DataCard, folder: Path, train_size: int, device: torch.device | str) -> Any:
        """The same as data on a device, ready for training."""
        from anytime_study.datasets.images import ImageData

        return ImageData.from_arrays(card, self.read(card, folder, train_size), device)


@dataclass(frozen=True)
class DataCard:
    """Facts about one data set. ``data/README.md`` has the prose: source, splits, citation, ways to get the files.

    Attributes:
        name: What it is called in a configuration.
        title: What it is called in a text.
        image_shape: (C, H, W) of one image, or (T,) of a window of a text.
        class_names: Names of the labels 0, 1, …. Of ``ilsvrc`` they are only numbered.
        num_train: Images left for training after the validation images are held out.
        num_validation: Held-out images: epochs, weights and thresholds are chosen on these.
        num_test: Images of the test set.
        flip: Whether a mirrored image still shows its class, so that augmentation may flip it. Digits do not.
        licence: Terms of use as the owners state them.
        reader: Downloads, verifies and reads the files.
        made_of: Name of the data set whose files these are, where they are another one's.
        num_tasks: T, labels of an image, all from the same classes. Where it is not 1, labels are [n, T], and a network
            has one exit for each.
        label: What :attr:`slug` gives, of data of one's own, whose name is no name of a file.
    """

    name: str
    title: str
    image_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    num_train: int
    num_validation: int
    num_test: int
    flip: bool
    licence: str
    reader: Reader = field(repr=False, compare=False)
    made_of: str | None = None
    num_tasks: int = 1
    label: str | None = None

    reads_text: ClassVar[bool] = False  # whether a network gets characters: each one of a window has a label

    @property
    def slug(self) -> str:
        """The name in names of runs and of files."""
        return self.label or self.name

    @property
    def folder(self) -> str:
        """Name of the folder in the cache that holds the files."""
        return self.made_of or self.slug

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def pad(self) -> int:
        """Pixels of padding for pad-and-crop: an eighth of the height, which is the 4 of 32 usual for CIFAR."""
        return self.image_shape[1] // 8

    @property
    def network_options(self) -> dict[str, int]:
        """What a network for these images is built with."""
        return {"num_classes": self.num_classes, "in_channels": self.image_shape[0]}

    @property
    def size(self) -> str:
        """Of one image, for people."""
        return " × ".join(map(str, self.image_shape))

    def example(self) -> Any:
        """What costs are counted by: the shape of one image."""
        return self.image_shape

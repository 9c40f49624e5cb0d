"""Data sets that are not on this machine: random images of their shape take their place in a timing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anytime_study.datasets import DATASETS
from anytime_study.datasets.cache import default_cache_dir
from anytime_study.datasets.card import Arrays, DataCard

if TYPE_CHECKING:
    from numpy.typing import NDArray


def on_this_machine(card: DataCard) -> bool:
    """Whether the files of a data set are here; nothing is downloaded to find out."""
    folder = default_cache_dir() / card.folder
    return (folder.is_dir() and any(folder.iterdir())) or card.reader.installed() is not None


def stand_in(dataset: str) -> str:
    """The data set itself, or if it is not here, the first one of the same shape that is not here."""
    card = DATASETS[dataset]
    if on_this_machine(card):
        return dataset
    alike = (other for other in DATASETS.values() if other.image_shape == card.image_shape)
    return next(other.name for other in alike if not on_this_machine(other))


@contextmanager
def random_images_like(dataset: str, count: int) -> Generator[str]:
    """Register a data set of random images under the name that is given, for as long as the block lasts.

    Args:
        dataset: Whose shape, classes and tasks they have.
        count: Training images; there is one for validation and one for the test.
    """
    card = DATASETS[dataset]
    name = f"random images like {card.name}"
    DATASETS[name] = replace(
        card, name=name, num_train=count, num_validation=1, num_test=1, reader=_RandomImages(), streamed=False
    )
    try:
        yield name
    finally:
        del DATASETS[name]


class _RandomImages:
    """Reads nothing, and gives images and labels drawn at random."""

    def installed(self) -> Path:
        return Path()

    def download(self, folder: Path) -> None:
        pass

    def verify(self, folder: Path) -> None:
        pass

    def read(self, card: DataCard, folder: Path, train_size: int) -> Arrays:  # noqa: ARG002 (there are no files)
        draw = np.random.default_rng(0)
        tasks = (card.num_tasks,) if card.num_tasks > 1 else ()

        def images(size: int) -> NDArray[np.uint8]:
            return draw.integers(0, 256, (size, *card.image_shape), dtype=np.uint8)

        def labels(size: int) -> NDArray[np.int64]:
            return draw.integers(0, card.num_classes, (size, *tasks))

        train, held_out, test = train_size, card.num_validation, card.num_test
        return Arrays(images(train), labels(train), images(held_out), labels(held_out), images(test), labels(test))

"""Loading a data set: one of the study by its name, or one's own images from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from anytime_study.datasets.cache import DatasetError, explained, locate
from anytime_study.datasets.card import BadFileError, DataCard
from anytime_study.datasets.cards import find_card
from anytime_study.datasets.images import ImageData, resident
from anytime_study.datasets.listing import FolderReader
from anytime_study.datasets.streams import ImageStream, open_stream

if TYPE_CHECKING:
    import torch


def load_dataset(
    name: str, *, train_size: int | None = None, device: torch.device | str = "cpu", cache_dir: Path | None = None
) -> ImageData | ImageStream:
    """Load a data set, downloading it first if this machine does not have it.

    Sets whose card says ``streamed`` come as an :class:`ImageStream`, which reads its files batch by batch. All others
    come as :class:`ImageData`, in memory.

    The validation images are the same for every seed and every ``train_size``. A smaller training set is the beginning
    of a larger one; mean and standard deviation of resident images are those of the training images used.

    Args:
        name: A name in ``DATASETS``.
        train_size: Number of training images, from 1 to the card's ``num_train``; all of them if left out.
        device: Where the tensors shall be.
        cache_dir: Folder for downloaded files; :func:`default_cache_dir` if left out.

    Raises:
        ValueError: unknown name, or ``train_size`` out of range.
        DatasetError: a file is missing, truncated or altered, or the download failed.
    """
    card = find_card(name)
    size = card.num_train if train_size is None else train_size
    if not isinstance(size, int) or not 1 <= size <= card.num_train:
        raise ValueError(f"train_size: expected 1 to {card.num_train} for {name}, found {train_size!r}")
    folder = locate(card, cache_dir)
    with explained(card, cache_dir):
        if card.streamed:
            return open_stream(card, folder, size, device)
        return resident(card, card.reader.read(card, folder, size), device)


def load_folder(
    root: Path | str,
    *,
    size: int = 32,
    channels: Literal[1, 3] = 3,
    flip: bool = False,
    train_size: int | None = None,
    device: torch.device | str = "cpu",
) -> ImageData:
    """Load one's own images into memory, as the data sets of the study are.

    ``root`` holds either one folder of images per class, or ``train`` and, if there are any, ``val`` and ``test``, each
    with one folder per class. What is missing is held out, class by class, after a fixed shuffle and at least one image
    of each class: a fifth for the test, then an eighth for validation, which makes 70, 10 and 20 % of a single folder.
    Beside ``train``, one other folder alone is the test set. Images are turned upright, and their middle square is
    scaled to ``size``. The three splits take n · channels · size² bytes: 3 KB an image at 32 pixels in colour.

    Photographs of one thing or one day belong into the same split; a random one lets them leak. Then make the folders
    ``train``, ``val`` and ``test`` yourself.

    Args:
        root: The folder.
        size: Height and width of the images, in pixels, at least 8.
        channels: 3 for colour, 1 for greyscale.
        flip: Whether a mirrored image still shows its class, so that augmentation may flip it.
        train_size: Number of training images, the first ones of the shuffle; all of them if left out.
        device: Where the tensors shall be.

    Raises:
        ValueError: ``size``, ``channels`` or ``train_size`` is out of range.
        DatasetError: a folder is missing or empty, splits have different classes, or an image cannot be read.
    """
    root, reader = Path(root), FolderReader()
    if channels not in (1, 3):
        raise ValueError(f"channels: expected 1 or 3, found {channels!r}")
    if not isinstance(size, int) or size < 8:
        raise ValueError(f"size: expected at least 8 pixels, found {size!r}")
    try:
        class_names, *splits = reader.splits(root)
        num_train, num_validation, num_test = (len(files.labels) for files in splits)
        used = num_train if train_size is None else train_size
        if not isinstance(used, int) or not 1 <= used <= num_train:
            raise ValueError(f"train_size: expected 1 to {num_train} for {root}, found {train_size!r}")
        card = DataCard(
            name=root.resolve().name,
            title=f"Images in {root}",
            image_shape=(channels, size, size),
            class_names=class_names,
            num_train=num_train,
            num_validation=num_validation,
            num_test=num_test,
            flip=flip,
            source=str(root),
            licence="not stated",
            citation_key="",
            citation="",
            how_to_get="they are your own",
            reader=reader,
        )
        return resident(card, reader.read(card, root, used), device)
    except BadFileError as bad:
        remedy = "replace or remove it" if bad.path.is_file() else "see load_folder for the folders it expects"
        raise DatasetError(f"{bad.path}: {bad.problem}. To go on: {remedy}.") from bad.__cause__

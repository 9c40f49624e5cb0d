"""Loading a data set by its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from anytime_study.datasets.cache import located
from anytime_study.datasets.cards import find_card

if TYPE_CHECKING:
    import torch


def load_dataset(
    name: str,
    *,
    train_size: int | None = None,
    device: torch.device | str = "cpu",
    cache_dir: Path | None = None,
) -> Any:
    """Load a data set into memory, downloading it first if this machine does not have it.

    The validation images are the same for every seed and every ``train_size``. A smaller training set is the beginning
    of a larger one; mean and standard deviation are those of the training images used.

    Args:
        name: A name in ``DATASETS``; or ``folder:PATH``, a folder of one's own images, see
            :func:`anytime_study.datasets.folders.folder_card`; or ``text:PATH``, see
            :func:`anytime_study.datasets.text.text_card`.
        train_size: Number of training images, from 1 to the card's ``num_train``; all of them if left out.
        device: Where the tensors shall be.
        cache_dir: Folder for downloaded files; :func:`default_cache_dir` if left out.

    Returns:
        :class:`~anytime_study.datasets.images.ImageData`, or :class:`~anytime_study.datasets.text.TextData`.

    Raises:
        ValueError: unknown name, or ``train_size`` out of range.
        DatasetError: a file is missing, truncated or altered, the download failed, or the set cannot be loaded.
    """
    card = find_card(name)
    size = card.num_train if train_size is None else train_size
    if not isinstance(size, int) or not 1 <= size <= card.num_train:
        raise ValueError(f"train_size: expected 1 to {card.num_train} for {name}, found {train_size!r}")
    with located(card, cache_dir) as folder:
        return card.reader.load(card, folder, size, device)

"""Loading a data set by its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anytime_study.datasets.cache import located
from anytime_study.datasets.cards import find_card

if TYPE_CHECKING:
    import torch

    from anytime_study.datasets.images import ImageData
    from anytime_study.datasets.streams import ImageStream


def load_dataset(
    name: str,
    *,
    train_size: int | None = None,
    device: torch.device | str = "cpu",
    cache_dir: Path | None = None,
    workers: int = 0,
    colour_jitter: bool = False,
) -> ImageData | ImageStream:
    """Load a data set, downloading it first if this machine does not have it.

    Sets whose card says ``streamed`` come as an :class:`ImageStream`, which reads its files batch by batch. All others
    come as :class:`ImageData`, in memory. Both have ``train_batches``, ``batches`` and ``first_images``.

    The validation images are the same for every seed and every ``train_size``. A smaller training set is the beginning
    of a larger one; mean and standard deviation of resident images are those of the training images used.

    Args:
        name: A name in ``DATASETS``; or ``folder:PATH``, a folder of one's own images, see
            :func:`anytime_study.datasets.folders.folder_card`.
        train_size: Number of training images, from 1 to the card's ``num_train``; all of them if left out.
        device: Where the tensors shall be.
        cache_dir: Folder for downloaded files; :func:`default_cache_dir` if left out.
        workers: Processes that decode images which are streamed; with 0 this process does it.
        colour_jitter: Whether training images which are streamed change their colours.

    Raises:
        ValueError: unknown name, or ``train_size`` out of range.
        DatasetError: a file is missing, truncated or altered, or the download failed.
    """
    card = find_card(name)
    size = card.num_train if train_size is None else train_size
    if not isinstance(size, int) or not 1 <= size <= card.num_train:
        raise ValueError(f"train_size: expected 1 to {card.num_train} for {name}, found {train_size!r}")
    with located(card, cache_dir) as folder:
        if card.streamed:
            from anytime_study.datasets.streams import ImageStream

            return ImageStream.open(card, folder, size, device, workers=workers, colour_jitter=colour_jitter)
        from anytime_study.datasets.images import ImageData

        return ImageData.from_arrays(card, card.reader.read(card, folder, size), device)

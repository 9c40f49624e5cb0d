"""Loading a data set by its name: where its files lie, and how they get there, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anytime_study.datasets.card import DataCard, DatasetError, Reader
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
    with _located(card, cache_dir) as folder:
        return card.reader.load(card, folder, size, device)


def fetch(name: str, cache_dir: Path | None = None) -> Path:
    """Make sure that a data set is on this machine and sound, downloading it if it is absent.

    Arguments and errors are those of :func:`load_dataset`. Gives the folder that holds the files.
    """
    card = find_card(name)
    with _located(card, cache_dir) as folder:
        card.reader.load(card, folder, card.num_train, "cpu")
    return folder


def default_cache_dir() -> Path:
    """The folder for downloaded files: the environment variable ``ANYTIME_DATA`` if it is set, else ``data/cache``."""
    chosen = os.environ.get("ANYTIME_DATA")
    return Path(chosen).expanduser() if chosen else Path(__file__).resolve().parents[2] / "data" / "cache"


@contextlib.contextmanager
def _located(card: DataCard, cache_dir: Path | None) -> Generator[Path]:
    """The folder with the files of a data set: in the cache, else where the system has them, else downloaded now.

    A folder in the cache is taken as it is. If a file in it is bad, that is an error for whoever reads it, and no
    reason to look elsewhere. A :class:`DatasetError` inside the block gains the ways to get a sound file.
    """
    cached = (cache_dir or default_cache_dir()) / card.folder
    folder = cached
    try:
        if not _filled(cached):
            if installed := card.reader.installed():
                folder = installed
            else:
                _install(card, cached)
        yield folder
    except DatasetError as bad:
        ways = "data/README.md says more"
        if card.label is None and type(card.reader) is not Reader:  # none of one's own, and one that can be loaded
            first = f"remove {cached}, then " if _filled(cached) else ""  # as long as it is there, it is what is read
            ways = f"to get it, {first}run `anytime fetch {card.name}`; data/README.md has other ways"
        raise DatasetError(f"{card.title}: {bad}; {ways}") from bad.__cause__


def _install(card: DataCard, folder: Path) -> None:
    """Download beside ``folder``, verify, then rename, so that ``folder`` is never there in part.

    The temporary folder goes in any case, also after Ctrl-C. Only a killed process leaves it: a hidden folder that
    nobody reads.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = tempfile.TemporaryDirectory(prefix=f".fetch-{card.folder}-", dir=folder.parent)
    except OSError as error:
        raise DatasetError(f"{folder}: the cache cannot be written ({error}); ANYTIME_DATA names another") from error
    with staging as temporary:
        fresh = Path(temporary) / card.folder  # made by mkdir, so that others may read it as the umask allows
        fresh.mkdir()
        try:
            card.reader.download(fresh)
        except Exception as error:  # of the network, the disk or the archive
            raise DatasetError(f"{folder}: absent, and the download failed ({error})") from error
        card.reader.load(card, fresh, card.num_train, "cpu")
        try:
            fresh.replace(folder)
        except OSError as error:
            if not _filled(folder):
                raise DatasetError(f"{folder}: cannot be put in place ({error})") from error
            # Another process fetched the same files in the meantime. Its copy was verified too, and stays.


def _filled(folder: Path) -> bool:
    """Whether ``folder`` holds anything. An empty one counts as absent."""
    return folder.is_dir() and any(folder.iterdir())

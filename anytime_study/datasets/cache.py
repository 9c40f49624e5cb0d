"""Where the files of a data set lie, and how they get there: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from anytime_study.datasets.card import DataCard, DatasetError
from anytime_study.datasets.cards import find_card

if TYPE_CHECKING:
    from collections.abc import Generator


def default_cache_dir() -> Path:
    """The folder for downloaded files.

    The environment variable ``ANYTIME_DATA`` if it is set; else ``data/cache`` of the repository that this package lies
    in; else, for a package installed without its repository, ``~/.cache/anytime-core``.
    """
    if chosen := os.environ.get("ANYTIME_DATA"):
        return Path(chosen).expanduser()
    repository = Path(__file__).resolve().parents[2]
    if (repository / "pyproject.toml").is_file():
        return repository / "data" / "cache"
    return Path.home() / ".cache" / "anytime-core"


def fetch(name: str, cache_dir: Path | None = None) -> Path:
    """Make sure that a data set is on this machine and sound, downloading it if it is absent.

    Args:
        name: A name in ``DATASETS``, or ``folder:PATH``.
        cache_dir: Folder for downloaded files; :func:`default_cache_dir` if left out.

    Returns:
        The folder that holds the files.

    Raises:
        ValueError: unknown name.
        DatasetError: a file is missing, truncated or altered, or the download failed.
    """
    card = find_card(name)
    with located(card, cache_dir) as folder:
        card.reader.verify(folder)
    return folder


@contextlib.contextmanager
def located(card: DataCard, cache_dir: Path | None) -> Generator[Path]:
    """The folder with the files of a data set: in the cache, else where the system has them, else downloaded now.

    A folder in the cache is taken as it is. If a file in it is bad, that is an error for whoever reads it, and no
    reason to look elsewhere. A :class:`DatasetError` inside the block gains the ways to get a sound file.
    """
    if not card.loadable:
        raise DatasetError(
            f"{card.title} is not streamed any more: data sets are held in memory, and it is too large for that. "
            "Runs on it have names and costs, but cannot be trained"
        )
    cache = cache_dir or default_cache_dir()
    folder = cache / card.folder
    try:
        if not _filled(folder):
            if installed := card.reader.installed():
                folder = installed
            else:
                _install(card, folder)
        yield folder
    except DatasetError as bad:
        remedy = card.how_to_get.replace("<cache>", str(cache))
        if _filled(cache / card.folder):
            remedy = f"remove {cache / card.folder}, then {remedy}"  # as long as it is there, it is what is read
        raise DatasetError(f"{card.title}: {bad}. To get it: {remedy}.") from bad.__cause__


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
        card.reader.verify(fresh)
        try:
            fresh.replace(folder)
        except OSError as error:
            if not _filled(folder):
                raise DatasetError(f"{folder}: cannot be put in place ({error})") from error
            # Another process fetched the same files in the meantime. Its copy was verified too, and stays.


def _filled(folder: Path) -> bool:
    """Whether ``folder`` holds anything. An empty one counts as absent."""
    return folder.is_dir() and any(folder.iterdir())

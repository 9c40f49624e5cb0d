"""Where the files of a data set lie, and how they get there: whole or not at all."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import tarfile
import tempfile
import threading
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from anytime_study.datasets.card import BadFileError, DataCard
from anytime_study.datasets.cards import find_card

if TYPE_CHECKING:
    from collections.abc import Generator

TIMEOUT = 20.0
"""Seconds without an answer after which a download is given up."""

_ONE_DOWNLOAD = threading.Lock()  # of this process, because the timeout of connections is set for all of it


class DatasetError(RuntimeError):
    """A data set cannot be had. The message names the file, what is wrong with it, and the ways to get a sound one."""


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
        name: A name in ``DATASETS``.
        cache_dir: Folder for downloaded files; :func:`default_cache_dir` if left out.

    Returns:
        The folder that holds the files.

    Raises:
        ValueError: unknown name.
        DatasetError: a file is missing, truncated or altered, or the download failed.
    """
    card = find_card(name)
    folder = locate(card, cache_dir)
    with explained(card, cache_dir):
        card.reader.verify(folder)
    return folder


def locate(card: DataCard, cache_dir: Path | None) -> Path:
    """The folder with the files of a data set: in the cache, else where the system has them, else downloaded now.

    A folder in the cache is taken as it is. If a file in it is bad, that is an error for whoever reads it, and no
    reason to look elsewhere.
    """
    folder = (cache_dir or default_cache_dir()) / card.folder
    if _filled(folder):
        return folder
    if installed := card.reader.installed():
        return installed
    with explained(card, cache_dir), _ONE_DOWNLOAD:
        if not _filled(folder):  # another thread may have been first
            _install(card, folder)
    return folder


@contextlib.contextmanager
def explained(card: DataCard, cache_dir: Path | None) -> Generator[None]:
    """Turn a bad file into a :class:`DatasetError` that says how to get a sound one."""
    try:
        yield
    except BadFileError as bad:
        cache = cache_dir or default_cache_dir()
        remedy = card.how_to_get.replace("<cache>", str(cache))
        for folder in (cache / card.folder, card.reader.installed()):
            if folder and folder.is_dir() and bad.path.is_relative_to(folder) and not card.streamed:
                remedy = f"remove {folder}, then {remedy}"  # as long as it is there, it is what is read
        raise DatasetError(f"{card.title}: {bad.path}: {bad.problem}. To get it: {remedy}.") from bad.__cause__


def _install(card: DataCard, folder: Path) -> None:
    """Download beside ``folder``, verify, then rename, so that ``folder`` is never there in part.

    The temporary folder goes in any case, also after Ctrl-C. Only a killed process leaves it: a hidden folder that
    nobody reads.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = tempfile.TemporaryDirectory(
            prefix=f".fetch-{card.folder}-", dir=folder.parent, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise BadFileError(folder, f"the cache cannot be written ({error}); ANYTIME_DATA names another") from error
    with staging as temporary:
        fresh = Path(temporary) / card.folder  # made by mkdir, so that others may read it as the umask allows
        fresh.mkdir()
        try:
            with _patience(TIMEOUT):
                card.reader.download(fresh)
        except (OSError, RuntimeError, http.client.HTTPException, tarfile.TarError, EOFError, zlib.error) as error:
            raise BadFileError(folder, f"absent, and the download failed ({error})") from error
        card.reader.verify(fresh)
        try:
            fresh.replace(folder)
        except OSError as error:
            if not _filled(folder):
                raise BadFileError(folder, f"cannot be put in place ({error})") from error
            # Another process fetched the same files in the meantime. Its copy was verified too, and stays.


def _filled(folder: Path) -> bool:
    """Whether ``folder`` holds anything. An empty one counts as absent."""
    return folder.is_dir() and any(folder.iterdir())


@contextlib.contextmanager
def _patience(seconds: float) -> Generator[None]:
    """Time out connections that are opened inside; torchvision's downloader has no setting for it."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

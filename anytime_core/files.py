"""Files that are there whole or not at all."""

from __future__ import annotations

import glob
import os
import tempfile
from pathlib import Path

_ATTEMPTS = 5


def write_whole(path: Path, content: str | bytes) -> None:
    """Write ``content`` (text as UTF-8), so that no reader and no kill at any moment ever meets half of it.

    It goes to a temporary neighbour, is flushed to the disk, and takes the place of ``path`` by a rename. Missing
    parent folders are made.

    Another process may write the same file: then one of the two is there in the end, whole.

    Raises:
        OSError: the folder cannot be written or the disk is full; names ``path``. What was there before still is.
    """
    data = content.encode() if isinstance(content, str) else content
    for left in reversed(range(_ATTEMPTS)):
        try:
            return _write_whole(path, data)
        except (FileNotFoundError, FileExistsError):  # the second is what mkdir says of a folder that just went
            if not left:
                raise
            # Another process that is done with the same run has removed the folder, or what looked unfinished.
        except OSError as error:
            if error.filename is not None:
                raise
            raise OSError(error.errno, error.strerror, str(path)) from None  # a full disk does not say which file
    return None


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes private files; records and pages are for everyone
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def remove_unfinished(path: Path) -> None:
    """Delete what a kill in the middle of `write_whole` left beside ``path``; only while nobody is writing it."""
    for temporary in path.parent.glob(f".{glob.escape(path.name)}-*.tmp"):
        temporary.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut, where the system can (not on Windows)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

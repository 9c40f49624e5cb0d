"""Files that are there whole or not at all."""

from __future__ import annotations

import glob
import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write ``content`` (text as UTF-8), so that no reader and no kill at any moment ever meets half of it.

    It goes to a temporary neighbour, is flushed to the disk, and takes the place of ``path`` by a rename. Missing
    parent folders are made.

    Raises:
        OSError: the folder cannot be written; what was at ``path`` before is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
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

"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write ``content`` (text as UTF-8), so that no reader and no kill at any moment ever meets half of it.

    It goes to a temporary neighbour, is flushed to the disk, and takes the place of ``path`` by a rename. Missing
    parent folders are made. Of two processes that write the same file, one is there in the end, whole.

    Raises:
        OSError: the folder cannot be written or the disk is full; names ``path``. What was there before still is.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}-{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:  # with the rights of any new file: those of tempfile are private
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = str(path)  # not the temporary one; a full disk does not say which file
        raise
    finally:
        with suppress(OSError):  # it has its place, or there is none: what went wrong is told above
            temporary.unlink()
    if os.name == "posix":  # the rename, too, survives a power cut
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

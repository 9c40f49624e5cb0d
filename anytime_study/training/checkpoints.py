"""A run's state on the disk: written whole, checked when read, the one before kept."""

from __future__ import annotations

import glob
import hashlib
import io
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from anytime_core.files import atomic_write

_DIGEST = hashlib.sha256().digest_size

_log = logging.getLogger(__name__)


class Checkpoints:
    """The last two states of one run: ``<path>`` and, before it, ``<path>.previous``.

    A file begins with the SHA-256 of what follows, which is checked before anything is unpacked, and only tensors and
    plain values are ever unpacked (``weights_only``). A kill at any moment, between the two renames too, leaves at
    least one whole state, once there has been one.

    Args:
        path: The file of the newest state.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._previous = path.with_name(path.name + ".previous")

    def save(self, state: dict[str, Any]) -> None:
        """Keep ``state``: nested dicts and lists of tensors and plain values.

        Raises:
            OSError: the folder cannot be written; the states before are still there.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        with suppress(FileNotFoundError):  # the first state, or another process at the same run was faster
            os.replace(self.path, self._previous)
        content = hashlib.sha256(content).digest() + content
        try:
            atomic_write(self.path, content)
        except (FileNotFoundError, FileExistsError):  # another run has just removed the folder, which it found empty
            atomic_write(self.path, content)

    def load(self, made_by: dict[str, Any]) -> dict[str, Any] | None:
        """The newest state that is whole and whose entry ``made_by`` is this one; None if there is none.

        A state that is damaged or was made by something else is passed over with a warning in the log.
        """
        for path in (self.path, self._previous):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue
            if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
                _log.warning("%s: expected a whole checkpoint, found a wrong checksum; passed over", path)
                continue
            state = torch.load(io.BytesIO(content[_DIGEST:]), weights_only=True, map_location="cpu")
            if state["made_by"] == made_by:
                return state
            _log.warning("%s: made by %s, not by %s; passed over", path, state["made_by"], made_by)
        return None

    def remove(self) -> None:
        """Delete both files and what kills left of them, once the record is there; the folder too if it is empty."""
        unfinished = self.path.parent.glob(f".{glob.escape(self.path.name)}-*.tmp")  # of atomic_write
        for path in (self.path, self._previous, *unfinished):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.parent.rmdir()

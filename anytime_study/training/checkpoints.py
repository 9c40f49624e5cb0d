"""A run's state on the disk: written whole, checked when read."""

from __future__ import annotations

import glob
import hashlib
import io
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from anytime_core.files import atomic_write

_DIGEST = hashlib.sha256().digest_size

_log = logging.getLogger(__name__)


class Checkpoints:
    """The newest state of one run.

    The file begins with the SHA-256 of what follows, which is checked before anything is unpacked (PyTorch itself looks
    at no checksum), and only tensors and plain values are ever unpacked (``weights_only``). A kill at any moment leaves
    a whole state, once there has been one.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, state: dict[str, Any]) -> None:
        """Keep ``state``: nested dicts and lists of tensors and plain values.

        Raises:
            OSError: the folder cannot be written; the state before is still there.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        content = hashlib.sha256(content).digest() + content
        try:
            atomic_write(self.path, content)
        except (FileNotFoundError, FileExistsError):  # another run has just removed the folder, which it found empty
            atomic_write(self.path, content)

    def load(self, made_by: dict[str, Any]) -> dict[str, Any] | None:
        """The state, if it is whole and its entry ``made_by`` is this one; else None, with a warning in the log."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
            _log.warning("%s: expected a whole checkpoint, found a wrong checksum; passed over", self.path)
            return None
        state = torch.load(io.BytesIO(content[_DIGEST:]), weights_only=True, map_location="cpu")
        if state["made_by"] != made_by:
            _log.warning("%s: made by %s, not by %s; passed over", self.path, state["made_by"], made_by)
            return None
        return state

    def remove(self) -> None:
        """Delete the file and what kills left of it, once the record is there; the folder too if it is empty."""
        unfinished = self.path.parent.glob(f".{glob.escape(self.path.name)}-*.tmp")  # of atomic_write
        for path in (self.path, *unfinished):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.parent.rmdir()

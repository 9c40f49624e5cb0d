"""A run's state on the disk: written whole, checked when read, the one before kept."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from anytime_core.files import atomic_write, remove_unfinished

_MAGIC = b"anytime checkpoint 1\n"
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
        atomic_write(self.path, _MAGIC + hashlib.sha256(content).digest() + content)

    def load(self, made_by: dict[str, Any]) -> dict[str, Any] | None:
        """The newest state that is whole and whose entry ``made_by`` is this one; None if there is none.

        A state that is damaged or was made by something else is passed over with a warning in the log.
        """
        for path in (self.path, self._previous):
            try:
                state = _read(path)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                _log.warning("%s: %s; passed over", path, error)
                continue
            if state.get("made_by") == made_by:
                return state
            _log.warning("%s: made by %s, not by %s; passed over", path, state.get("made_by"), made_by)
        return None

    def remove(self) -> None:
        """Delete both files and what kills left of them, once the record is there; the folder too if it is empty."""
        remove_unfinished(self.path)
        for path in (self.path, self._previous):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.parent.rmdir()


def _read(path: Path) -> dict[str, Any]:
    """The state in a file; ValueError if it is no checkpoint or is damaged."""
    content = path.read_bytes()
    start = len(_MAGIC) + _DIGEST
    if not content.startswith(_MAGIC):
        raise ValueError("this is no checkpoint")
    if hashlib.sha256(content[start:]).digest() != content[len(_MAGIC) : start]:
        raise ValueError("the checkpoint is damaged: its checksum is wrong")
    try:
        state = torch.load(io.BytesIO(content[start:]), weights_only=True, map_location="cpu")
    except pickle.UnpicklingError:
        raise ValueError("the checkpoint holds more than tensors and plain values") from None
    except Exception as error:  # the reader of a file that somebody else has made raises whatever it stumbles over
        raise ValueError(f"the checkpoint cannot be unpacked ({type(error).__name__}: {error})") from None
    if not isinstance(state, dict):
        raise ValueError(f"expected the checkpoint to hold names and values, found {type(state).__name__}")
    return state

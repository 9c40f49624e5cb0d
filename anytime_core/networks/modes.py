"""Training and evaluation mode of a network's parts."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from torch import nn


@contextmanager
def modes_kept(module: nn.Module) -> Generator[None]:
    """Leave training or evaluation mode of every part as it was: a user may have frozen some."""
    modes = {part: part.training for part in module.modules()}
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training

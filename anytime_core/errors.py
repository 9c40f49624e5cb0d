"""One way to refuse bad input: name what was wrong, what was expected and what was found."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType


class InputError(ValueError):
    """Input that cannot be used, with one line per fault. In a notebook it shows without a traceback."""

    def _render_traceback_(self) -> list[str]:
        """IPython shows these lines in place of a traceback: the reader's mistake, not a path through our code."""
        return [f"{type(self).__name__}: {self}"]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean …?)`` if a known name is close to ``word``, else an empty text."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def needed_package(name: str, *, extra: str) -> ModuleType:
    """Import a module that only a part of the library needs, or raise ImportError with the line that installs it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f'{name} is missing ({error}): pip install "anytime-core[{extra}]"', name=name) from None

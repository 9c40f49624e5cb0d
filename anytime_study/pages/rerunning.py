"""The command that makes a page of the book again, as the page itself tells it."""

from __future__ import annotations

import json
import math
import re
import shlex
from pathlib import Path
from typing import Any

_PAPERMILL_WORDS = ("none", "true", "false", "nan", "inf", "infinity")  # may be taken for values of other types
_AGAIN = """\
```{{admonition}} Make this page again
:class: seealso
In the checkout, with other values if you like:

~~~bash
{command}
~~~
```"""


def again(notebook: Any) -> str | None:
    """The end of a page, in Markdown: how to make it again. None where :func:`command_of` knows no command."""
    command = command_of(notebook)
    return _AGAIN.format(command=command) if command else None


def command_of(notebook: Any) -> str | None:
    """The papermill line that makes a run again.

    Args:
        notebook: As papermill wrote it, in nbformat 4.

    Returns:
        One line for a shell in the checkout; None if the run's notebook was not named by a relative path.
    """
    run = notebook.metadata.get("papermill", {})
    source = run.get("input_path") or ""
    if not source or Path(source).is_absolute():
        return None
    words = ["papermill", source, "out.ipynb"]
    for name, value in run.get("parameters", {}).items():
        words += ["-p", name, str(value)] if _read_as_it_is(value) else ["-y", json.dumps({name: value})]
    return shlex.join(words)


def _read_as_it_is(value: Any) -> bool:
    """Whether papermill's option -p makes this value of its text: it knows numbers and a few words."""
    if isinstance(value, str):
        return re.fullmatch(r"[A-Za-z][\w./-]*", value) is not None and value.lower() not in _PAPERMILL_WORDS
    return isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))

"""What comes from files and people is checked; what is wrong is named, with what was expected and found."""

from __future__ import annotations

import os
import reprlib
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from anytime_core.errors import InputError, did_you_mean
from anytime_study.foundations import ROOT

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], values: Mapping[str, Any], *, where: str = "parameters") -> Model:
    """Build ``model`` from ``values``.

    Args:
        model: The pydantic model to build.
        values: Its fields by name.
        where: What the values come from, as the message should call it ("parameters", "study quick.yaml").

    Raises:
        InputError: one line per bad field: its name, what was expected, what was found.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise InputError(explain(error, model, where=where)) from None


def read_yaml(file: Path, *, where: str, expected: str) -> dict[str, Any]:
    """The names and values in a YAML file: nothing but plain values.

    Args:
        file: To read.
        where: What the message should call it ("study quick.yaml").
        expected: What the file should hold ("names with values (title, …)").

    Raises:
        InputError: it cannot be read, is not YAML, or holds something else.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"bad {where}: {error.strerror}") from None
    except (ValueError, OverflowError, RecursionError, yaml.YAMLError) as error:  # not all of them are YAML's own
        mark = getattr(error, "problem_mark", None)
        found = f"{getattr(error, 'problem', '')} in line {mark.line + 1}" if mark else str(error)
        raise InputError(f"bad {where}: expected YAML, found: {found}") from None
    if not isinstance(content, dict):
        raise InputError(f"bad {where}: expected {expected}, found {_SHORT.repr(content)}")
    return content


def explain(error: ValidationError, model: type[BaseModel], *, where: str) -> str:
    """The faults that pydantic found, in this project's words."""
    lines = []
    for fault in error.errors():
        name = ".".join(str(part) for part in fault["loc"]) or "together"
        found = f", found {_SHORT.repr(fault['input'])}"
        if fault["type"] == "extra_forbidden":
            guess = did_you_mean(name, model.model_fields)
            expected, found = f"there is no such name{guess}; known: {', '.join(model.model_fields)}", ""
        elif fault["type"] == "missing":
            expected, found = "expected a value, found none", ""
        elif fault["type"] == "json_invalid":
            name, expected, found = "content", f"expected JSON, found none ({fault['ctx']['error']})", ""
        elif fault["type"] == "value_error":
            expected = str(fault["ctx"]["error"])
            found = "" if ", found" in expected or not fault["loc"] else found
        else:
            expected = fault["msg"].replace("Input should be", "expected")
        lines.append(f"{name}: {expected}{found}")
    return f"bad {where}: " + "\n  ".join(["", *lines] if len(lines) > 1 else lines)


def require_folder(folder: Path, *, name: str) -> None:
    """Make a folder unless it is there, and see whether files can be made in it.

    Args:
        folder: For what is written later, after hours perhaps.
        name: What the message calls it.

    Raises:
        InputError: it cannot be made, or nothing can be written to it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{name}: expected a folder that can be written, found {folder}: {error.strerror}") from None


def own_fault(error: Exception) -> str | None:
    """An error that arose in code of people's own, such as a weighting, in one line with its file and line.

    None if it came through none: through the two packages alone, and what is installed.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_NOT_OWN)]
    if not frames:
        return None
    return f"{frames[-1].filename}:{frames[-1].lineno}: {type(error).__name__}: {' '.join(str(error).split())}"


_INSTALLED = sys.prefix, sys.base_prefix, ROOT / "anytime_core", ROOT / "anytime_study"
_NOT_OWN = ("<", *(f"{place}{os.sep}" for place in _INSTALLED))

_SHORT = reprlib.Repr()  # a few lines of YAML can stand for a billion values
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80

"""Values from files and people become models; what is wrong is named, with what was expected and found."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from anytime_core.errors import InputError, did_you_mean

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
        raise InputError(f"bad {where}: expected YAML, found: {error}") from None
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
            found = "" if ", found" in expected else found
        else:
            expected = fault["msg"].replace("Input should be", "expected")
        lines.append(f"{name}: {expected}{found}")
    return f"bad {where}: " + "\n  ".join(["", *lines] if len(lines) > 1 else lines)


_SHORT = reprlib.Repr()  # a few lines of YAML can stand for a billion values
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80

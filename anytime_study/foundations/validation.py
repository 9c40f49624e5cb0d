"""One way to refuse bad input: name what was wrong, what was expected and what was found."""

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
    """The names and values in a YAML file, by the safe loader.

    Args:
        file: To read.
        where: What the message should call it ("study quick.yaml").
        expected: What the file should hold ("names with values (title, …)").

    Raises:
        InputError: it cannot be read, is not YAML, gives a name twice, or holds something else.
    """
    try:
        loader = yaml.SafeLoader(file.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        _refuse_twins(node)
        content = loader.construct_document(node) if node else None
    except OSError as error:
        raise InputError(f"bad {where}: {error.strerror}") from None
    except (ValueError, OverflowError, RecursionError, yaml.YAMLError) as error:  # not all of them are YAML's own
        raise InputError(f"bad {where}: expected YAML, found: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"bad {where}: expected {expected}, found {_short(content)}")
    return content


def _refuse_twins(node: yaml.Node | None) -> None:
    """Raise YAML's own kind of error for a name that is given twice: the safe loader would take the last one."""
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an alias: it may even lead back to itself
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            names: set[tuple[str, str]] = set()
            for key, value in node.value:
                waiting += [key, value]
                if isinstance(key, yaml.ScalarNode):
                    if (key.tag, key.value) in names:
                        raise yaml.MarkedYAMLError(problem=f"{key.value!r} is given twice", problem_mark=key.start_mark)
                    names.add((key.tag, key.value))


def explain(error: ValidationError, model: type[BaseModel], *, where: str) -> str:
    """The faults that pydantic found, in this project's words."""
    lines = []
    for fault in error.errors():
        name = ".".join(str(part) for part in fault["loc"]) or "together"
        found = f", found {_short(fault['input'])}"
        if fault["type"] == "extra_forbidden":
            guess = did_you_mean(name, model.model_fields)
            expected, found = f"there is no such name{guess}; known: {', '.join(model.model_fields)}", ""
        elif fault["type"] == "missing":
            expected, found = "expected a value, found none", ""
        elif fault["type"] == "value_error":
            expected = str(fault["ctx"]["error"])
            found = "" if ", found" in expected else found
        else:
            expected = fault["msg"].replace("Input should be", "expected")
        lines.append(f"{name}: {expected}{found}")
    return f"bad {where}: " + "\n  ".join(["", *lines] if len(lines) > 1 else lines)


_BRIEF = reprlib.Repr()  # a few lines of YAML can stand for a billion values, which repr would all write down
_BRIEF.maxlevel = 3
_BRIEF.maxlist = _BRIEF.maxtuple = _BRIEF.maxdict = 20
_BRIEF.maxstring = _BRIEF.maxlong = _BRIEF.maxother = 1000


def _short(value: object, limit: int = 80) -> str:
    try:
        text = _BRIEF.repr(value)
    except ValueError:
        text = f"a {type(value).__name__} that is too long to write down"
    return text if len(text) <= limit else f"{text[:limit]}…"

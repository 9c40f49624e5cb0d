"""Parts of a run are named by short texts such as ``resann(n=2, c=8)`` or ``opt(exit=3)``.

A registry maps each name to the constructor that builds it. Only literals are read from the text (with :mod:`ast`,
nothing is evaluated), and the arguments are checked against the constructor's own signature, so there is one place
where an option, its type and its default are written down.
"""

from __future__ import annotations

import ast
import functools
import inspect
import pkgutil
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from anytime_core.errors import did_you_mean


@dataclass(frozen=True, eq=False)
class Registry:
    """Named constructors of one kind.

    Attributes:
        kind: What is registered, as a reader would call it ("network").
        entries: Name -> where its constructor lives, as ``"package.module:object"``. It is imported on first use.
        supplied: Constructor arguments that the trainer fills in, where a constructor has them; a text cannot set them.
        largest: Whole numbers in options are at most this, and so is the sum of several in a tuple; None for no limit.
            Where they are sizes, a slip of the keyboard would otherwise be built for hours before anything is said.
    """

    kind: str
    entries: Mapping[str, str]
    supplied: frozenset[str]
    largest: int | None = None

    def constructor(self, name: str) -> Callable[..., Any]:
        """The constructor behind ``name``; ValueError, with the names there are, if there is none."""
        if name not in self.entries:
            raise ValueError(f"expected one of {', '.join(self.entries)}{did_you_mean(name, self.entries)}")
        return pkgutil.resolve_name(self.entries[name])

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """The options that a text may give for ``name``, with their defaults and annotations."""
        parameters = inspect.signature(self.constructor(name)).parameters
        return {key: parameter for key, parameter in parameters.items() if key not in self.supplied}

    def table(self) -> list[dict[str, str]]:
        """For people: a row per name with its options and their defaults, and the first line of its docstring."""
        return [
            {
                "name": name,
                "options": ", ".join(f"{key}={option.default!r}" for key, option in self.options(name).items()),
                "what it is": (inspect.getdoc(self.constructor(name)) or "").partition("\n")[0].replace("`", ""),
            }
            for name in self.entries
        ]

    def canonical(self, text: str) -> str:
        """The one spelling of ``text`` that names runs: options in the constructor's order, defaults left out.

        Raises:
            ValueError: unknown name, text that is not ``name`` or ``name(option=value, …)``, unknown option, or a
                value of the wrong type.
        """
        return _canonical(self, text)

    def _spelling(self, text: str) -> str:
        name, given = self._parse(text)
        options = self.options(name)
        hints = typing.get_type_hints(_annotated(self.constructor(name)))
        kept = []
        for key, parameter in options.items():
            if key not in given:
                continue
            try:
                value = TypeAdapter(hints[key], config=ConfigDict(strict=True)).validate_python(given[key])
            except ValidationError as error:
                expected = error.errors()[0]["msg"].replace("Input should be", "expected")
                raise ValueError(f"option {key} of {name}: {expected}, found {given[key]!r}") from None
            if self.largest is not None and _total(value) > self.largest:
                raise ValueError(f"option {key} of {name}: expected at most {self.largest}, found {given[key]!r}")
            if value != parameter.default:
                kept.append(f"{key}={value!r}")
        return f"{name}({', '.join(kept)})" if kept else name

    def build(self, text: str, **supplied: Any) -> Any:
        """Construct what ``text`` names. Raises what :meth:`canonical` and the constructor raise."""
        name, given = self._parse(self.canonical(text))
        constructor = self.constructor(name)
        wanted = inspect.signature(constructor).parameters
        return constructor(**given, **{key: value for key, value in supplied.items() if key in wanted})

    def _parse(self, text: str) -> tuple[str, dict[str, Any]]:
        """Split ``name(1, b=2)`` into the name and its options by keyword."""
        shape = f"expected a {self.kind} written as name or name(option=value)"
        try:
            tree = ast.parse(text.strip(), mode="eval").body
            call = tree if isinstance(tree, ast.Call) else ast.Call(tree, [], [])
            if not isinstance(call.func, ast.Name) or any(word.arg is None for word in call.keywords):
                raise ValueError(shape)
            positional = [ast.literal_eval(argument) for argument in call.args]
            keywords = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            raise ValueError(shape) from None
        options = self.options(call.func.id)
        names = [key for key, parameter in options.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
        if len(positional) > len(names):
            raise ValueError(
                f"{call.func.id}: expected at most {len(names)} values without a name, found {len(positional)}"
            )
        given = dict(zip(names, positional, strict=False))
        for key, value in keywords.items():
            if key in given:
                raise ValueError(f"option {key} of {call.func.id} is given twice")
            if key not in options:
                known = ", ".join(options) or "none"
                raise ValueError(f"unknown option {key} of {call.func.id}; it has: {known}{did_you_mean(key, options)}")
            given[key] = value
        return call.func.id, given


@functools.lru_cache(maxsize=10_000)
def _canonical(registry: Registry, text: str) -> str:
    """Kept, because a page of the book reads the same few names in thousands of records and planned runs."""
    return registry._spelling(text)


def _total(value: object) -> int:
    """A whole number as it is, the sum of those in a tuple; 0 for anything else."""
    if isinstance(value, tuple):
        return sum(map(_total, value))
    return abs(value) if isinstance(value, int) else 0


def _annotated(constructor: Callable[..., Any]) -> Callable[..., Any]:
    """Where the annotations of a constructor's arguments are: a class keeps them on ``__init__``."""
    return constructor.__init__ if inspect.isclass(constructor) else constructor

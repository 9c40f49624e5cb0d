"""Parts of a run are named by short texts such as ``resann(n=2, c=8)`` or ``opt(exit=3)``, which are parsed once.

A registry maps each name to the constructor that builds it. Only literals are read from the text (with :mod:`ast`,
nothing is evaluated), and the options are checked against the constructor's own signature.
"""

from __future__ import annotations

import ast
import functools
import inspect
import pkgutil
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from anytime_core.errors import did_you_mean
from anytime_study.foundations.validation import own_fault


@dataclass(frozen=True)
class Spec:
    """What a text such as ``resann(n=2)`` names.

    Attributes:
        name: The entry of the registry.
        options: All its options by name; those that the text leaves out have their defaults.
        text: The one spelling, for hashes and file names: options in the constructor's order, defaults left out.
    """

    name: str
    options: dict[str, Any] = field(hash=False)
    text: str


@dataclass(frozen=True, eq=False)
class Registry:
    """Named constructors of one kind.

    Attributes:
        kind: What is registered, as a reader would call it ("network").
        entries: Name -> where its constructor lives, as ``"package.module:object"``. It is imported on first use.
        supplied: Constructor arguments that the trainer fills in, where a constructor has them; a text cannot set them.
        defaults: Name -> options whose defaults are other ones than the constructor's. A default that has named runs
            never changes; where a constructor's own does, the old one goes here.
        largest: Whole numbers in options, and the sum of those in a tuple, are at most this. Where they are sizes, a
            slip of the keyboard would otherwise be built for hours before anything is said.
        own: ``"package.module:Class"`` that parts of people's own derive from; a text names such a part by where it can
            be imported, as ``mymodule.MyPart(option=value)``. None: there are no such parts.
    """

    kind: str
    entries: Mapping[str, str]
    supplied: frozenset[str] = frozenset()
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    largest: int | None = None
    own: str | None = None

    def constructor(self, name: str) -> Callable[..., Any]:
        """The constructor behind ``name``; ValueError, with the names there are, if there is none."""
        if self.own is not None and "." in name:
            return _own_part(name, pkgutil.resolve_name(self.own))
        if name not in self.entries:
            raise ValueError(f"expected one of {', '.join(self.entries)}{did_you_mean(name, self.entries)}")
        return pkgutil.resolve_name(self.entries[name])

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """The options that a text may give for ``name``, with their defaults."""
        changed = self.defaults.get(name, {})
        return {
            key: parameter.replace(default=changed.get(key, parameter.default))
            for key, parameter in inspect.signature(self.constructor(name)).parameters.items()
            if key not in self.supplied
        }

    def parse(self, text: str) -> Spec:
        """Read ``name`` or ``name(option=value, …)``.

        Raises:
            ValueError: another text, unknown name or option, or a value of the wrong type.
        """
        return _parsed(self, text)

    def build(self, spec: Spec | str, **supplied: Any) -> Any:
        """Construct what a spec, or its text, names.

        Raises:
            ValueError: as :meth:`parse`; or a constructor of people's own failed, with file and line. Else it raises
                what the constructor does.
        """
        if isinstance(spec, str):
            spec = self.parse(spec)
        constructor = self.constructor(spec.name)
        wanted = inspect.signature(constructor).parameters
        try:
            return constructor(**spec.options, **{key: value for key, value in supplied.items() if key in wanted})
        except Exception as error:
            if (told := own_fault(error)) is None:
                raise
            raise ValueError(told) from error

    def takes(self, spec: Spec, argument: str) -> bool:
        """Whether a constructor has such an argument, one that the trainer fills in."""
        return argument in inspect.signature(self.constructor(spec.name)).parameters

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


def _own_part(name: str, base: type) -> type:
    """The class of that name, which must derive from ``base``: a text may not call just anything."""
    try:
        found = pkgutil.resolve_name(name)
    except Exception as error:  # importing runs their code
        found = own_fault(error) or error
        raise ValueError(f"expected {name} to be a class that can be imported, found: {found}") from None
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise ValueError(f"expected {name} to be a class derived from {base.__name__}, found {found!r}")
    return found


@functools.lru_cache(maxsize=10_000)  # a page of the book reads the same few texts in thousands of records and runs
def _parsed(registry: Registry, text: str) -> Spec:
    name, given = _split(text, registry.kind)
    options = registry.options(name)
    for key in given.keys() - options.keys():
        known = ", ".join(options) or "none"
        raise ValueError(f"unknown option {key} of {name}; it has: {known}{did_you_mean(key, options)}")
    for key, option in options.items():
        if option.default is inspect.Parameter.empty and key not in given:
            raise ValueError(f"option {key} of {name}: expected a value, found none")
    constructor = registry.constructor(name)
    hints = typing.get_type_hints(constructor.__init__ if inspect.isclass(constructor) else constructor)
    values = {}
    for key, value in given.items():
        try:
            values[key] = TypeAdapter(hints.get(key, Any), config=ConfigDict(strict=True)).validate_python(value)
        except ValidationError as error:
            expected = error.errors()[0]["msg"].replace("Input should be", "expected")
            raise ValueError(f"option {key} of {name}: {expected}, found {value!r}") from None
        if registry.largest is not None and _total(value) > registry.largest:
            raise ValueError(f"option {key} of {name}: expected at most {registry.largest}, found {value!r}")
    said = [f"{key}={values[key]!r}" for key in options if key in values and values[key] != options[key].default]
    everything = {key: values.get(key, option.default) for key, option in options.items()}
    return Spec(name, everything, f"{name}({', '.join(said)})" if said else name)


def _split(text: str, kind: str) -> tuple[str, dict[str, Any]]:
    """The name in ``name(a=1, b=2)``, and the values."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        call = tree if isinstance(tree, ast.Call) else ast.Call(tree, [], [])
        keywords = {word.arg or "": ast.literal_eval(word.value) for word in call.keywords}
        name = ast.unparse(call.func)
        once = not call.args and "" not in keywords and len(keywords) == len(call.keywords)
        if once and re.fullmatch(r"[^\W\d]\w*(\.\w+)*", name):
            return name, keywords
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        pass
    raise ValueError(f"expected a {kind} written as name or name(option=value), each option once")


def _total(value: object) -> int:
    """A whole number as it is, the sum of those in a tuple; 0 for anything else."""
    if isinstance(value, tuple):
        return sum(map(_total, value))
    return abs(value) if isinstance(value, int) else 0

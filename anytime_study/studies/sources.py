"""Which files of the two packages a notebook or a module depends on: what it imports, and what that imports in turn.

The workflow makes a page or a run anew when one of these changes, and not when another one does.
"""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("anytime_core", "anytime_study")
_ENTRY = re.compile(r"anytime_(?:core|study)[\w.]*:[\w.]+")  # of a registry


def sources_of(path: Path | str) -> list[str]:
    """Modules of the two packages that ``path`` depends on, as paths from the checkout, sorted.

    Read from its import statements, those inside of functions too, but not those that only a type checker sees, and
    from the entries of registries. With a module, the ``__init__`` of each package that it lies in is imported.

    Args:
        path: A notebook or a Python file; a relative path starts at the checkout.

    Raises:
        OSError: the file cannot be read.
        SyntaxError: it is no Python.
    """
    start = _ROOT / path
    found = {init for folder in start.parents if (init := folder / "__init__.py") != start and init.exists()}
    waiting = [start, *found]
    while waiting:
        file = waiting.pop()
        for name in _imports(file, file.stat().st_mtime_ns):
            new = set(_files(name)) - found
            found |= new
            waiting += new
    return sorted(str(module.relative_to(_ROOT)) for module in found)


@functools.cache
def _imports(path: Path, _changed: int) -> frozenset[str]:
    """Dotted names that a file imports, read once while it does not change: every page asks for much the same files."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return frozenset(_names(ast.parse(text)))


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _ENTRY.fullmatch(node.value):
            yield node.value.partition(":")[0]
        yield from _names(node)


def _files(name: str) -> list[Path]:
    """The files that importing a dotted name runs: of the packages on the way, and of the module.

    A name of the library itself, such as ``anytime_core.AdaLoss``, is loaded from wherever it is: that counts as all.
    """
    package, *parts = name.split(".")
    if package not in _PACKAGES:
        return []
    folder = _ROOT / package
    files = [folder / "__init__.py"]
    for part in parts:
        if (folder / f"{part}.py").exists():
            return [*files, folder / f"{part}.py"]
        folder = folder / part
        if not (folder / "__init__.py").exists():
            whole = package == "anytime_core" and len(parts) == 1 and part != "__version__"
            return sorted(folder.parent.rglob("*.py")) if whole else files
        files.append(folder / "__init__.py")
    return files

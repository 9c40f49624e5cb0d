"""The rooms of the package: as the book lists them, and with imports that run downwards only."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "anytime_core"
LISTED = re.findall(r"^\| `([\w.]+)/?` \|", (ROOT / "book/contributing.md").read_text(encoding="utf-8"), re.MULTILINE)
ROOMS = [name.removesuffix(".py") for name in LISTED]  # from the roof to the ground


def imported_rooms(path):
    """Every room that a file imports from, in functions and for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole module"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "anytime_core" and rest.partition(".")[0] in ROOMS:
                yield rest.partition(".")[0]


def test_the_book_lists_all_rooms():
    found = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert found | {"cli"} == set(ROOMS)
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "cli.py"}


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_downwards(room):
    files = [PACKAGE / "cli.py"] if room == "cli" else sorted((PACKAGE / room).rglob("*.py"))
    above = set(ROOMS[: ROOMS.index(room)])
    assert {(file.name, name) for file in files for name in imported_rooms(file) if name in above} == set()


def test_public_names_come_from_rooms():
    names = re.findall(r'^    "\w+": "(\w+)', (PACKAGE / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert names
    assert set(names) <= set(ROOMS)

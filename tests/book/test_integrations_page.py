"""The table of what the library works with names tests that there are, without their underscores."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.prose

ROOT = Path(__file__).parents[2]
LAST = re.findall(r"\| ([^|]+) \|$", (ROOT / "book/integrations.md").read_text(), re.MULTILINE)
ROWS = ["test_" + name.replace(" ", "_") for name in LAST if not set(name) <= {"-"} and name != "test"]


def names_in(*files):
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files)
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_row_is_a_test():
    assert set(ROWS) <= names_in(*(ROOT / "tests/core").rglob("test_*.py"), ROOT / "tests/book/test_cookbook.py")
    assert len(ROWS) == len(set(ROWS)) >= 14


def test_every_integration_that_is_tested_has_its_row():
    tested = names_in(ROOT / "tests/core/test_integrations.py")
    assert {name for name in tested if name.startswith("test_")} <= set(ROWS)

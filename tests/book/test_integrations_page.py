"""The table of what the library works with names tests that there are."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.prose

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)` \|$", (ROOT / "book/integrations.md").read_text(), re.MULTILINE)


def names_in(file):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize(("file", "name"), ROWS, ids=[name for _, name in ROWS])
def test_a_row_is_a_test(file, name):
    assert name in names_in(file)


def test_every_integration_that_is_tested_has_its_row():
    assert {name for file, name in ROWS if file == "tests/core/test_integrations.py"} == names_in(
        "tests/core/test_integrations.py"
    )
    assert len(ROWS) == len(set(ROWS)) >= 14

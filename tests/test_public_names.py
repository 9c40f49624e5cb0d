import ast
import subprocess
import sys
from pathlib import Path

import pytest

import anytime_core


@pytest.mark.parametrize("name", anytime_core.__all__)
def test_every_public_name_can_be_got_and_is_documented(name):
    value = getattr(anytime_core, name)
    assert name in dir(anytime_core)
    if callable(value):
        assert value.__doc__
        assert value.__name__ == name
        assert value.__module__.startswith("anytime_core.")


def test_type_checkers_see_the_same_names_from_the_same_places():
    tree = ast.parse(Path(anytime_core.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: statement.module for statement in block.body for alias in statement.names}
    assert seen == {name: f"anytime_core.{home}" for name, home in anytime_core._HOME.items()}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="AdaLos"):
        _ = anytime_core.AdaLos
    assert not hasattr(anytime_core, "nothing")


def test_importing_the_package_alone_loads_nothing_and_adaloss_torch_alone():
    code = """
import sys

def new(before):
    return {name.partition(".")[0] for name in sys.modules.keys() - before} - set(sys.stdlib_module_names)

start = set(sys.modules)
import anytime_core
dir(anytime_core), anytime_core.__version__
print(sorted(new(start)))
import torch
start = set(sys.modules)
anytime_core.AdaLoss(3)
print(sorted(new(start) - {"torch"}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines() == ["['anytime_core']"] * 2


def test_a_star_import_gives_all_names_of_the_table():
    namespace = {}
    exec("from anytime_core import *", namespace)
    assert sorted(anytime_core.__all__) == sorted([*anytime_core._HOME, "__version__"])
    assert set(anytime_core.__all__) <= namespace.keys()

"""Imports run downwards only: from the study to the library, and within each from upper rooms to lower ones."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = {  # from the roof to the ground; a room is a folder or a file
    "anytime_study": [
        "cli", "study_commands", "prediction", "summary", "pages", "analysis", "studies", "training", "runs",
        "datasets", "theory", "foundations",
    ],
    "anytime_core": ["inference", "costs", "losses", "networks", "weighting", "files", "errors"],
}  # fmt: skip


def rooms_imported(path, package):
    """Every room of a package that a file imports from, in functions and for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole module"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            first, _, rest = name.partition(".")
            if first == package and rest.partition(".")[0] in LAYERS[package]:
                yield rest.partition(".")[0]


def files_of(package, room):
    folder = ROOT / package / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


@pytest.mark.parametrize("package", LAYERS)
def test_every_room_has_its_layer(package):
    kinds = {"": Path.is_dir, ".py": Path.is_file}  # an installation may leave an .egg-info beside them
    found = {path.stem for path in (ROOT / package).iterdir() if kinds.get(path.suffix, lambda _: False)(path)}
    assert found - {"__pycache__", "__init__", "py"} == set(LAYERS[package])


@pytest.mark.parametrize(("package", "room"), [(package, room) for package in LAYERS for room in LAYERS[package]])
def test_imports_run_downwards(package, room):
    above = set(LAYERS[package][: LAYERS[package].index(room)])
    assert {
        (file.name, name) for file in files_of(package, room) for name in rooms_imported(file, package) if name in above
    } == set()


def test_the_library_does_not_know_the_study():
    imports = {
        file.name: [line for line in file.read_text(encoding="utf-8").splitlines() if "anytime_study" in line]
        for file in (ROOT / "anytime_core").rglob("*.py")
    }
    assert {name: lines for name, lines in imports.items() if lines} == {}

"""pyproject.toml, requirements.lock, environment.yml and the library's imports tell the same story."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import anytime_core

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())


def declared():
    lists = [
        PROJECT["dependencies"],
        *PROJECT["optional-dependencies"].values(),
        *(lines for name, lines in PYPROJECT["dependency-groups"].items() if name != "lab"),
    ]
    return [Requirement(line) for lines in lists for line in lines]


def locked(lock="requirements.lock"):
    """Every version that the lock gives a package; more than one where it depends on the Python version."""
    versions: dict[str, list[Requirement]] = {}
    for line in (ROOT / lock).read_text().splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            requirement = Requirement(line)
            versions.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return versions


def test_every_declared_dependency_is_locked_within_its_range():
    lock = locked()
    for requirement in declared():
        pinned = lock.get(canonicalize_name(requirement.name))
        assert pinned, f"{requirement.name} is not in requirements.lock: run `make lock`"
        for pin in pinned:
            (specifier,) = pin.specifier
            assert specifier.operator == "=="
            assert requirement.specifier.contains(specifier.version), f"{pin} does not satisfy {requirement}"


def test_the_light_environment_has_what_the_lab_needs_in_the_same_versions():
    light, whole = locked("requirements-lab.lock"), locked()
    group = PYPROJECT["dependency-groups"]
    for line in [*group["study"], *(line for line in group["lab"] if isinstance(line, str))]:
        requirement = Requirement(line)
        pins = light[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(next(iter(pin.specifier)).version) for pin in pins)
    shared = light.keys() & whole.keys()
    assert {
        name for name in shared if {str(p.specifier) for p in light[name]} != {str(p.specifier) for p in whole[name]}
    } == set()
    assert "torch" in shared


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-lab.lock"])
def test_the_lock_names_no_index_and_no_local_file(lock):
    text = (ROOT / lock).read_text()
    assert not re.search(r"https?://|file:|--index|--find-links|--extra-index| @ ", text)


def test_the_library_imports_at_once_only_what_it_depends_on():
    """What an extra brings may be imported in functions, or in a module that is for that extra alone."""
    for_extras = {"onnx_runner.py": {"numpy", "onnxruntime"}}
    depends_on = {Requirement(line).name for line in PROJECT["dependencies"]}
    for path in (ROOT / "anytime_core").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
        tops = {name.partition(".")[0] for name in names}
        known = {*sys.stdlib_module_names, "anytime_core", *depends_on, *for_extras.get(path.name, ())}
        assert tops <= known, path


def test_the_environment_takes_versions_from_the_lock_and_names_what_is_declared():
    (lines,) = [part["pip"] for part in ENVIRONMENT["dependencies"] if isinstance(part, dict)]
    assert lines[0] == "--requirement requirements.lock"
    assert {line for line in lines if not line.startswith("-")} <= {requirement.name for requirement in declared()}
    assert lines[-2:] == ["--editable .", "--editable ./anytime_study"]


def test_pythons_have_a_lower_end_and_no_upper_one():
    supported = SpecifierSet(PROJECT["requires-python"])
    assert [specifier.operator for specifier in supported] == [">="]
    listed = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert listed
    assert all(supported.contains(f"{version}.0") for version in listed)


def test_the_version_is_the_same_everywhere():
    study = tomllib.loads((ROOT / "anytime_study/pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert study["version"] == str(citation["version"]) == anytime_core.__version__


def test_the_repositorys_address_has_one_place():
    """The library's README repeats it for package indexes; nothing else may."""
    address = PROJECT["urls"]["Repository"]
    assert address in (ROOT / "anytime_core/README.md").read_text()
    owner = address.removeprefix("https://github.com/").partition("/")[0]
    for file in ("README.md", "CITATION.cff", "_config.yml"):
        assert f"github.com/{owner}" not in (ROOT / file).read_text()

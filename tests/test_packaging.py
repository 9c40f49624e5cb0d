"""pyproject.toml, requirements.lock and environment.yml tell the same story."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import anytime_core

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
NAMED_PACKAGES = {"torch", "torchvision", "jupyter-book", "papermill", "seaborn", "scipy"}


def declared():
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(line) for line in [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]]


def locked():
    """Every version that the lock gives a package; more than one where it depends on the Python version."""
    versions: dict[str, list[Requirement]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            requirement = Requirement(line)
            versions.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return versions


def pip_lines():
    (lines,) = [part["pip"] for part in ENVIRONMENT["dependencies"] if isinstance(part, dict)]
    return lines


def test_every_declared_dependency_is_locked_within_its_range():
    lock = locked()
    for requirement in declared():
        pinned = lock.get(canonicalize_name(requirement.name))
        assert pinned, f"{requirement.name} is not in requirements.lock: run `make lock`"
        for pin in pinned:
            (specifier,) = pin.specifier
            assert specifier.operator == "=="
            assert requirement.specifier.contains(specifier.version), f"{pin} does not satisfy {requirement}"


def test_the_lock_names_no_index_and_no_local_file():
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?://|file:|--index|--find-links|--extra-index| @ ", text)


def test_the_environment_names_python_and_the_packages_the_study_is_built_on():
    pythons = [part for part in ENVIRONMENT["dependencies"] if isinstance(part, str) and part.startswith("python")]
    assert [SpecifierSet(python.removeprefix("python")) for python in pythons] == [
        SpecifierSet(PROJECT["requires-python"])
    ]
    named = {line for line in pip_lines() if not line.startswith("-")}
    assert named == NAMED_PACKAGES
    assert named <= {requirement.name for requirement in declared()}


def test_the_environment_takes_its_versions_from_the_lock():
    lines = pip_lines()
    assert lines[0] == "--constraint requirements.lock"
    assert lines[-1] == "--editable .[book,cluster,dev,onnx]"
    assert {"book", "cluster", "dev", "onnx"} == set(PROJECT["optional-dependencies"])


def test_the_supported_pythons_agree():
    supported = SpecifierSet(PROJECT["requires-python"])
    listed = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert listed == ["3.11", "3.12", "3.13"]
    assert all(supported.contains(f"{version}.0") for version in listed)
    assert not supported.contains("3.10.9")
    assert not supported.contains("3.14.0")


def test_the_version_is_written_once():
    assert "version" in PROJECT["dynamic"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == anytime_core.__version__


@pytest.mark.parametrize("name", ["book", "notebooks", "anytime_core", "data", "tests", "workflow"])
def test_the_top_level_folders_are_there(name):
    assert (ROOT / name).is_dir()


@pytest.mark.parametrize(
    "name", ["_config.yml", "_toc.yml", "environment.yml", "LICENSE", "CITATION.cff", "CHANGELOG.md"]
)
def test_the_top_level_files_are_there(name):
    assert (ROOT / name).is_file()

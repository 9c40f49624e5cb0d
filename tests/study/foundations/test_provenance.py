import platform
import subprocess

import pytest
import torch

from anytime_study.foundations import provenance as module
from anytime_study.foundations.provenance import Provenance, provenance

CPU = torch.device("cpu")


def git(folder, *arguments):
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder, in no repository, that the package believes to lie in."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(variable, raising=False)
    source = tmp_path / "anytime_study" / "foundations" / "provenance.py"
    source.parent.mkdir(parents=True)
    source.write_text("code = 1\n")
    monkeypatch.setattr(module, "__file__", str(source))
    return tmp_path


@pytest.fixture
def checkout(folder):
    """The same with a repository of one commit."""
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def test_a_clean_checkout(checkout):
    found = provenance(CPU)
    assert found.commit == git(checkout, "rev-parse", "HEAD").strip()
    assert found.dirty is False
    assert Provenance.model_validate_json(found.model_dump_json()) == found


def test_it_names_no_user_and_no_path():
    text = provenance(CPU).model_dump_json()
    assert "/" not in text
    assert platform.node() not in text


@pytest.mark.parametrize(
    ("path", "dirty"),
    [
        ("data/records/quick/run.json", False),
        ("README.md", False),
        ("anytime_study/foundations/provenance.py", True),
        ("anytime_core/new.py", True),
        ("notebooks/train.ipynb", True),
    ],
)
def test_code_makes_it_dirty_and_what_is_made_does_not(checkout, path, dirty):
    (checkout / path).parent.mkdir(parents=True, exist_ok=True)
    (checkout / path).write_text("code = 2\n")
    assert provenance(CPU).dirty is dirty


def test_outside_a_checkout_nothing_is_known(folder):
    assert (provenance(CPU).commit, provenance(CPU).dirty) == (None, None)

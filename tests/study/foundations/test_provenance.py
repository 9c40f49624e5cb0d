import platform
import subprocess

import pytest
import torch

import anytime_core
from anytime_study.foundations import provenance as module
from anytime_study.foundations.provenance import Provenance, provenance

CPU = torch.device("cpu")


def git(folder, *arguments):
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository that the package believes to lie in, with one commit."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "anytime_core" / "foundations").mkdir(parents=True)
    source = tmp_path / "anytime_core" / "foundations" / "provenance.py"
    source.write_text("code = 1\n")
    (tmp_path / "pyproject.toml").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    monkeypatch.setattr(module, "__file__", str(source))
    return tmp_path


def test_versions_and_machine():
    found = provenance(CPU)
    assert found.package == anytime_core.__version__
    assert found.torch == torch.__version__
    assert found.python == platform.python_version()
    assert found.platform == f"{platform.system()} {platform.machine()}"
    assert found.threads == torch.get_num_threads()
    assert found.device


def test_it_comes_back_from_json():
    found = provenance(CPU)
    assert Provenance.model_validate_json(found.model_dump_json()) == found


def test_it_names_no_user_and_no_path(tmp_path):
    text = provenance(CPU).model_dump_json()
    assert "/" not in text.replace("\\/", "")
    assert platform.node() not in text


def test_a_clean_checkout(checkout):
    found = provenance(CPU)
    assert found.commit == git(checkout, "rev-parse", "HEAD")
    assert len(found.commit) == 40
    assert found.dirty is False


@pytest.mark.parametrize("path", ["data/records/quick/run.json", "book/results/page.ipynb", "README.md", "notes.txt"])
def test_records_pages_and_prose_do_not_make_it_dirty(checkout, path):
    (checkout / path).parent.mkdir(parents=True, exist_ok=True)
    (checkout / path).write_text("new")
    assert provenance(CPU).dirty is False


@pytest.mark.parametrize(
    "path",
    [
        "anytime_study/foundations/provenance.py",
        "anytime_core/new.py",
        "pyproject.toml",
        "notebooks/train.ipynb",
        "workflow/Snakefile",
    ],
)
def test_code_makes_it_dirty(checkout, path):
    (checkout / path).parent.mkdir(parents=True, exist_ok=True)
    (checkout / path).write_text("code = 2\n")
    assert provenance(CPU).dirty is True


def test_outside_a_checkout_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "anytime_core" / "foundations").mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "anytime_core" / "foundations" / "provenance.py"))
    found = provenance(CPU)
    assert (found.commit, found.dirty) == (None, None)


@pytest.mark.parametrize(
    "error", [FileNotFoundError("git"), PermissionError("git"), subprocess.TimeoutExpired("git", 30)], ids=repr
)
def test_without_git_nothing_is_known(monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(module.subprocess, "run", fail)
    found = provenance(CPU)
    assert (found.commit, found.dirty) == (None, None)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_named():
    assert provenance(torch.device("cuda", 0)).device == torch.cuda.get_device_name(0)

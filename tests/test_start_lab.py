"""The light environment, without installing it: what would be run, and how often."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """start_lab.py with a folder of its own, and what it would have run."""
    spec = importlib.util.spec_from_file_location("start_lab", ROOT / "start_lab.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ran = []
    monkeypatch.setattr(module, "ENVIRONMENT", tmp_path)
    monkeypatch.setattr(module, "DONE", tmp_path / "installed")
    monkeypatch.setattr(module, "run", lambda *command: module.ran.append(command))
    monkeypatch.setattr(module.venv, "create", lambda *_, **__: None)
    monkeypatch.setenv("UV_TORCH_BACKEND", "")
    monkeypatch.delenv("UV_TORCH_BACKEND")
    return module


def wanted(lab):
    return (lab.ENVIRONMENT / "requirements.txt").read_text(encoding="utf-8")


def test_without_a_gpu_nothing_that_cuda_alone_needs_is_installed(lab, monkeypatch):
    lab.install(gpu=False)
    assert lab.os.environ["UV_TORCH_BACKEND"] == "cpu"
    assert "\nnvidia-" not in wanted(lab)
    assert "\ntriton==" not in wanted(lab)
    names = {line.partition("==")[0] for line in wanted(lab).splitlines()}
    assert {"torch", "jupyterlab", "torchjd"} <= names
    assert [command[-2:] for command in lab.ran][-1] == ("--editable", str(ROOT / "anytime_study"))


def test_with_a_gpu_the_package_index_decides(lab):
    lab.install(gpu=True)
    assert "UV_TORCH_BACKEND" not in lab.os.environ
    assert "\nnvidia-" in wanted(lab)


def test_the_list_of_files_has_what_commands_of_exercises_write(lab, monkeypatch):
    monkeypatch.setattr(lab.sys, "argv", ["start_lab.py"])
    lab.main()
    assert lab.ran[-1][-2:] == ("notebooks/lab.ipynb", f"--ServerApp.root_dir={ROOT}")


def test_it_installs_once(lab):
    lab.install(gpu=False)
    first = len(lab.ran)
    lab.install(gpu=False)
    assert len(lab.ran) == first

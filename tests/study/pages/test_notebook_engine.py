"""Notebooks side by side: their kernels have no port in common, because they have none."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

PAPERMILL = str(Path(sys.executable).with_name("papermill"))
ASK = """
from ipykernel.connect import get_connection_info
info = get_connection_info(unpack=True)
print(info["transport"], info["ip"])
"""


@pytest.fixture
def notebook(tmp_path):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(ASK)])
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(nb, tmp_path / "ask.ipynb")
    return tmp_path


def test_kernels_have_sockets_of_their_own(notebook):
    commands = [
        [PAPERMILL, "--engine", "side_by_side", "--no-progress-bar", "ask.ipynb", f"{number}.ipynb"]
        for number in range(2)
    ]
    processes = [subprocess.Popen(command, cwd=notebook, stderr=subprocess.DEVNULL) for command in commands]
    assert [process.wait(120) for process in processes] == [0, 0]
    told = [nbformat.read(notebook / f"{number}.ipynb", 4).cells[-1].outputs[0].text.split() for number in range(2)]
    assert [transport for transport, _ in told] == ["ipc", "ipc"]
    assert told[0][1] != told[1][1]
    assert {path.name for path in notebook.iterdir()} == {"ask.ipynb", "0.ipynb", "1.ipynb"}  # no socket is left

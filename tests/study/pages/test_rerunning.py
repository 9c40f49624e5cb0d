import shlex

import nbformat
import pytest
from papermill.cli import papermill as command_line

from anytime_study.pages.rerunning import again, command_of

VALUES = {
    "whole": 3,
    "real": 0.5,
    "flag": False,
    "nothing": None,
    "name": "fashion-mnist",
    "network": "resann(n=2, c=8)",
    "digits": "12",
    "word": "True",
    "several": [1, "two"],
    "nested": {"a": {"b": None}},
}


def notebook(**metadata):
    return nbformat.v4.new_notebook(metadata={"papermill": metadata} if metadata else {})


def test_the_command_gives_papermill_the_same_values(monkeypatch):
    """Through papermill's own reading of its options."""
    line = command_of(notebook(input_path="notebooks/a.ipynb", parameters=VALUES))
    found = {}

    def execute(**given):
        found.update(given)

    monkeypatch.setattr("papermill.cli.execute_notebook", execute)
    command_line.main(args=shlex.split(line)[1:], standalone_mode=False)
    assert found["input_path"] == "notebooks/a.ipynb"
    assert found["parameters"] == VALUES
    assert {name: type(value) for name, value in found["parameters"].items()} == {
        name: type(value) for name, value in VALUES.items()
    }


def test_simple_values_read_simply():
    line = command_of(notebook(input_path="notebooks/a.ipynb", parameters={"tier": "laptop", "steps": 10}))
    assert line == "papermill notebooks/a.ipynb out.ipynb -p tier laptop -p steps 10"
    assert line in again(notebook(input_path="notebooks/a.ipynb", parameters={"tier": "laptop", "steps": 10}))


@pytest.mark.parametrize("metadata", [{}, {"input_path": "/home/me/a.ipynb"}, {"input_path": None}])
def test_no_command_for_a_notebook_that_readers_do_not_have(metadata):
    assert command_of(notebook(**metadata)) is None
    assert again(notebook(**metadata)) is None

"""Notebooks that are executed here, without Jupyter, have nowhere to glue values to."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """`make book` executes every notebook; with other parameters than their own they are slow tests."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _nothing_is_glued(monkeypatch):
    monkeypatch.setattr("myst_nb.glue", lambda *_, **__: None)

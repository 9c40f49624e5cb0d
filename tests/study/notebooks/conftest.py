"""Notebooks are executed here without Jupyter: faster, and what a cell shows comes back as it is."""

import ast
import json
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest

from anytime_study.studies.study import ROOT


def pytest_collection_modifyitems(items):
    """`make book` executes every notebook; with other parameters than their own they are slow tests."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _no_jupyter(monkeypatch):
    """Nothing is glued, nothing set in an IPython that is not there; figures are closed, the style is put back."""
    monkeypatch.setattr("myst_nb.glue", lambda *_, **__: None)
    monkeypatch.setattr("anytime_study.pages.figures.set_matplotlib_formats", lambda *_, **__: None)
    with plt.rc_context():
        yield
    plt.close("all")


@pytest.fixture
def run():
    """Execute the code of a notebook as papermill would: gives what its cells show, its figures with their alt text,
    and the defaults of its parameters."""

    def execute(name, *, edit=lambda source: source, **changed):
        cells = json.loads((ROOT / f"notebooks/{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        found = SimpleNamespace(shown=[], figures=[], defaults={})
        namespace = {"In": [], "display": found.shown.append}
        for cell in cells:
            if cell["cell_type"] != "code":
                continue
            source = edit("".join(cell["source"]))
            tree = ast.parse(source)
            last = None
            if isinstance(tree.body[-1], ast.Expr) and not source.rstrip().endswith(";"):  # a cell shows its last value
                last = ast.Expression(tree.body.pop().value)
            before = set(plt.get_fignums())
            exec(compile(tree, name, "exec"), namespace)
            value = eval(compile(last, name, "eval"), namespace) if last else None
            found.shown += [] if value is None else [value]
            alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            found.figures += [(plt.figure(number), alt) for number in sorted(set(plt.get_fignums()) - before)]
            if "parameters" in cell["metadata"].get("tags", []):
                names = [node.target.id for node in ast.parse(source).body if isinstance(node, ast.AnnAssign)]
                found.defaults = {key: namespace[key] for key in names}
                namespace.update(changed)
                injected = "\n".join(f"{key} = {value!r}" for key, value in changed.items())
                namespace["In"] = [f"# Parameters\n{injected}"] if changed else []
        return found

    return execute

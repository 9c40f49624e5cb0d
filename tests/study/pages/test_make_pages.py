"""Pages that share a process, or have kernels side by side: the same outputs, and nothing of one page in another."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import papermill
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from anytime_study.pages import make_pages

CELLS = [
    new_markdown_cell("# A page"),
    new_code_cell("seed: int = 0", metadata={"tags": ["parameters"]}),
    new_code_cell("import matplotlib.pyplot as plt\nfrom IPython.display import Markdown\nfrom myst_nb import glue"),
    new_code_cell("print('before')\nglue('half', 0.5, display=False)\nMarkdown(f'Seed {seed}.')"),
    new_code_cell("figure, axes = plt.subplots()\naxes.plot([seed, 1]);"),
    new_code_cell("assert 'mark' not in globals()\nmark = plt.get_fignums()\nmark"),
]
NOISY = [new_markdown_cell("# B"), new_code_cell("import sys\nprint('odd', file=sys.stderr)")]
FAILING = [new_markdown_cell("# C"), new_code_cell("raise ValueError('no such thing')"), new_code_cell("1")]
KERNEL = {"kernelspec": {"display_name": "P", "language": "python", "name": "python3"}}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with a page twice, one that complains and one that fails."""
    (tmp_path / "workflow").mkdir()
    pages = {
        "one": {"notebook": "a.ipynb", "title": "One", "parameters": {"seed": 3}},
        "two": {"notebook": "a.ipynb", "title": "Two"},
        "noisy": {"notebook": "b.ipynb", "title": "B"},
        "failing": {"notebook": "c.ipynb", "title": "C"},
    }
    (tmp_path / "workflow/pages.yaml").write_text(yaml.safe_dump(pages))
    for name, cells in (("a", CELLS), ("b", NOISY), ("c", FAILING)):
        nbformat.write(new_notebook(cells=cells, metadata=KERNEL), tmp_path / f"{name}.ipynb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MPLBACKEND", raising=False)  # kernels show figures inline
    plt.close("all")  # a fork would show what other tests have left open
    make_pages.LOGS.mkdir(parents=True)
    return tmp_path


def made(*names):
    """What went wrong with each page, made in forks as the workflow does."""
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        return pool.map(make_pages.make_page, names, chunksize=1)


def contents(path):
    """All that a reader sees of a notebook, pictures as their kind alone."""
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    return [
        output.get("text") or {k: "" if k.startswith("image/") else v for k, v in output.data.items()}
        for output in outputs
    ]


def test_the_outputs_are_those_of_a_kernel(checkout):
    assert made("one", "two") == [None, None]
    papermill.execute_notebook("a.ipynb", "kernel.ipynb", {"seed": 3}, progress_bar=False)
    expected = contents("kernel.ipynb")
    assert contents(make_pages.LOGS / "one.ipynb") == expected
    assert [*expected[3]] == ["image/png", "text/plain"]
    results = Path("book/results")
    first = (results / "one.ipynb").read_bytes()
    assert made("one") == [None]
    assert (results / "one.ipynb").read_bytes() == first  # the same results, the same bytes
    page = nbformat.read(results / "two.ipynb", as_version=4)
    assert page.cells[0].source == "# Two"
    assert "Seed 0." in str(page)


def test_a_page_that_complains_or_fails_is_refused_with_its_name(checkout):
    noisy, failing = made("noisy", "failing")
    assert noisy.startswith("noisy: ")
    assert "wrote to stderr: odd" in noisy
    assert failing.startswith("failing: ")
    assert "ValueError: no such thing" in failing
    assert not (checkout / "book").exists()
    executed = nbformat.read(make_pages.LOGS / "failing.ipynb", as_version=4)
    assert executed.cells[-1].execution_count is None  # nothing runs after a failure


ASK = """
from ipykernel.connect import get_connection_info
info = get_connection_info(unpack=True)
print(info["transport"], info["ip"])
"""


def test_kernels_side_by_side_have_sockets_of_their_own(tmp_path):
    nbformat.write(new_notebook(cells=[new_code_cell(ASK)], metadata=KERNEL), tmp_path / "ask.ipynb")
    program = Path(sys.executable).with_name("papermill")
    command = [program, "--engine", "side_by_side", "--no-progress-bar", "ask.ipynb"]
    out = [f"{number}.ipynb" for number in range(2)]
    processes = [subprocess.Popen([*command, name], cwd=tmp_path, stderr=subprocess.DEVNULL) for name in out]
    assert [process.wait(120) for process in processes] == [0, 0]
    told = [nbformat.read(tmp_path / name, 4).cells[-1].outputs[0].text.split() for name in out]
    assert [transport for transport, _ in told] == ["ipc", "ipc"]
    assert told[0][1] != told[1][1]
    assert {path.name for path in tmp_path.iterdir()} == {"ask.ipynb", *out}  # no socket is left

"""The publish step: same results give the same bytes, and nothing doubtful gets through."""

import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from anytime_study.pages.publishing import VALUES_COMMENT, PublishError, page_parameters, publish

TQDM = "\r  0%|          | 0/10 [00:00<?, ?it/s]\r 50%|#####     | 5/10 [00:01<00:01,  4.9it/s, loss=0.3]\n"


def code(source, *outputs, count=1, tags=(), status="completed", exception=False):
    cell = new_code_cell(source, execution_count=count, outputs=list(outputs))
    cell.metadata["tags"] = list(tags)
    cell.metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00.000000Z"}
    cell.metadata["papermill"] = {"status": status, "exception": exception, "duration": 0.123}
    return cell


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def executed(
    path: Path, *cells, papermill=True, exception=False, end_time="2026-01-01T00:00:01", input_path="/somewhere/a.ipynb"
):
    notebook = new_notebook(cells=[new_markdown_cell("Intro\n\n# A run\n\ntext"), *cells])
    notebook.metadata["kernelspec"] = {"display_name": "my env", "language": "python", "name": "my-env"}
    notebook.metadata["language_info"] = {"name": "python", "version": "3.11.7"}
    if papermill:
        notebook.metadata["papermill"] = {"exception": exception, "end_time": end_time, "input_path": input_path}
    nbformat.write(notebook, path)
    return path


def page_of(tmp_path, *cells, title=None, **kwargs):
    page = tmp_path / "pages" / "page.ipynb"
    publish(executed(tmp_path / "run.ipynb", *cells, **kwargs), page, title=title)
    return nbformat.read(page, as_version=4)


# ------------------------------------------------------------------------------------------------ what is changed


def test_metadata_that_differs_between_runs_is_gone(tmp_path):
    result = new_output("execute_result", {"text/plain": "2"}, execution_count=7)
    page = page_of(tmp_path, code("1 + 1", result, count=7))
    assert page.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert [cell.id for cell in page.cells] == ["cell-0", "cell-1"]
    assert page.cells[1].metadata == {}
    assert page.cells[1].execution_count == page.cells[1].outputs[0].execution_count == 1


def test_other_cell_metadata_is_kept(tmp_path):
    cell = code("plot()", tags=["hide-input"])
    cell.metadata["mystnb"] = {"image": {"alt": "Error falls with cost."}}
    page = page_of(tmp_path, cell)
    assert page.cells[1].metadata == {"tags": ["hide-input"], "mystnb": {"image": {"alt": "Error falls with cost."}}}


def test_progress_bars_go_and_the_pieces_of_stdout_join(tmp_path):
    bars = stream(TQDM[:30], "stderr"), stream(TQDM[30:], "stderr")
    page = page_of(tmp_path, code("work()", stream("a\n"), bars[0], stream("b\n"), bars[1], stream("")))
    assert [(o.name, o.text) for o in page.cells[1].outputs] == [("stdout", "a\nb\n")]


@pytest.mark.parametrize(
    "bar",
    [
        "epoch 1 [a/b]: 100%|██████████| 10/10 [1:00:01<00:00, 9.1it/s]\n",
        "\r12it [00:03,  4.1it/s]\r13 img [00:03,  4.1 img/s]\n",
        "\r          \r",
        "\n\x1b[A  3%|▎  | 3/100 [00:00<?, ?it/s]\n",
    ],
)
def test_kinds_of_progress_bars(tmp_path, bar):
    assert page_of(tmp_path, code("work()", stream(bar, "stderr"))).cells[1].outputs == []


def test_addresses_are_cut_from_plain_text_only(tmp_path):
    html = "<p>look at 0xff</p>"
    page = page_of(
        tmp_path,
        code(
            "ax",
            stream("<A object at 0x7F3a>\n"),
            new_output("display_data", {"text/plain": "[<Axes at 0x7f01ab>]", "text/html": html}),
            new_output("display_data", {"application/papermill.record/text/plain": "<B at 0x1>"}),
        ),
    )
    first, second, third = page.cells[1].outputs
    assert first.text == "<A object>\n"
    assert second.data == {"text/plain": "[<Axes>]", "text/html": html}
    assert third.data == {"application/papermill.record/text/plain": "<B>"}


def test_ids_of_styled_tables_are_numbered(tmp_path):
    html = '<style>#T_1a2b3 th {}</style><table id="T_1a2b3"><td id="T_1a2b3_row0_col0">1</td></table>'
    page = page_of(tmp_path, code("a"), code("table", new_output("display_data", {"text/html": html})))
    assert page.cells[2].outputs[0].data["text/html"] == html.replace("T_1a2b3", "T_2_0_0")


def test_a_computed_sentence_that_says_nothing_is_dropped(tmp_path):
    name = "<IPython.core.display.Markdown object>"
    outputs = [
        new_output("execute_result", {"text/plain": name, **said}, execution_count=1)
        for said in ({}, {"text/markdown": ""}, {"text/markdown": "Something."})
    ]
    page = page_of(tmp_path, *[code("a", output, count=number) for number, output in enumerate(outputs, start=1)])
    kept = [output.data.get("text/markdown") for cell in page.cells for output in cell.get("outputs", [])]
    assert kept == ["Something."]


def test_empty_cells_and_outputs_are_dropped_and_counts_close_up(tmp_path):
    empty = code("  \n", count=None)
    page = page_of(tmp_path, code("a", new_output("display_data", {}), count=1), empty, code("b", count=5))
    assert [(c.source, c.execution_count, c.outputs) for c in page.cells[1:]] == [("a", 1, []), ("b", 2, [])]


def test_defaults_are_folded_and_injected_values_shown(tmp_path):
    page = page_of(
        tmp_path,
        code("seed = 0", tags=["parameters"]),
        code("# Parameters\nseed = 3\n", tags=["injected-parameters"], count=2),
    )
    defaults, values = page.cells[1:]
    assert defaults.metadata.tags == ["parameters", "hide-input"]
    assert values.metadata.tags == ["injected-parameters"]
    assert values.source == f"{VALUES_COMMENT}\nseed = 3\n"


def test_without_injected_values_the_defaults_stay_open(tmp_path):
    assert page_of(tmp_path, code("seed = 0", tags=["parameters"])).cells[1].metadata.tags == ["parameters"]


def test_the_page_ends_with_the_command_that_makes_it_again(tmp_path):
    page = page_of(tmp_path, code("1"), input_path="notebooks/a.ipynb")
    assert page.cells[-1].cell_type == "markdown"
    assert "papermill notebooks/a.ipynb out.ipynb\n" in page.cells[-1].source
    assert len(page_of(tmp_path, code("1")).cells) == len(page.cells) - 1


def test_title_replaces_the_first_heading_only(tmp_path):
    page = page_of(tmp_path, new_markdown_cell("# Later"), title=r"Seed 3, \alpha & \1")
    assert page.cells[0].source == "Intro\n\n# Seed 3, \\alpha & \\1\n\ntext"
    assert page.cells[1].source == "# Later"


def test_page_is_replaced_whole_and_ends_in_one_newline(tmp_path):
    source, page = executed(tmp_path / "run.ipynb", code("1")), tmp_path / "page.ipynb"
    before = source.read_bytes()
    page.write_text("old")
    publish(source, page)
    assert page.read_text().endswith("}\n")
    assert source.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page.ipynb", "run.ipynb"]


# ------------------------------------------------------------------------------------------------ what is refused

ERROR = new_output("error", ename="ValueError", evalue="\x1b[31mno such weighting\x1b[0m", traceback=["…"])
WIDGET = new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}})
BANNER = new_markdown_cell("banner", metadata={"tags": ["papermill-error-cell-tag"]})


@pytest.mark.parametrize(
    ("cells", "options", "message"),
    [
        ([code("f()", ERROR, status="failed")], {}, r"cell 2 of 2 \(`f\(\)`\) failed with ValueError: no such"),
        ([code("x"), code("f()", ERROR), code("g()", count=None)], {"exception": True}, r"cell 3 of 4 .*ValueError"),
        ([code("f()", exception=True)], {}, "failed, as papermill recorded"),
        ([code("x"), code("\ny = 2", count=None)], {}, r"cell 3 of 3 \(`y = 2`\) was not executed"),
        ([code("x", status="running")], {}, r"not executed to its end .*running"),
        ([code("w()", stream("a.py:3: UserWarning: odd\n  w()\n", "stderr"))], {}, "stderr: a.py:3: UserWarning: odd"),
        ([code("w()", stream(TQDM.rstrip("\n") + "sudden warning\n", "stderr"))], {}, "stderr: sudden warning"),
        ([code("w()", stream("half the ", "stderr"), stream("disk\n", "stderr"))], {}, "stderr: half the disk"),
        ([code("w()", stream("reached 50% of it\n", "stderr"))], {}, "stderr: reached 50% of it"),
        ([code("w()", WIDGET)], {}, "widget"),
        ([code("x")], {"papermill": False}, "no papermill metadata"),
        ([code("x")], {"exception": True}, "recorded an exception"),
        ([code("x")], {"end_time": None}, "did not finish"),
        ([BANNER], {}, "recorded an exception"),
    ],
)
def test_refusals_name_notebook_and_cell_and_leave_the_page_alone(tmp_path, cells, options, message):
    page = tmp_path / "page.ipynb"
    page.write_text("the last good one")
    with pytest.raises(PublishError, match=message) as caught:
        publish(executed(tmp_path / "run.ipynb", *cells, **options), page)
    assert str(tmp_path / "run.ipynb") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert page.read_text() == "the last good one"


def test_a_title_needs_a_heading(tmp_path):
    notebook = new_notebook(cells=[new_markdown_cell("## Only a subheading")])
    notebook.metadata["papermill"] = {"exception": False, "end_time": "now"}
    nbformat.write(notebook, tmp_path / "run.ipynb")
    with pytest.raises(PublishError, match="no `# heading`"):
        publish(tmp_path / "run.ipynb", tmp_path / "page.ipynb", title="New")


@pytest.mark.parametrize("text", ["", "{half", "{}", "[]", '{"nbformat": 4}', '{"nbformat": 99, "nbformat_minor": 0}'])
def test_files_that_are_no_notebooks(tmp_path, text):
    (tmp_path / "run.ipynb").write_text(text)
    with pytest.raises(PublishError, match=r"run\.ipynb: not a readable notebook"):
        publish(tmp_path / "run.ipynb", tmp_path / "page.ipynb")
    assert not (tmp_path / "page.ipynb").exists()


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        publish(tmp_path / "none.ipynb", tmp_path / "page.ipynb")


# ------------------------------------------------------------------------------------------- reading parameters back


def test_page_parameters_reads_what_was_injected(tmp_path):
    source = "# Parameters\nseed = -3\nname = 'a'\ntop = float('inf')\nmany = {'a': [1, None, True]}\n"
    page_of(tmp_path, code("seed = 0", tags=["parameters"]), code(source, tags=["injected-parameters"]))
    for path in ("run.ipynb", "pages/page.ipynb"):
        values = page_parameters(tmp_path / path)
        assert values == {"seed": -3, "name": "a", "top": float("inf"), "many": {"a": [1, None, True]}}


@pytest.mark.parametrize("line", ["import os", "a = b = 1", "a = f(1)", "a = float('x')"])
def test_page_parameters_refuses_what_papermill_never_writes(tmp_path, line):
    page_of(tmp_path, code(f"# Parameters\n{line}\n", tags=["injected-parameters"]))
    with pytest.raises(PublishError, match="injected"):
        page_parameters(tmp_path / "pages/page.ipynb")


def test_nothing_injected_is_an_empty_mapping(tmp_path):
    page_of(tmp_path, code("seed = 0", tags=["parameters"]))
    assert page_parameters(tmp_path / "pages/page.ipynb") == {}


# ------------------------------------------------------------------------------------------------ through papermill


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One small notebook: executed twice with the same seed (a, b), with another (c), and with one that fails."""
    papermill = pytest.importorskip("papermill")
    pytest.importorskip("ipykernel")
    folder = tmp_path_factory.mktemp("runs")
    cells = [
        new_markdown_cell("# Same title for every run"),
        new_code_cell("seed: int = 0  # random seed", metadata={"tags": ["parameters"]}),
        new_code_cell("import sys, time\nfor i in range(2):\n    print(i)\n    time.sleep(0.3 * i)"),
        new_code_cell("print('\\r 50%|#####     | 1/2 [00:00<00:01, 1.00it/s]', end='', file=sys.stderr)"),
        new_code_cell("class Thing: pass\nThing()"),
        new_code_cell("import pandas as pd\npd.DataFrame({'seed': [seed]}).style.hide(axis='index')"),
        new_code_cell("assert seed < 5, 'seed too large'\n{'seed': seed}"),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    source = folder / "source.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), source)
    for name, seed in [("a", 3), ("b", 3), ("c", 4)]:
        papermill.execute_notebook(source, folder / f"{name}.ipynb", {"seed": seed}, progress_bar=False)
    with pytest.raises(papermill.PapermillExecutionError):
        papermill.execute_notebook(source, folder / "failed.ipynb", {"seed": 9}, progress_bar=False)
    return folder


def test_two_executions_give_the_same_bytes_and_other_values_do_not(runs, tmp_path):
    pages = {}
    for name in "abc":
        publish(runs / f"{name}.ipynb", tmp_path / f"{name}.ipynb", title="One run")
        pages[name] = (tmp_path / f"{name}.ipynb").read_bytes()
    assert (runs / "a.ipynb").read_bytes() != (runs / "b.ipynb").read_bytes()
    assert pages["a"] == pages["b"]
    assert pages["a"] != pages["c"]
    assert page_parameters(tmp_path / "a.ipynb") == {"seed": 3}

    page = json.loads(pages["a"])
    outputs = [output for cell in page["cells"] for output in cell.get("outputs", [])]
    texts = ["".join(o.get("text") or o["data"]["text/plain"]) for o in outputs]
    assert texts == ["0\n1\n", "<__main__.Thing>", "<pandas.io.formats.style.Styler>", "{'seed': 3}"]
    assert page["cells"][0]["source"] == ["# One run"]


def test_a_failed_execution_is_refused_at_the_cell_that_failed(runs, tmp_path):
    # Eight cells: seven of the source and the injected one; papermill's two banner cells are not counted.
    with pytest.raises(PublishError, match=r"cell 8 of 8 \(`assert seed < 5.*failed with AssertionError: seed too"):
        publish(runs / "failed.ipynb", tmp_path / "page.ipynb")
    assert not (tmp_path / "page.ipynb").exists()

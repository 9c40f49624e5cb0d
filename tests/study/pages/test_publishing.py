"""The publish step: same results give the same bytes, nothing doubtful gets through, and a page says how to make it."""

import shlex
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from papermill.cli import papermill as command_line

from anytime_study.pages.publishing import NOT_DRAWN, ORIGIN_BEGINS, ORIGIN_ENDS, PublishError, publish, rerun_command

PICTURE = new_output("display_data", {"image/svg+xml": "<svg/>", "text/plain": "<Figure>"})
SENTENCE = new_output("execute_result", {"text/markdown": "None.", "text/plain": "<M>"}, execution_count=1)
GLUED = new_output("display_data", {"application/papermill.record/text/plain": "'5 seeds'"})
SHOWN = "<IPython.core.display.Markdown object>"
CAPTION = "Errors of {glue:text}`seeds:s`."
MADE = {"end_time": "2026-01-01T00:00:01", "input_path": "/somewhere/a.ipynb"}


def code(source, *outputs, count=1, tags=(), **metadata):
    cell = new_code_cell(source, execution_count=count, outputs=[nbformat.from_dict(output) for output in outputs])
    cell.metadata = {"tags": list(tags), "papermill": {"duration": 0.123}, "execution": {"shell": "now"}, **metadata}
    return cell


def figure_cell(*outputs):
    return code("draw()", *outputs, mystnb={"figure": {"caption": CAPTION, "name": "fig-a"}})


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def executed(path: Path, *cells, **papermill):
    notebook = new_notebook(cells=[new_markdown_cell("Intro\n\n# A run\n\ntext"), *cells])
    notebook.metadata = {"kernelspec": {"display_name": "mine", "name": "mine"}, "papermill": {**MADE, **papermill}}
    nbformat.write(notebook, path)
    return path


def page_of(tmp_path, *cells, title="A run", **papermill):
    publish(executed(tmp_path / "run.ipynb", *cells, **papermill), tmp_path / "pages" / "page.ipynb", title=title)
    return nbformat.read(tmp_path / "pages" / "page.ipynb", as_version=4)


def test_what_differs_between_runs_is_gone_and_the_rest_stays(tmp_path):
    result = new_output("execute_result", {"text/plain": "2"}, execution_count=7)
    page = page_of(tmp_path, code("1 + 1", result, count=7, tags=["hide-input"]))
    assert page.metadata.keys() == {"kernelspec", "language_info"}
    assert [cell.id for cell in page.cells] == ["cell-0", "cell-1"]
    assert page.cells[1].metadata == {"tags": ["hide-input"]}
    assert page.cells[1].execution_count == page.cells[1].outputs[0].execution_count == 2


def test_the_pieces_of_stdout_join(tmp_path):
    page = page_of(tmp_path, code("work()", stream("a\n"), stream("b\n")))
    assert [(o.name, o.text) for o in page.cells[1].outputs] == [("stdout", "a\nb\n")]


def test_empty_cells_and_sentences_that_say_nothing_are_dropped(tmp_path):
    outputs = [
        new_output("execute_result", {"text/plain": SHOWN, **said}, execution_count=1)
        for said in ({}, {"text/markdown": ""}, {"text/markdown": "Something."})
    ]
    page = page_of(tmp_path, code("  \n", count=None), *[code("a", output) for output in outputs])
    assert len(page.cells) == 4
    kept = [output.data.get("text/markdown") for cell in page.cells for output in cell.get("outputs", [])]
    assert kept == ["Something."]


def test_parameters_are_folded(tmp_path):
    cells = [code("seed = 0", tags=["parameters"]), code("# Parameters\nseed = 3\n", tags=["injected-parameters"])]
    page = page_of(tmp_path, *cells)
    assert [cell.metadata.tags[1:] for cell in page.cells[1:]] == [["hide-input"]] * 2


def test_title_replaces_the_first_heading_only(tmp_path):
    page = page_of(tmp_path, new_markdown_cell("# Later"), title=r"Seed 3, \alpha & \1")
    assert page.cells[0].source == "Intro\n\n# Seed 3, \\alpha & \\1\n\ntext"
    assert page.cells[1].source == "# Later"


# ------------------------------------------------------------------------------------------------------- figures


@pytest.mark.parametrize("beside", [[], [GLUED], [stream("60 images\n")]])
def test_a_figure_keeps_its_caption(tmp_path, beside):
    cell = page_of(tmp_path, figure_cell(*beside, PICTURE)).cells[1]
    assert cell.metadata.mystnb.figure == {"caption": CAPTION, "name": "fig-a"}
    assert len(cell.outputs) == len(beside) + 1


@pytest.mark.parametrize(
    ("said", "shown"), [([], "*Nothing to draw yet.*"), ([GLUED], "*Nothing to draw yet.*"), ([SENTENCE], "None.")]
)
def test_what_was_not_drawn_keeps_a_place_to_refer_to(tmp_path, said, shown):
    cell = page_of(tmp_path, figure_cell(*said)).cells[1]
    assert cell.metadata.mystnb.figure == {"caption": NOT_DRAWN, "name": "fig-a"}
    assert cell.outputs[-1].data["text/markdown"] == shown


@pytest.mark.parametrize(
    ("mime", "content", "classes"),
    [
        ("image/svg+xml", '<svg height="200pt" width="403.2pt"/>', None),
        ("image/svg+xml", '<svg height="200pt" width="576pt"/>', "wide"),
        ("image/svg+xml", '<svg width="600.5pt"><image href="data:"/></svg>', "wide photograph"),
        ("image/png", "AA==", "photograph"),
    ],
)
def test_pictures_are_classed_by_what_the_style_sheet_does_to_them(tmp_path, mime, content, classes):
    picture = new_output("display_data", {mime: content, "text/plain": "<Figure>"})
    assert page_of(tmp_path, figure_cell(picture)).cells[1].metadata.mystnb.get("image", {}).get("classes") == classes


def test_what_cells_tell_of_their_runs_is_in_one_fold_at_the_end(tmp_path):
    def told(text, table):
        said = {"text/markdown": f"{text}\n\n{ORIGIN_BEGINS}\n\n{table}\n\n{ORIGIN_ENDS}", "text/plain": SHOWN}
        return code("header()", new_output("execute_result", said, execution_count=1))

    first, second, again, last = page_of(
        tmp_path, told("All in.", "| a |"), told("", "| b |"), told("All in.", "| a |")
    ).cells[1:]
    assert [cell.outputs[0].data["text/markdown"] for cell in (first, again)] == ["All in."] * 2
    assert second.outputs == []
    assert last.source.splitlines() == [
        "```{admonition} Where the numbers come from",
        ":class: dropdown origin",
        *("| a |", "", "| b |", "```"),
    ]


# --------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (
            [code("x"), code("\nw()", stream("a.py:3: UserWarning: odd\n", "stderr"))],
            "cell 3 (`w()`) wrote to stderr: a.py:3: UserWarning: odd",
        ),
        ([code("w()", stream("half the ", "stderr"), stream("disk\n", "stderr"))], "stderr: half the disk"),
        ([figure_cell(PICTURE, SENTENCE)], "cell 2 (`draw()`) shows 2 things under one caption"),
    ],
)
def test_refusals_name_notebook_and_cell_and_leave_the_page_alone(tmp_path, cells, reason):
    page = tmp_path / "page.ipynb"
    page.write_text("the last good one")
    with pytest.raises(PublishError) as caught:
        publish(executed(tmp_path / "run.ipynb", *cells), page, title="A run")
    assert str(tmp_path / "run.ipynb") in str(caught.value)
    assert reason in str(caught.value)
    assert page.read_text() == "the last good one"


# --------------------------------------------------------------------------------------------- made again

VALUES = {
    **{"whole": 3, "real": 0.5, "flag": False, "nothing": None, "name": "fashion-mnist", "network": "resann(n=2, c=8)"},
    **{"digits": "12", "word": "True", "several": [1, "two"], "nested": {"a": {"b": None}}},
}


def test_the_command_gives_papermill_the_same_values(monkeypatch):
    """Through papermill's own reading of its options."""
    found = {}
    monkeypatch.setattr("papermill.cli.execute_notebook", lambda **given: found.update(given))
    line = rerun_command({"input_path": "notebooks/a.ipynb", "parameters": VALUES})
    command_line.main(args=shlex.split(line)[1:], standalone_mode=False)
    assert found["input_path"] == "notebooks/a.ipynb"
    assert {name: repr(value) for name, value in found["parameters"].items()} == {
        name: repr(value) for name, value in VALUES.items()
    }


def test_a_page_ends_with_its_command_if_readers_have_the_notebook(tmp_path):
    page = page_of(tmp_path, code("1"), input_path="notebooks/a.ipynb", parameters={"tier": "laptop", "steps": 10})
    assert "papermill notebooks/a.ipynb out.ipynb -p steps 10 -p tier laptop\n" in page.cells[-1].source
    assert page_of(tmp_path, code("1")).cells[-1].cell_type == "code"

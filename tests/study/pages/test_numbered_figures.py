"""Figures of a published page: one caption each, a place for what was not drawn, names that no other page has."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from anytime_study.pages.numbered_figures import NOT_DRAWN
from anytime_study.pages.publishing import PublishError, publish

PICTURE = new_output("display_data", {"image/svg+xml": "<svg/>", "text/plain": "<Figure>"})
SENTENCE = new_output("execute_result", {"text/markdown": "None.", "text/plain": "<M>"}, execution_count=1)
GLUED = new_output("display_data", {"application/papermill.record/text/plain": "'5 seeds'"})
PRINTED = new_output("stream", name="stdout", text="60 images\n")
CAPTION = "Errors of {glue:text}`seeds:s`."


def published(tmp_path, *outputs, page="quick", name="fig-quick-errors"):
    """The page of a notebook ``quick`` with one cell that has a figure's metadata."""
    cell = new_code_cell("draw()", execution_count=1, outputs=list(outputs))
    cell.metadata["mystnb"] = {"image": {"alt": "Errors."}, "figure": {"caption": CAPTION, "name": name}}
    notebook = new_notebook(cells=[new_markdown_cell("# A\n\nSee {numref}`fig-quick-errors` and `fig-quickly`."), cell])
    notebook.metadata["papermill"] = {"end_time": "2026", "input_path": "notebooks/quick.ipynb"}
    nbformat.write(notebook, tmp_path / "run.ipynb")
    publish(tmp_path / "run.ipynb", tmp_path / f"{page}.ipynb")
    made = nbformat.read(tmp_path / f"{page}.ipynb", as_version=4)
    return made.cells[0].source, made.cells[1].metadata["mystnb"]["figure"], made.cells[1].outputs


@pytest.mark.parametrize("beside", [[], [GLUED], [PRINTED], [GLUED, PRINTED]])
def test_a_figure_keeps_its_caption_and_its_name(tmp_path, beside):
    text, figure, outputs = published(tmp_path, *beside, PICTURE)
    assert figure == {"caption": CAPTION, "name": "fig-quick-errors"}
    assert "{numref}`fig-quick-errors`" in text
    assert len(outputs) == len(beside) + 1


@pytest.mark.parametrize("beside", [SENTENCE, PICTURE])
def test_two_things_under_one_caption_are_refused(tmp_path, beside):
    with pytest.raises(PublishError, match=r"cell 2 of 2 \(`draw\(\)`\) shows 2 things under one caption"):
        published(tmp_path, PICTURE, beside)


@pytest.mark.parametrize("said", [[], [GLUED], [PRINTED]])
def test_what_was_not_drawn_keeps_a_place_to_refer_to(tmp_path, said):
    _, figure, outputs = published(tmp_path, *said)
    assert figure == {"caption": NOT_DRAWN, "name": "fig-quick-errors"}
    assert outputs[-1].data == {"text/markdown": "*Nothing to draw yet.*"}


def test_what_a_cell_says_instead_of_drawing_stays(tmp_path):
    _, figure, outputs = published(tmp_path, SENTENCE)
    assert figure["caption"] == NOT_DRAWN
    assert [output.data["text/markdown"] for output in outputs] == ["None."]


def test_another_page_of_the_same_notebook_has_figures_of_its_own(tmp_path):
    text, figure, _ = published(tmp_path, PICTURE, page="my_own_run")
    assert figure == {"caption": CAPTION, "name": "fig-my-own-run-errors"}
    assert text.endswith("See {numref}`fig-my-own-run-errors` and `fig-quickly`.")

import json

import pytest

from anytime_core.errors import InputError
from anytime_study.pages.teaching import figure_of, names_of, sentence_of

FIGURE = {"figure": {"name": "fig-page-errors"}, "image": {"alt": "Errors fall."}}
GLUED = {"metadata": {"scrapbook": {"name": "answer"}}, "data": {"text/plain": "'So far, it\\'s 5 %.'"}}


@pytest.fixture
def results(tmp_path):
    drawn = {"metadata": {}, "data": {"image/svg+xml": ["<svg>", "</svg>"]}}
    cells = [
        {"cell_type": "markdown", "metadata": {}},
        {"cell_type": "code", "metadata": {}, "outputs": [GLUED]},
        {"cell_type": "code", "metadata": {"mystnb": FIGURE}, "outputs": [{"metadata": {}, "data": {}}, drawn]},
    ]
    (tmp_path / "page.ipynb").write_text(json.dumps({"cells": cells}))
    return tmp_path


def test_figures_and_sentences_are_those_of_the_page(results):
    assert figure_of("page", "page-errors", results) == ("data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=", "Errors fall.")
    assert sentence_of("page", "answer", results) == "So far, it's 5 %."
    with pytest.raises(InputError, match="found 'page-losses'"):
        figure_of("page", "page-losses", results)
    with pytest.raises(InputError, match="found 'advice'"):
        sentence_of("page", "advice", results)


def test_the_list_of_pages_is_not_one_of_them():
    assert names_of("slides") == [f"session_{number}" for number in range(1, 7)]
    assert {"key", "quiz", "summary", "project", *(f"sheet_{n}" for n in range(1, 7))} == set(names_of("sheets"))

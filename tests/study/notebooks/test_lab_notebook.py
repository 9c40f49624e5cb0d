"""The lab as students meet it: untouched, with right answers, and with wrong ones."""

import ast
import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from IPython.display import Markdown

ROOT = Path(__file__).parents[3]
CELLS = json.loads((ROOT / "notebooks" / "lab.ipynb").read_text(encoding="utf-8"))["cells"]
PLACES = {  # where a student writes: the place, a right answer, a wrong one, and what the wrong one learns
    "my_share = None": ("152224 / 411232", "0.5", {1: "too large."}),
    "my_exit = None": ("2", "3", {2: "too large."}),
    "my_weights = None  # your formula": (
        "(1 - parameters.floor) * means.min() / means + parameters.floor",
        "means.min() / means",
        {3: "not yet: look at number 1, 2, 3."},
    ),
    "my_limit, my_limit_without_floor = None, None": ("parameters.floor, 0", "0, 0", {4: "not yet: look at number 1."}),
    "my_better_first_exit = None": ("'const'", "'adaloss_formula'", {5: "not 'adaloss_formula'."}),
    "my_difference_at_the_end = None": (
        "'less than 2 points of per cent'",
        "'more'",
        {6: "not 'more'."},
    ),
    "my_ratio = None": ("last.max() / last[1]", "1.0", {7: "too small."}),
    "my_floor = None": ("0.5", "0.6", {8: "no answer yet."}),
    "my_stopped_exit = None": ("prediction_of_a_student", "6", {9: "too large."}),
}


@pytest.fixture(autouse=True)
def _own_style(monkeypatch):
    monkeypatch.setattr("anytime_study.pages.figures.set_matplotlib_formats", lambda *_, **__: None)
    with plt.rc_context():
        yield
    plt.close("all")


def run(answers, epochs=2):
    """Execute the lab with these answers in their places; gives what its checkpoints say, by number."""
    namespace, said = {"In": [], "prediction_of_a_student": 2}, {}
    for cell in CELLS:
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        for place, answer in answers.items():
            source = source.replace(place, f"{place.partition(' = ')[0]} = {answer}")
        tree = ast.parse(source)
        last = tree.body[-1]
        shown = ast.Expression(tree.body.pop().value) if isinstance(last, ast.Expr) else None
        exec(compile(tree, "lab", "exec"), namespace)
        value = eval(compile(shown, "lab", "eval"), namespace) if shown else None
        if isinstance(value, Markdown):
            for number, sentence in re.findall(r"\*\*Checkpoint (\d):\*\* (.+)", value.data):
                said[int(number)] = sentence
        if "parameters" in cell["metadata"].get("tags", []):
            namespace["epochs"] = epochs
    return said


def test_every_place_to_write_is_there_once():
    text = "\n".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code")
    assert {place: text.count(place) for place in PLACES} == dict.fromkeys(PLACES, 1)
    assert text.count("None") == len(PLACES) + 5  # the second half of a pair, and what is not yet judged


def test_untouched_it_runs_and_says_that_answers_are_missing():
    said = run({})
    assert said == dict.fromkeys(range(1, 10), "no answer yet.")


def test_right_answers_are_right():
    said = run({place: right for place, (right, _, _) in PLACES.items()}, epochs=8)
    assert said == dict.fromkeys(range(1, 10), "right.")


def test_wrong_answers_are_told_so():
    said = run({place: wrong for place, (_, wrong, _) in PLACES.items()}, epochs=8)
    for _, _, expected in PLACES.values():
        for number, start in expected.items():
            assert said[number].startswith(start), number

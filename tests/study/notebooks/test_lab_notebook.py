"""The lab as students meet it: untouched, with right answers, and with wrong ones."""

import json
import re
from pathlib import Path

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
    "my_stopped_exit = None": ("2", "6", {9: "too large."}),
}


@pytest.fixture
def said(run):
    """What the checkpoints say of these answers in their places, by number."""

    def execute(answers, epochs=2):
        def edit(source):
            for place, answer in answers.items():
                source = source.replace(place, f"{place.partition(' = ')[0]} = {answer}")
            return source

        shown = [value.data for value in run("lab", edit=edit, epochs=epochs).shown if isinstance(value, Markdown)]
        return {int(number): text for number, text in re.findall(r"\*\*Checkpoint (\d):\*\* (.+)", "\n".join(shown))}

    return execute


def test_every_place_to_write_is_there_once():
    text = "\n".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code")
    assert {place: text.count(place) for place in PLACES} == dict.fromkeys(PLACES, 1)
    assert text.count("None") == len(PLACES) + 5  # the second half of a pair, and what is not yet judged


def test_untouched_it_runs_and_says_that_answers_are_missing(said):
    assert said({}) == dict.fromkeys(range(1, 10), "no answer yet.")


def test_right_answers_are_right(said):
    right = {place: right for place, (right, _, _) in PLACES.items()}
    assert said(right, epochs=8) == dict.fromkeys(range(1, 10), "right.")


def test_wrong_answers_are_told_so(said):
    found = said({place: wrong for place, (_, wrong, _) in PLACES.items()}, epochs=8)
    for _, _, expected in PLACES.values():
        for number, start in expected.items():
            assert found[number].startswith(start), number

"""The lab as students meet it: untouched, with right answers, and with wrong ones."""

import json
import re
from pathlib import Path

import pytest
from IPython.display import Markdown

from anytime_study.pages.lab import Lab, LabParameters

ROOT = Path(__file__).parents[3]
CELLS = json.loads((ROOT / "notebooks" / "lab.ipynb").read_text(encoding="utf-8"))["cells"]
PLACES = {  # where a student writes: the place, a right answer, a wrong one, and what the wrong one learns
    "my_share = None": ("152224 / 411232", "0.5", {1: "too large."}),
    "my_exit = None": ("2", "3", {2: "too large."}),
    "my_weights = None  # your formula": (
        "(1 - floor) * means.min() / means + floor",
        "means.min() / means",
        {3: "not yet: look at numbers 1, 2, 3."},
    ),
    "my_limit, my_limit_without_floor = None, None": ("floor, 0", "0, 0", {4: "not yet: look at number 1."}),
    "my_better_first_exit = None": ("'const'", "'adaloss_formula'", {5: "you predicted 'adaloss_formula'. It came"}),
    "my_difference_at_the_end = None": (
        "'less than 2 percentage points'",
        "'more'",
        {6: "you predicted 'more'. It came otherwise."},
    ),
    "my_ratio = None": ("last.max() / last[1]", "1.0", {7: "too small."}),
    "my_floor = None": ("(lab.check(8, 0.2), 0.5)[1]", "0.001", {8: "too small."}),
    "my_stopped_exit = None": ("2", "6", {9: "too large."}),
    "my_weight_of_exit_1 = None": ("'larger'", "'smaller'", {10: "not yet: compare"}),
}
RIGHT = re.compile(r"right\.|.*and so it came\.")


@pytest.fixture
def said(run):
    """What the checkpoints say of these answers in their places, by number."""

    def execute(answers, epochs=2):
        def edit(source):
            for place, answer in answers.items():
                source = source.replace(place, f"{place.partition(' = ')[0]} = {answer}")
            return source

        shown = [value.data for value in run("lab", edit=edit, epochs=epochs).shown if isinstance(value, Markdown)]
        return {int(number): text for number, text in re.findall(r"\*\*Checkpoint (\d+):\*\* (.+)", "\n".join(shown))}

    return execute


def test_every_place_to_write_is_there_once():
    text = "\n".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code")
    assert {place: text.count(place) for place in PLACES} == dict.fromkeys(PLACES, 1)
    assert text.count("None") == len(PLACES) + 1  # the second half of a pair


def test_untouched_it_runs_says_that_answers_are_missing_and_shows_no_result(run):
    found = run("lab", epochs=2)
    said = "\n".join(value.data for value in found.shown if isinstance(value, Markdown))
    assert re.findall(r"\*\*Checkpoint (\d+):\*\* no answer yet", said) == [str(number) for number in range(1, 11)]
    assert "No answers yet" in said
    assert said.count("Hidden until") == 4
    assert len(found.figures) == 1  # the images


def test_right_answers_are_right(said):
    found = said({place: right for place, (right, _, _) in PLACES.items()}, epochs=8)
    assert found.keys() == set(range(1, 11))
    assert [number for number, text in found.items() if not RIGHT.match(text)] == []


def test_wrong_answers_are_told_so(said):
    found = said({place: wrong for place, (_, wrong, _) in PLACES.items()}, epochs=8)
    for _, _, expected in PLACES.values():
        for number, start in expected.items():
            assert found[number].startswith(start), number


def test_the_first_prediction_counts():
    lab = Lab(LabParameters(seed=0, epochs=2, units=1, channels=8, floor=0.07))
    assert "Expected 'const' or 'adaloss_formula'" in lab.predict("linear", "more").data
    assert "stay hidden" in lab.predict("const", None).data
    assert lab.reveal(lambda: "shown") != "shown"
    lab.predict("const", "more")
    assert "*const*" in lab.predict("adaloss_formula", "more").data
    assert lab.reveal(lambda: "shown") == "shown"


@pytest.mark.parametrize("seed", [0, 3])
def test_equal_weights_always_are_a_floor_that_works_and_none_is_not(seed):
    lab = Lab(LabParameters(seed=seed, epochs=6, units=2, channels=8, floor=0.07))
    lab.plain.fit(progress=False)
    lab.formula.fit(progress=False)
    assert "works, but look for a smaller one." in lab.check(8, 1).data
    assert "too small." in lab.check(8, 0.0).data

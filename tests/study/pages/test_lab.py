import json
import math
import re
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import yaml

from anytime_study.foundations import ROOT
from anytime_study.pages import lab as module
from anytime_study.pages.lab import Lab, LabParameters, judged

TEXTS = [
    "".join(cell["source"])
    for cell in json.loads((ROOT / "notebooks/lab.ipynb").read_text(encoding="utf-8"))["cells"]
    if cell["cell_type"] == "markdown"
]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
MACROS = "|".join(CONFIG["sphinx"]["config"]["mathjax3_config"]["tex"]["macros"])
ONLY_IN_THE_BOOK = re.compile(
    r"^[`:]{3,}\{" r"|\{[\w:-]+\}`" r"|\]\((?!https?:)" rf"|\\(?:{MACROS})(?![A-Za-z])", re.MULTILINE
)


@pytest.mark.parametrize(
    ("answer", "expected", "said"),
    [
        (3, 3, "right."),
        (2, 3, "too small."),
        (3.02, 3, "too large."),
        (math.nan, 3, "expected one number, found nan."),
        ("three", 3, "expected one number, found 'three'."),
        ([0.1, 0.2], np.array([0.1, 0.2]), "right."),
        ([0.3, 0.5], np.array([0.1, 0.2]), "not yet: look at numbers 1, 2."),
        (torch.tensor([0.1, 0.2]), torch.tensor([0.1, 0.2]), "right."),
        ([0.1], [0.1, 0.2], "expected 2 numbers, found [0.1]."),
        (0.1, [0.1, 0.2], "expected 2 numbers, found 0.1."),
    ],
)
def test_answers_are_judged(answer, expected, said):
    assert judged(answer, expected, tolerance=0.011) == said


def test_a_wrong_answer_is_not_told_the_right_one():
    assert "0.25" not in judged([0.5, 0.75], [0.25, 0.75])


@pytest.fixture
def lab(monkeypatch):
    """A lab without training: exit 1 errs on 4 % of images with const, on 30 % with a floor below 0.4, else on 8 %."""
    made = Lab(LabParameters(seed=0, epochs=2, units=1, channels=4, floor=0.07))

    def percent(run):
        floor = run is not made.plain and float(re.search(r"floor=(.+)\)", run.weighting)[1])
        return [4.0 if run is made.plain else 30.0 if floor < 0.4 else 8.0, 2.0]

    monkeypatch.setattr(made, "prepare", lambda name: SimpleNamespace(weighting=name, fit=lambda **_: None))
    monkeypatch.setattr(module, "percent", percent)
    return made


@pytest.mark.parametrize(
    ("floors", "said"),
    [
        ([0], "too small."),
        ([0.1, 0.2, 0.4], "right."),
        ([1], "works, but look for a smaller one."),
        ([0.1, 0.8], "works, but look for a smaller one."),
        ([0.2, 0.4, 0.5], "works, but look for a smaller one."),
        ([0.4, 0.2], "too small, so 0.4 is right."),
        ([0.4, 0.2, 0.4], "right."),
        ([1.5], "expected a number from 0 to 1, found 1.5."),
    ],
)
def test_a_floor_is_right_once_a_little_less_was_too_small(lab, floors, said):
    last = [lab.check(8, floor).data for floor in floors][-1]
    assert last.splitlines()[0] == f"**Checkpoint 8:** {said}"


def test_a_floor_is_shown_beside_all_tries(lab):
    lab.check(8, 0.4)
    assert [row for row in lab.check(8, 0.2).data.splitlines() if "%" in row] == [
        "| `const` | 4.0 % | 2.0 % |",
        "| 0.2 | 30.0 % | 2.0 % |",
        "| 0.4 | 8.0 % | 2.0 % |",
    ]


def test_the_score_counts_what_was_right_and_different_answers(lab):
    assert lab.score().data == "*No answers yet.*"
    for number, answer in [(2, None), (2, 3), (2, 3), (2, 1), (4, (0.07, 0)), (4, (0, 0)), (5, None), (10, "larger")]:
        lab.check(number, answer)
    first, _, _, _, *rows = lab.score().data.splitlines()
    assert first.startswith("**Right: 2 of 6 questions. Predictions that came true: 0 of 2.")
    assert [row.split(" | ")[:2] for row in rows] == [["| 2", "2"], ["| 4", "2"], ["| 10", "1"]]
    assert "not yet" in rows[1]


def test_a_revealed_figure_is_shown_once(lab):
    lab.predict("const", "more")
    assert lab.reveal(plt.figure) is not None
    assert plt.get_fignums() == []


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_is_read_as_it_is_in_jupyterlab_without_myst(text):
    """No directive or role, no macro of the book's own, no link that leads somewhere only in the book."""
    assert ONLY_IN_THE_BOOK.search(text) is None


@pytest.mark.parametrize(
    "text", ["```{admonition} One", ":::{note}", "{numref}`fig-a`", r"$\meanloss_1$", "[a](../a.md)"]
)
def test_what_only_the_book_shows_is_found(text):
    assert ONLY_IN_THE_BOOK.search(text)


def test_the_minutes_add_up():
    minutes = re.findall(r"^## \d .*\((\d+) minutes\)$|^You have (\d+) minutes", "\n".join(TEXTS), re.MULTILINE)
    assert sum(int(first or second) for first, second in minutes) == int(re.search(r"\d+", TEXTS[0])[0])

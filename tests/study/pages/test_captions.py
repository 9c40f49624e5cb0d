"""Captions count what is drawn."""

import pandas as pd
import pytest

from anytime_study.pages.captions import images_text, seeds_text
from anytime_study.runs.config import RunConfig


def table(**seeds):
    """Rows of weightings, with as many seeds as told, each at two exits."""
    rows = [(name, seed, exit) for name, count in seeds.items() for seed in range(count) for exit in (1, 2)]
    return pd.DataFrame(rows, columns=["weighting", "seed", "exit"])


@pytest.mark.parametrize(
    ("seeds", "text"),
    [
        ({"a": 1}, "1 seed, so no interval"),
        ({"a": 5, "b": 5}, "5 seeds, Student's t"),
        ({"a": 5, "b": 3}, "3 to 5 seeds, Student's t"),
        ({"a": 1, "b": 2}, "1 to 2 seeds, so no interval"),
        ({"a": 5, "b": 2}, "2 to 5 seeds, Student's t, none for fewer than three"),
    ],
)
def test_seeds_are_counted_by_mark(seeds, text):
    assert seeds_text(table(**seeds), "weighting", "exit") == text


def test_without_intervals_or_marks_seeds_are_counted_only():
    assert seeds_text(table(a=5, b=3), "weighting", intervals=False) == "3 to 5 seeds"
    assert seeds_text(table(a=1), intervals=False) == "1 seed"
    assert seeds_text(table(a=3, b=5)) == "5 seeds, Student's t"


def test_test_images_are_those_of_the_cards():
    digits, garments = RunConfig(dataset="digits"), RunConfig(dataset="fashion-mnist")
    assert images_text([digits, digits]) == "360 test images"
    assert images_text([garments, digits]) == "360 or 10,000 test images"

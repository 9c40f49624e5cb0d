import math

import pandas as pd
import pytest

from anytime_study.pages.comparison_words import (
    as_change,
    compared_sizes,
    differs,
    in_each_pair,
    sides,
    value_in_words,
    who_differs,
)

FEWER, MORE, UNCLEAR = [-5.0, -5.1, -4.9], [9.9, 10.0, 10.1], [-5.0, 5.0, 1.0]


def test_sides_are_those_of_the_whole_interval():
    found = sides({"a": FEWER, "b": MORE, "c": UNCLEAR, "two seeds": [9.9, 10.0]})
    assert found == (["a"], ["b"], ["c", "two seeds"])


def test_percents_become_changes():
    assert as_change(pd.Series([100.0, -50.0])).tolist() == pytest.approx([100 * math.log(2), -100 * math.log(2)])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"a quarter": MORE, "half": UNCLEAR, "all": UNCLEAR},
            "A makes more errors at a quarter of it. At half and all of it, chance could explain the difference.",
        ),
        ({"a quarter": MORE, "all": FEWER}, "A makes more errors at a quarter of it and fewer errors at all of it."),
        ({"half": UNCLEAR}, "At half of it, chance could explain the difference."),
    ],
)
def test_where_somebody_differs(changes, text):
    assert differs("A", changes, "at {} of it") == text


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"a": "AdaLoss wins.", "b": "AdaLoss wins."}, "In both pairs, AdaLoss wins."),
        (dict.fromkeys("abc", "At a half, nothing."), "In all three pairs, at a half, nothing."),
        ({"a": "AdaLoss wins.", "b": "It loses."}, "- **a**: AdaLoss wins.\n- **b**: It loses."),
        ({"a": "AdaLoss wins."}, "- **a**: AdaLoss wins."),
        ({}, ""),
    ],
)
def test_what_is_alike_in_all_pairs_is_said_once(told, text):
    assert in_each_pair(told) == text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"A": FEWER, "B": UNCLEAR},
            "Here, only A makes fewer errors than C. Chance could explain the difference of B.",
        ),
        ({"A": FEWER, "B": FEWER}, "Here, A and B make fewer errors than C."),
        (
            {"A": MORE, "B": FEWER, "D": UNCLEAR, "E": UNCLEAR, "F": UNCLEAR},
            "Here, only B makes fewer errors and only A makes more errors than C. "
            "Chance could explain the differences of the other three.",
        ),
        ({"A": UNCLEAR, "B": UNCLEAR}, "Here, none of the two differs from C by more than chance could explain."),
    ],
)
def test_who_differs(changes, text):
    assert who_differs("Here", changes, "C") == text


def test_sizes_are_compared_whatever_their_signs():
    assert [compared_sizes([size], [-12.0]) for size in (-3.0, 11.0, 13.0)] == ["far less", "less", "more"]


def test_means_that_are_no_changes():
    assert value_in_words([41.0, 42.0, 43.0]) == "42 % (95 % interval 40 to 44 %, 3 seeds)"  # 42 ± 4.303 / √3
    assert value_in_words([-0.1, -0.1], "points", 2) == "−0.10 points (95 % interval −0.10 to −0.10, 2 seeds)"

import math

import pandas as pd
import pytest

from anytime_study.pages.words import (
    as_change,
    change_in_a_table,
    change_in_words,
    compared_sizes,
    differs,
    in_each_pair,
    interval_in_words,
    interval_text,
    listed,
    number,
    part_of,
    percent,
    sides,
    value_in_words,
    who_differs,
)

FEWER, MORE, UNCLEAR = [-5.0, -5.1, -4.9], [9.9, 10.0, 10.1], [-5.0, 5.0, 1.0]


def logs(*percents):
    return [100 * math.log(1 + percent / 100) for percent in percents]


def test_numbers_and_lists():
    assert [number(count) for count in (0, 1, 12, 13, 45000)] == ["no", "one", "twelve", "13", "45,000"]
    assert [listed(words) for words in (["a"], ["a", "b"], "abc")] == ["a", "a and b", "a, b and c"]
    assert [percent(value) for value in (-3.14, 9.96, -0.04)] == ["−3.1", "10", "0.0"]
    assert as_change(pd.Series([100.0, -50.0])).tolist() == pytest.approx([100 * math.log(2), -100 * math.log(2)])
    parts = [part_of(*counts) for counts in ((2, 2), (3, 3), (2, 3), (0, 3))]
    assert parts == ["both", "all three", "two of three", "none of the three"]
    assert part_of(2, 3, the=True) == "two of the three"


@pytest.mark.parametrize(
    ("percents", "text"),
    [
        ((-3, -3, -3), "3.0 % fewer errors (95 % interval 3.0 to 3.0 % fewer, 3 seeds)"),
        ((12, 12, 12), "12 % more errors (95 % interval 12 to 12 % more, 3 seeds)"),
        ((0, 0, 0), "about as many errors (95 % interval 0.0 to 0.0 % fewer, 3 seeds)"),
        ((-4, -4, -4, -3.5, -4.3), "4.0 % fewer errors (95 % interval 3.6 to 4.3 % fewer, 5 seeds)"),
        ((8, 8), "8.0 % more errors (2 seeds, so no interval)"),
        ((5,), "5.0 % more errors (1 seed, so no interval)"),
    ],
)
def test_changes_are_said_in_words(percents, text):
    assert change_in_words(logs(*percents)) == text
    assert change_in_words(logs(*percents), "") == text.replace(" errors", "")


def test_an_interval_across_zero_names_both_sides():
    text = change_in_words([-4.0, 0.0, 1.0], "answers")
    assert text.startswith("1.0 % fewer answers (95 % interval ")
    half = 4.303 * 2.6458 / 3**0.5  # Student's t for two degrees of freedom, times the standard error
    low, high = (100 * (math.exp(value / 100) - 1) for value in (-1 - half, -1 + half))
    assert text.endswith(f"{-low:.1f} % fewer to {high:.1f} % more, 3 seeds)")


@pytest.mark.parametrize(
    ("low", "text"), [(0.04, "0.04 to"), (0.0031, "0.003 to"), (-0.04, "0.04 % fewer to"), (0.06, "0.1 to")]
)
def test_an_interval_that_ends_near_zero_says_on_which_side(low, text):
    half = 4.302653 * 2**0.5 / 3  # of the interval of 0, 0, sqrt 2 about their mean
    assert interval_in_words([low + half - 2**0.5 / 3 + value for value in (0, 0, 2**0.5)]).startswith(text)


def test_intervals_in_tables_and_of_what_is_no_change():
    assert change_in_a_table(logs(-12, -12, -12)) == "−12 [−12,\N{NO-BREAK SPACE}−12]"
    assert change_in_a_table(logs(8, 8)) == "8.0"
    assert [interval_text([]), interval_text([-1.25], digits=2), interval_text([-0.04])] == ["", "−1.25", "0.0"]
    assert interval_text([1.0, 2.0, 3.0], digits=2) == "2.00 [−0.48,\N{NO-BREAK SPACE}4.48]"  # 4.3027 / √3 on each side
    assert value_in_words([41.0, 42.0, 43.0]) == "42 % (95 % interval 40 to 44 %, 3 seeds)"
    assert value_in_words([-0.1, -0.1], " points", 2) == "−0.10 points (95 % interval −0.10 to −0.10, 2 seeds)"
    assert value_in_words([2.4], "", 1) == "2.4"


def test_sides_are_those_of_the_whole_interval():
    found = sides({"a": FEWER, "b": MORE, "c": UNCLEAR, "two seeds": [9.9, 10.0]})
    assert found == (["a"], ["b"], ["c", "two seeds"])


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
        ({"A": FEWER, "B": UNCLEAR}, "only A makes fewer errors than C. Chance could explain the difference of B."),
        ({"A": FEWER, "B": FEWER}, "A and B make fewer errors than C."),
        (
            {"A": MORE, "B": FEWER, "D": UNCLEAR, "E": UNCLEAR, "F": UNCLEAR},
            "only B makes fewer errors and only A makes more errors than C. "
            "Chance could explain the differences of the other three.",
        ),
        ({"A": UNCLEAR, "B": UNCLEAR}, "none of the two differs from C by more than chance could explain."),
    ],
)
def test_who_differs(changes, text):
    assert who_differs("Here", changes, "C") == f"Here, {text}"


def test_sizes_are_compared_whatever_their_signs():
    assert [compared_sizes([size], [-12.0]) for size in (-3.0, 11.0, 13.0)] == ["far less", "less", "more"]

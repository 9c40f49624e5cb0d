import math

import pytest

from anytime_study.pages.words import change_in_words, listed, number, percent


def logs(*percents):
    return [100 * math.log(1 + percent / 100) for percent in percents]


@pytest.mark.parametrize(
    ("percents", "text"),
    [
        ((-3, -3, -3), "3.0 % fewer errors (95 % interval 3.0 to 3.0 % fewer, 3 seeds)"),
        ((12, 12, 12), "12 % more errors (95 % interval 12 to 12 % more, 3 seeds)"),
        ((0, 0, 0), "about as many errors (95 % interval 0.0 to 0.0 % fewer, 3 seeds)"),
        ((8, 8), "8.0 % more errors (2 seeds, so no interval)"),
        ((5,), "5.0 % more errors (1 seed, so no interval)"),
    ],
)
def test_changes_are_said_in_words(percents, text):
    assert change_in_words(logs(*percents)) == text


def test_an_interval_across_zero_names_both_sides():
    text = change_in_words([-4.0, 0.0, 1.0], "answers")
    assert text.startswith("1.0 % fewer answers (95 % interval ")
    half = 4.303 * 2.6458 / 3**0.5  # Student's t for two degrees of freedom, times the standard error
    low, high = (100 * (math.exp(value / 100) - 1) for value in (-1 - half, -1 + half))
    assert text.endswith(f"{-low:.1f} % fewer to {high:.1f} % more, 3 seeds)")


def test_the_smaller_change_comes_first():
    fewer = change_in_words(logs(-4.0, -4.0, -4.0, -3.5, -4.3), "")
    assert fewer == "4.0 % fewer (95 % interval 3.6 to 4.3 % fewer, 5 seeds)"
    assert change_in_words([-value for value in logs(-4.0, -3.0, -5.0)]).endswith(" more, 3 seeds)")


def test_numbers_and_lists():
    assert [number(count) for count in (0, 1, 12, 13, 45000)] == ["no", "one", "twelve", "13", "45,000"]
    assert [listed(words) for words in (["a"], ["a", "b"], "abc")] == ["a", "a and b", "a, b and c"]
    assert [percent(value) for value in (-3.14, 9.96, -0.04)] == ["−3.1", "10", "0.0"]

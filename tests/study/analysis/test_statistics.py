import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from anytime_study.analysis.statistics import Interval, detection_power, mean_interval, paired_difference, seeds_needed

# Two-sided quantiles of Student's t, from printed tables: (confidence, degrees of freedom) -> t
QUANTILES = {(0.95, 1): 12.706, (0.95, 2): 4.303, (0.95, 4): 2.776, (0.90, 2): 2.920, (0.99, 4): 4.604}

VALUES = {1: [1.0, 3.0], 2: [1.0, 2.0, 6.0], 4: [0.2, 0.4, 0.1, 0.9, 0.4]}


def table(rows):
    return pd.DataFrame(rows, columns=["weighting", "seed", "test_error"])


# --- one mean ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("confidence", "freedom"), QUANTILES)
def test_the_interval_is_students(confidence, freedom):
    values = VALUES[freedom]
    n = len(values)
    mean = sum(values) / n
    variance = sum((value - mean) ** 2 for value in values) / (n - 1)
    half = QUANTILES[confidence, freedom] * math.sqrt(variance / n)
    found = mean_interval(values, confidence=confidence)
    assert found.mean == pytest.approx(mean)
    assert found.high - found.mean == pytest.approx(half, rel=3e-4)
    assert found.mean - found.low == pytest.approx(half, rel=3e-4)
    assert found.n == n


def test_by_hand():
    # mean 3, standard deviation √7, standard error √(7/3), t(2) = 4.3027
    assert mean_interval([1, 2, 6]) == Interval(
        pytest.approx(3), pytest.approx(3 - 6.5724, abs=1e-4), pytest.approx(3 + 6.5724, abs=1e-4), 3
    )


def test_a_series_with_any_index_will_do():
    assert mean_interval(pd.Series([1.0, 2.0, 6.0], index=[5, 5, 9])) == mean_interval([1.0, 2.0, 6.0])


@given(st.lists(st.floats(-100, 100), min_size=3, max_size=9, unique=True), st.floats(-10, 10))
def test_a_shift_moves_the_interval_and_a_reflection_turns_it(values, shift):
    if np.std(values) < 1e-6:
        return
    plain, moved = mean_interval(values), mean_interval([value + shift for value in values])
    assert moved.low == pytest.approx(plain.low + shift, rel=1e-6, abs=1e-6)
    assert moved.high == pytest.approx(plain.high + shift, rel=1e-6, abs=1e-6)
    assert mean_interval([-value for value in values]).low == pytest.approx(-plain.high, rel=1e-9, abs=1e-9)
    assert plain.low < plain.mean < plain.high


@pytest.mark.parametrize("number", [3, 10])
@pytest.mark.parametrize("value", [0.0, 0.1, 2.0])
def test_equal_values_have_an_interval_of_no_width_and_give_no_warning(value, number):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning would stop the build of the book
        found = mean_interval([value] * number)
    assert (found.mean, found.low, found.high) == pytest.approx((value, value, value))


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_values_have_no_interval(values):
    with pytest.raises(ValueError, match="values: expected at least 2 finite numbers"):
        mean_interval(values)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_no_numbers_have_no_interval(value):
    with pytest.raises(ValueError, match="values: expected at least 2 finite numbers"):
        mean_interval([1.0, value])


def test_the_interval_is_students_at_every_n():
    values = np.random.default_rng(0).exponential(size=30)
    interval = mean_interval(values)
    half = stats.t.ppf(0.975, 29) * values.std(ddof=1) / 30**0.5
    assert (interval.low, interval.high) == pytest.approx((values.mean() - half, values.mean() + half))


@pytest.mark.parametrize(("deviation", "effect"), [(2.0, 4.0), (3.0, 4.0), (1.0, 0.5)])
def test_seeds_needed_have_the_power_that_a_simulation_finds(deviation, effect):
    n = seeds_needed(deviation, effect)
    assert detection_power(n, deviation, effect) >= 0.8 > detection_power(n - 1, deviation, effect)
    draws = np.random.default_rng(0).normal(effect, deviation, (4000, n))
    found = stats.ttest_1samp(draws, 0, axis=1)
    share = ((found.pvalue < 0.05) & (found.statistic > 0)).mean()
    assert share == pytest.approx(detection_power(n, deviation, effect), abs=0.025)


def test_the_interval_covers_the_mean_as_often_as_it_says():
    generator = np.random.default_rng(0)
    draws = generator.normal(5, 2, size=(1000, 4))
    covered = sum(found.low <= 5 <= found.high for found in map(mean_interval, draws.tolist()))
    assert 0.93 < covered / 1000 < 0.97


# --- paired differences --------------------------------------------------------------------------------------------


def test_a_paired_difference_is_the_interval_of_the_differences():
    rows = table(
        [
            ("const", 0, 0.30), ("const", 1, 0.34), ("const", 2, 0.40),
            ("adaloss", 2, 0.41), ("adaloss", 0, 0.33), ("adaloss", 1, 0.36),  # seeds in another order
            ("linear", 0, 9.9),  # not asked for
        ]
    )  # fmt: skip
    found = paired_difference(rows, "test_error", "adaloss", "const")
    expected = mean_interval([0.33 - 0.30, 0.36 - 0.34, 0.41 - 0.40])
    assert found == Interval(pytest.approx(expected.mean), pytest.approx(expected.low), pytest.approx(expected.high), 3)
    assert found.mean == pytest.approx(0.02)
    assert paired_difference(rows, "test_error", "const", "adaloss").mean == pytest.approx(-0.02)
    wide = paired_difference(rows, "test_error", "adaloss", "const", confidence=0.99)
    assert wide.low < found.low < found.high < wide.high


def test_pairing_takes_out_what_the_seeds_share():
    generator = np.random.default_rng(0)
    shared = generator.normal(0, 1, 6)
    rows = table(
        [("a", seed, shared[seed] + 0.1 + 0.001 * (seed % 2)) for seed in range(6)]
        + [("b", seed, shared[seed]) for seed in range(6)]
    )
    found = paired_difference(rows, "test_error", "a", "b")
    assert found.low > 0.09
    alone = mean_interval(rows[rows["weighting"] == "a"]["test_error"])
    assert alone.low < 0 < alone.high


def test_seeds_that_do_not_match_are_refused():
    rows = [("a", 0, 1.0), ("a", 1, 2.0), ("b", 0, 1.0), ("b", 2, 2.0)]
    with pytest.raises(ValueError, match="seeds: expected each once under a and b, found "):
        paired_difference(table(rows), "test_error", "a", "b")


def test_more_than_one_row_per_seed_is_refused():
    rows = [(name, seed, 1.0) for name in "ab" for seed in (0, 1) for _ in range(2)]  # two exits, say
    with pytest.raises(ValueError, match="seeds: expected each once"):
        paired_difference(table(rows), "test_error", "a", "b")


@pytest.mark.parametrize(("first", "second"), [("a", "c"), ("c", "a"), ("c", "d")])
def test_a_weighting_without_rows_is_refused(first, second):
    rows = [("a", 0, 1.0), ("a", 1, 2.0), ("b", 0, 1.0), ("b", 1, 2.0)]
    with pytest.raises(ValueError, match=f"seeds: expected each once under {first} and {second}|values: expected at "):
        paired_difference(table(rows), "test_error", first, second)


def test_one_seed_has_no_interval():
    with pytest.raises(ValueError, match="values: expected at least 2 finite numbers"):
        paired_difference(table([("a", 0, 1.0), ("b", 0, 2.0)]), "test_error", "a", "b")

import math
import warnings

import numpy as np
import pytest
from scipy import stats

from anytime_study.analysis.statistics import Interval, detection_power, mean_interval, ratio_interval, seeds_needed

# Two-sided quantiles of Student's t, from printed tables: (confidence, degrees of freedom) -> t
QUANTILES = {(0.95, 1): 12.706, (0.95, 2): 4.303, (0.95, 4): 2.776, (0.90, 2): 2.920, (0.99, 4): 4.604}

VALUES = {1: [1.0, 3.0], 2: [1.0, 2.0, 6.0], 4: [0.2, 0.4, 0.1, 0.9, 0.4]}


@pytest.mark.parametrize(("confidence", "freedom"), QUANTILES)
def test_the_interval_is_students(confidence, freedom):
    values = VALUES[freedom]
    n = len(values)
    mean = sum(values) / n
    variance = sum((value - mean) ** 2 for value in values) / (n - 1)
    half = QUANTILES[confidence, freedom] * math.sqrt(variance / n)
    ends = (pytest.approx(mean - half, abs=3e-4 * half), pytest.approx(mean + half, abs=3e-4 * half))
    assert mean_interval(values, confidence=confidence) == Interval(pytest.approx(mean), *ends, n)


@pytest.mark.parametrize("value", [0.0, 0.1, 2.0])
def test_equal_values_have_an_interval_of_no_width_and_give_no_warning(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning would stop the build of the book
        found = mean_interval([value] * 3)
    assert (found.mean, found.low, found.high) == pytest.approx((value, value, value))


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, math.inf]])
def test_fewer_than_two_numbers_have_no_interval(values):
    with pytest.raises(ValueError, match="values: expected at least 2 finite numbers"):
        mean_interval(values)


def test_a_ratio_lies_where_part_minus_its_share_of_the_whole_may_be_0():
    part, whole = np.array([-4.0, -7.0, -1.0, -6.0]), np.array([-9.0, -11.0, -6.0, -8.0])
    found = ratio_interval(part, whole)
    assert (found.mean, found.n) == (pytest.approx(18 / 34), 4)
    assert mean_interval(part - found.low * whole).high == pytest.approx(0)
    assert mean_interval(part - found.high * whole).low == pytest.approx(0)
    with pytest.raises(ValueError, match="whole"):
        ratio_interval(whole, [-9.0, 11.0, -6.0, 8.0])


@pytest.mark.parametrize(("deviation", "effect"), [(2.0, 4.0), (3.0, 4.0), (1.0, 0.5)])
def test_seeds_needed_have_the_power_that_a_simulation_finds(deviation, effect):
    n = seeds_needed(deviation, effect)
    assert detection_power(n, deviation, effect) >= 0.8 > detection_power(n - 1, deviation, effect)
    draws = np.random.default_rng(0).normal(effect, deviation, (4000, n))
    found = stats.ttest_1samp(draws, 0, axis=1)
    share = ((found.pvalue < 0.05) & (found.statistic > 0)).mean()
    assert share == pytest.approx(detection_power(n, deviation, effect), abs=0.025)

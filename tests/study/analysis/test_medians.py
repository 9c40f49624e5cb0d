import math

import numpy as np
import pytest

from anytime_study.analysis.medians import median_interval, sign_test

INF = math.inf


def test_five_values_by_hand():
    # both ends miss the median if all five fall on one side: 2 / 2^5
    found = median_interval([3, 1, 5, 2, 4])
    assert (found.median, found.low, found.high, found.n) == (3, 1, 5, 5)
    assert found.coverage == 0.9375


@pytest.mark.parametrize(
    ("n", "out", "coverage"),
    [(1, 0, 0), (2, 0, 0.5), (3, 0, 0.75), (6, 0, 1 - 2 / 64), (8, 0, 1 - 2 / 256), (9, 1, 1 - 2 * 10 / 512)],
)
def test_the_interval_leaves_out_what_it_may(n, out, coverage):
    found = median_interval(list(range(n)))
    assert (found.low, found.high) == (out, n - 1 - out)
    assert found.coverage == pytest.approx(coverage)


def test_less_confidence_is_a_shorter_interval():
    assert median_interval(list(range(5)), confidence=0.6).low == 1  # 1 - 2 (1 + 5) / 32 = 0.625


def test_values_beyond_a_limit_need_no_guess():
    found = median_interval([1.2, INF, 1.5, 1.1, INF])
    assert (found.median, found.low, found.high) == (1.5, 1.1, INF)
    assert median_interval([1, INF, INF]).median == INF
    assert median_interval([INF, INF]).median == INF
    assert median_interval([1, INF]).median == INF
    assert median_interval([1, 4]).median == 2.5


def test_it_covers_the_median():
    rng = np.random.default_rng(0)
    samples = rng.exponential(size=(2000, 9))
    found = [median_interval(list(sample)) for sample in samples]
    covered = np.mean([each.low <= math.log(2) <= each.high for each in found])
    assert covered == pytest.approx(1 - 20 / 512, abs=0.015)


@pytest.mark.parametrize("values", [[], [1.0, math.nan]])
def test_no_number_is_refused(values):
    with pytest.raises(ValueError, match="values: expected one or more numbers, found"):
        median_interval(values)


def test_the_sign_test_by_hand():
    assert sign_test([1.5, 2, 3, 4, INF], 1) == pytest.approx(2 / 32)
    assert sign_test([1.5, 2, 3, 4, 0.5], 1) == pytest.approx(2 * 6 / 32)
    assert sign_test([1, 1, 2, 3], 1) == pytest.approx(2 / 4)  # equal values do not count
    assert sign_test([1, 1], 1) == 1
    assert sign_test([0.1, 0.2, 0.3, 0.4, 0.5], 1) == pytest.approx(2 / 32)

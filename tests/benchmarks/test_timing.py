"""Medians, paired ratios, intervals, and who is measured when."""

import pytest
from scipy.stats import binom

from benchmarks.timing import compare, paired_ratio, spread, timed


class FakeClock:
    """A clock that only moves when it is told to, in seconds."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def taking(self, seconds):
        def call():
            self.now += seconds

        return call


def test_a_spread_is_the_median_with_its_quartiles():
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]).model_dump() == {"median": 3.0, "q1": 2.0, "q3": 4.0, "n": 5}


def test_ratios_are_taken_pair_by_pair():
    # the machine was ten times slower in the last round: the ratio of the medians would be 5 / 2
    ratio = paired_ratio([2.0, 5.0, 20.0], [1.0, 2.0, 10.0])
    assert (ratio.median, ratio.low, ratio.high, ratio.n) == (2.0, 2.0, 2.5, 3)  # the range: too few pairs
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([1.0], [1.0, 2.0])


@pytest.mark.parametrize(("pairs", "k"), [(6, 1), (10, 2), (40, 14)])
def test_the_interval_is_the_narrowest_of_order_statistics_that_covers(pairs, k):
    ratio = paired_ratio([float(value) for value in range(1, pairs + 1)], [1.0] * pairs)
    assert (ratio.low, ratio.high) == (k, pairs + 1 - k)
    assert 1 - 2 * binom.cdf(k - 1, pairs, 0.5) >= 0.95
    assert 1 - 2 * binom.cdf(k, pairs, 0.5) < 0.95  # one step narrower would not do


def test_a_block_gives_seconds_per_call_without_its_warm_up():
    clock = FakeClock()
    assert timed(clock.taking(0.5), number=4, timer=clock)() == pytest.approx(0.5)
    assert clock.now == pytest.approx(0.5 * (4 + 2))


def test_each_contender_stands_between_two_turns_of_the_baseline():
    order = []

    def block(name):
        return lambda: order.append(name) or float(len(order))

    compare("x", {name: block(name) for name in "abc"}, "a", 1)
    assert "".join(order) == "a" + "baca" * 2


def test_a_drift_of_the_machine_cancels():
    time = iter(range(1, 100))  # each turn takes one second longer than the one before
    blocks = dict.fromkeys("abc", lambda: float(next(time)))
    found = compare("x", blocks, "a", 3)
    assert {name: (ratio.low, ratio.high, ratio.n) for name, ratio in found.ratios.items()} == {
        "b": (1, 1, 3),
        "c": (1, 1, 3),
    }


@pytest.mark.parametrize(("unit", "value", "ratio"), [("s", 2, 2), ("ms", 2000, 2), ("images/s", 32, 0.5)])
def test_values_are_told_in_their_unit(unit, value, ratio):
    found = compare("x", {"a": lambda: 1.0, "b": lambda: 2.0}, "a", 1, unit=unit, images=64)
    assert found.contenders[1].value.median == value
    assert found.ratios["b"].median == ratio

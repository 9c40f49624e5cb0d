"""Medians, paired ratios, intervals, and who is measured when."""

import pytest
from scipy.stats import binom

from benchmarks.ratios import comparison, paired_ratio, spread
from benchmarks.turns import sandwiched, take_turns, timed


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
    assert (ratio.median, ratio.low, ratio.high, ratio.n) == (2.0, 2.0, 2.5, 3)


@pytest.mark.parametrize(("pairs", "k"), [(6, 1), (10, 2), (40, 14)])
def test_the_interval_is_the_narrowest_of_order_statistics_that_covers(pairs, k):
    ratio = paired_ratio([float(value) for value in range(1, pairs + 1)], [1.0] * pairs)
    assert (ratio.low, ratio.high) == (k, pairs + 1 - k)
    assert ratio.coverage == pytest.approx(1 - 2 * binom.cdf(k - 1, pairs, 0.5))
    assert ratio.coverage >= 0.95
    assert 1 - 2 * binom.cdf(k, pairs, 0.5) < 0.95  # one step narrower would not do


def test_few_pairs_give_the_range_and_say_how_much_it_covers():
    ratio = paired_ratio([1.0, 3.0], [1.0, 1.0])
    assert (ratio.low, ratio.high, ratio.coverage) == (1.0, 3.0, pytest.approx(0.5))
    assert paired_ratio([2.0], [1.0]).coverage == 0


def test_pairs_must_match():
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([1.0], [1.0, 2.0])


def test_a_comparison_divides_by_its_baseline_or_by_what_was_measured_beside():
    values = {"a": [2.0, 2.0], "b": [6.0, 6.0], "c": [6.0, 6.0]}
    found = comparison("x", "ms", "a", values, beside={"c": [3.0, 3.0]}, facts={"b": {"size": 1.0}})
    assert [contender.ratio and contender.ratio.median for contender in found.contenders] == [None, 3.0, 2.0]
    assert found["b"].facts == {"size": 1.0}


def test_a_block_gives_seconds_per_call_without_its_warm_up():
    clock = FakeClock()
    assert timed(clock.taking(0.5), number=4, threads=1, timer=clock)() == pytest.approx(0.5)
    assert clock.now == pytest.approx(0.5 * (4 + 2))


def test_contenders_take_turns_and_the_first_round_does_not_count():
    order, seconds = [], {"a": iter([9.0, 1.0, 2.0]), "b": iter([9.0, 3.0, 4.0])}

    def block(name):
        def measure():
            order.append(name)
            return next(seconds[name])

        return measure

    assert take_turns({"a": block("a"), "b": block("b")}, 2) == {"a": [1.0, 2.0], "b": [3.0, 4.0]}
    assert "".join(order) == "ababab"


def test_a_drift_of_the_machine_cancels_between_two_turns_of_the_baseline():
    time = iter(range(1, 100))  # each turn takes one second longer than the one before
    pairs = sandwiched(lambda: float(next(time)), {"b": lambda: float(next(time)), "c": lambda: float(next(time))}, 3)
    assert all(own == beside for found in pairs.values() for own, beside in found)
    assert {name: len(found) for name, found in pairs.items()} == {"b": 3, "c": 3}

"""The simulator against sequences that can be followed by hand; it is the judge of the formulas, so it comes first."""

import math

import numpy as np
import pytest

from anytime_study.theory.cost_simulation import geometric_costs, run_sequence


def test_the_best_answer_by_hand():
    # b = 2. Network 0 (cost 1) is competent from 0.5; network 1 (cost 4) starts at 1 and is competent from 2 inside.
    run = run_sequence([1, 4], 2)
    budgets = [0.4, 0.5, 0.8, 1.0, 2.9, 3.0, 4.5, 5.0, 9.0]
    assert np.array_equal(run.best(budgets), [0, 0.5, 0.8, 1, 1, 2, 3.5, 4, 4])
    assert np.array_equal(run.inflation(budgets[:2]), [math.inf, 1])
    assert run.inflation(2.9) == 2.9
    assert run.inflation(9.0) == 9 / 4


def test_an_ordinary_network_counts_only_at_its_end():
    run = run_sequence([1, 4], 1)
    assert np.array_equal(run.best([0.99, 1.0, 4.99, 5.0]), [0, 1, 1, 4])


def test_a_network_that_does_not_grow_never_helps():
    with_it, without = run_sequence([1, 3, 2, 9], 2), run_sequence([1, 3, 9], 2)
    low = 3.0
    later = np.linspace(6.0, 13.0, 500)
    assert np.all(with_it.best(later) <= without.best(later))
    assert with_it.highest(low, 15) > without.highest(low, 13)


def test_workers_take_the_networks_in_order():
    # two workers: 0 and 1 start at once; 2 after 0; 3 after 1; 4 (at 5) after 2, not after 3 (at 9)
    run = run_sequence([1, 2, 4, 7, 8], 2, workers=2)
    assert np.array_equal(run.starts, [0, 0, 1, 2, 5])
    assert np.array_equal(run.ends, [1, 2, 5, 9, 13])
    assert np.array_equal(run_sequence([1, 2, 4], 2, workers=9).starts, [0, 0, 0])


def test_a_network_has_ended_at_its_end_whatever_the_rounding():
    run = run_sequence(1.1 ** np.arange(30), 1)
    assert np.array_equal(run.best(run.ends), run.costs)
    assert np.array_equal(run.best(run.ends * (1 - 1e-12))[1:], run.costs[:-1])


@pytest.mark.parametrize("workers", [1, 3])
def test_no_budget_exceeds_the_highest(workers):
    run = run_sequence([4, 5, 11, 17, 50], 2.5, workers=workers)
    low, high = run.ends[0], run.ends[-1]
    highest, seen = run.highest(low, high), run.inflation(np.linspace(low, high, 200_001)).max()
    assert seen <= highest + 1e-9
    assert seen > highest - 1e-3  # it is not merely above everything


def test_the_means_by_hand():
    # one ordinary network of cost 1, then nothing: C(B) = B on [1, e], mean (e + 1) / 2; over ln B it is e - 1
    run = run_sequence([1], 1)
    assert run.mean(1.0, math.e) == pytest.approx((math.e + 1) / 2, rel=1e-9)
    assert run.mean(1.0, math.e, logarithmic=True) == pytest.approx(math.e - 1, rel=1e-9)


def test_geometric_costs():
    assert np.array_equal(geometric_costs(2, reach=8), [1, 2, 4, 8])
    assert np.array_equal(geometric_costs(2, reach=8.1), [1, 2, 4, 8, 16])
    assert np.array_equal(geometric_costs(3, reach=0.5), [1])

"""The simulator against sequences that can be followed by hand; it is the judge of the formulas, so it comes first."""

import math

import numpy as np
import pytest

from anytime_study.theory.cost_simulation import geometric_costs, run_sequence, sampled_mean

# --- one worker, by hand -------------------------------------------------------------------------------------------


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


# --- workers, overhead, exits --------------------------------------------------------------------------------------


def test_workers_take_the_networks_in_order():
    # two workers: 0 and 1 start at once; 2 after 0; 3 after 1; 4 (at 5) after 2, not after 3 (at 9)
    run = run_sequence([1, 2, 4, 7, 8], 2, workers=2)
    assert np.array_equal(run.starts, [0, 0, 1, 2, 5])
    assert np.array_equal(run.ends, [1, 2, 5, 9, 13])
    assert np.array_equal(run_sequence([1, 2, 4], 2, workers=9).starts, [0, 0, 0])


def test_overhead_is_paid_by_every_network():
    run = run_sequence([1, 2], 2, overhead=1.0)
    assert np.array_equal(run.starts, [0, 2])
    assert np.array_equal(run.ends, [2, 5])
    assert np.array_equal(run.best([1.4, 1.6, 4.0, 4.5]), [0, pytest.approx(0.6), 1, 1.5])


def test_a_network_has_ended_at_its_end_whatever_the_rounding():
    run = run_sequence(2.0 ** np.arange(30), 1, overhead=0.1)
    assert np.array_equal(run.best(run.ends), run.costs)
    assert np.array_equal(run.best(run.ends * (1 - 1e-12))[1:], run.costs[:-1])


def test_between_exits_the_last_one_counts():
    run = run_sequence([8], 2, spacing=3)  # exits at 3 (not competent), 6 and the end, 8
    assert np.array_equal(run.best([3.5, 5.9, 6.0, 7.9, 8.0]), [0, 0, 6, 6, 8])


@pytest.mark.parametrize("spacing", [0, 3])
@pytest.mark.parametrize("workers", [1, 3])
def test_no_budget_exceeds_the_highest(spacing, workers):
    run = run_sequence([4, 5, 11, 17, 50], 2.5, workers=workers, overhead=0.7, spacing=spacing)
    low, high = run.ends[0], run.ends[-1]
    highest, seen = run.highest(low, high), run.inflation(np.linspace(low, high, 200_001)).max()
    assert seen <= highest + 1e-9
    assert seen > highest - 1e-3  # it is not merely above everything


# --- sampling ------------------------------------------------------------------------------------------------------


def test_the_sampled_mean_is_the_integral():
    # one ordinary network of cost 1, then nothing: C(B) = B on [1, e], mean (e + 1) / 2; over ln B it is e - 1
    run = run_sequence([1], 1)
    for logarithmic, expected in ((False, (math.e + 1) / 2), (True, math.e - 1)):
        found = sampled_mean(run, 1.0, math.e, trials=40_000, seed=0, logarithmic=logarithmic)
        assert abs(found.mean - expected) < 4 * found.standard_error
        assert found.standard_error < 0.004  # far less than the difference of the two means, 0.14


# --- costs and errors ----------------------------------------------------------------------------------------------


def test_geometric_costs():
    assert np.array_equal(geometric_costs(2, reach=8), [1, 2, 4, 8])
    assert np.array_equal(geometric_costs(2, reach=8.1), [1, 2, 4, 8, 16])
    assert np.array_equal(geometric_costs(1.5, reach=20, first=4, whole=True), [4, 6, 9, 14, 20])
    assert np.array_equal(geometric_costs(3, reach=0.5), [1])

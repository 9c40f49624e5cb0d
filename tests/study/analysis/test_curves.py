import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytime_core.networks.ensemble import EANN
from anytime_core.networks.resann import ResANN
from anytime_study.analysis.curves import (
    Steps,
    anytime_steps,
    best_separate,
    inflation,
    interpolated,
    sequence_cost,
    sequence_steps,
)

# --- linear between exits ------------------------------------------------------------------------------------------


def test_interpolation_by_hand():
    found = interpolated([10, 20, 40], [0.8, 0.4, 0.2], [5, 10, 15, 20, 30, 40, 99])
    assert found == pytest.approx([0.8, 0.8, 0.6, 0.4, 0.3, 0.2, 0.2])
    assert float(interpolated([10], [0.5], 7)) == 0.5


@pytest.mark.parametrize("costs", [[10, 10], [20, 10]])
def test_costs_that_do_not_grow_are_refused(costs):
    with pytest.raises(ValueError, match="costs: expected increasing numbers, found"):
        interpolated(costs, [0.5, 0.4], 7)


@pytest.mark.parametrize(("costs", "values"), [([1, 2], [0.5]), ([], []), ([[1], [2]], [[1], [2]])])
def test_a_value_per_exit_is_expected(costs, values):
    with pytest.raises(ValueError, match="expected one of each per exit, found shapes"):
        Steps(np.array(costs), np.array(values))


# --- steps ---------------------------------------------------------------------------------------------------------

STEPS = Steps(np.array([10, 20, 40]), np.array([0.8, 0.4, 0.2]))


def test_the_latest_answer_counts_until_the_next():
    found = STEPS.at([9.9, 10, 19.9, 20, 39, 40, 1000])
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx([0.8, 0.8, 0.4, 0.4, 0.2, 0.2])


def test_the_mean_over_the_logarithm_by_hand():
    # from 10 to 80: three factors of 2 with 0.8, 0.4, 0.2
    assert STEPS.log_mean(10, 80) == pytest.approx(1.4 / 3)
    assert STEPS.log_mean(10, 160) == pytest.approx((0.8 + 0.4 + 2 * 0.2) / 4)
    assert STEPS.log_mean(20, 40) == pytest.approx(0.4)
    assert STEPS.log_mean(15, 25) == pytest.approx(
        (0.8 * math.log(20 / 15) + 0.4 * math.log(25 / 20)) / math.log(25 / 15)
    )
    assert STEPS.log_mean(50, 60) == pytest.approx(0.2)


@given(st.floats(10, 100), st.floats(1.01, 50))
def test_the_mean_is_that_of_many_budgets(low, factor):
    budgets = np.geomspace(low, low * factor, 20001)
    middle = np.sqrt(budgets[1:] * budgets[:-1])
    assert STEPS.log_mean(low, low * factor) == pytest.approx(STEPS.at(middle).mean(), abs=1e-4)


@pytest.mark.parametrize(("low", "high"), [(20, 20), (30, 20), (0, 20), (-1, 20)])
def test_budgets_must_grow(low, high):
    with pytest.raises(ValueError, match="budgets: expected 0 < low < high"):
        STEPS.log_mean(low, high)


def test_no_answer_has_no_mean():
    with pytest.raises(ValueError, match="low: expected at least 10, the first answer's cost, found 5"):
        STEPS.log_mean(5, 20)
    assert STEPS.held_from(5).log_mean(5, 20) == pytest.approx(0.8)
    assert STEPS.held_from(12).at([9, 10]) == pytest.approx([math.nan, 0.8], nan_ok=True)  # never later than it was
    assert STEPS.held_from(5).at([5, 20, 40]) == pytest.approx([0.8, 0.4, 0.2])


def test_an_anytime_network_answers_with_its_latest_exit(made_up_record):
    found = anytime_steps(made_up_record(scores={"test": [0.5, 0.3], "cumulative": [11, 22]}))
    assert found.at([11, 21, 22]) == pytest.approx([0.5, 0.5, 0.3])


# --- sequences -----------------------------------------------------------------------------------------------------

FIRST = {"test": [0.50, 0.40], "validation": [0.52, 0.41], "cumulative": [10, 20], "alone": [10, 18]}
SECOND = {
    "test": [0.45, 0.39, 0.30],
    "validation": [0.40, 0.42, 0.28],
    "cumulative": [10, 20, 40],
    "alone": [9, 19, 38],
}


def test_a_sequence_adopts_by_validation_and_pays_all_that_ran(made_up_record):
    members = [made_up_record(scores=FIRST), made_up_record(scores=SECOND)]
    found = sequence_steps(members)
    # the second member starts at 20; its first exit is adopted though its test error is worse, its second is not
    assert found.costs.tolist() == [10, 20, 30, 60]
    assert found.errors.tolist() == [0.50, 0.40, 0.45, 0.30]
    assert sequence_cost(members) == 60


def test_ordinary_networks_answer_at_their_end_and_pay_one_head(made_up_record):
    found = sequence_steps([made_up_record(scores=FIRST), made_up_record(scores=SECOND)], alone=True)
    assert found.costs.tolist() == [18, 18 + 38]
    assert found.errors.tolist() == [0.40, 0.30]


def test_equal_validation_error_is_not_adopted(made_up_record):
    found = sequence_steps([made_up_record(scores={"test": [0.5, 0.4], "validation": [0.5, 0.5]})])
    assert found.errors.tolist() == [0.5]


def test_the_network_adopts_the_same_exits(made_up_record):
    members = [ResANN(n=1, c=2, s=3), ResANN(n=2, c=2, s=2)]  # 1 and 3 exits
    net = EANN(members)
    errors = [0.5, 0.6, 0.4, 0.4]
    net.adopt(errors)
    records = [
        made_up_record(scores={"validation": errors[:1], "test": [0.11]}),
        made_up_record(scores={"validation": errors[1:], "test": [0.22, 0.33, 0.44]}),
    ]
    tests = np.array([0.11, 0.22, 0.33, 0.44])
    assert sequence_steps(records).errors.tolist() == tests[net.adopted.numpy()].tolist() == [0.11, 0.33]


@pytest.mark.parametrize("make", [sequence_steps, best_separate])
def test_no_network_is_refused(make):
    with pytest.raises(ValueError, match="expected at least one record, found none"):
        make([])


def test_the_best_separate_network_at_a_budget(made_up_record):
    networks = [
        made_up_record(scores={"test": [0.9, test], "validation": [0.9, validation], "alone": [1, cost]})
        for cost, validation, test in [(40, 0.25, 0.26), (10, 0.50, 0.51), (20, 0.55, 0.20), (30, 0.40, 0.45)]
    ]
    found = best_separate(networks)
    assert found.costs.tolist() == [10, 30, 40]  # that of 20 has the better test error, which decides nothing
    assert found.errors.tolist() == [0.51, 0.45, 0.26]


# --- inflation -----------------------------------------------------------------------------------------------------


def test_inflation_by_hand():
    sequence = Steps(np.array([10, 30, 60]), np.array([0.50, 0.40, 0.20]))
    separate = Steps(np.array([8, 16, 32]), np.array([0.48, 0.40, 0.25]))
    found = inflation(sequence, separate, [10, 29, 30, 59, 60], tolerance=0.05)
    # 0.50 is as good as 0.48 (0.504) but not as 0.40: the network of 16 must not be afforded: C = B / 16
    # 0.40 is as good as 0.40 but not as 0.25: C = B / 32. 0.20 is better than all.
    assert found == pytest.approx([10 / 16, 29 / 16, 30 / 32, 59 / 32, 0])
    strict = inflation(sequence, separate, [29.0], tolerance=0)
    assert strict == pytest.approx([29 / 8])  # worse than every network: not even the smallest may be afforded


def test_the_tolerance_is_relative_and_counts_its_end():
    separate = Steps(np.array([4.0]), np.array([0.5]))
    for error, expected in [(0.75, 0), (0.76, 2.5)]:
        sequence = Steps(np.array([10.0]), np.array([error]))
        assert inflation(sequence, separate, [10.0], tolerance=0.5) == pytest.approx([expected])


def test_the_inflation_is_the_smallest_that_holds():
    # a deeper network with a worse test error is matched again; it is the last one matched that counts
    separate = Steps(np.array([4, 8, 16]), np.array([0.3, 0.5, 0.2]))
    assert inflation(Steps(np.array([20.0]), np.array([0.4])), separate, [20.0], tolerance=0) == pytest.approx(
        [20 / 16]
    )


def test_no_answer_has_no_inflation():
    with pytest.raises(ValueError, match="budgets: expected at least 10, the first answer's cost"):
        inflation(STEPS, STEPS, [5.0], tolerance=0.05)


def test_the_inflation_obeys_theory_where_its_assumptions_hold():
    # networks of cost 1, 2, 4, …, each as good as the best network of any cost d once d ≥ x / 2: sup C = 3
    fine, costs, errors, spent = 4000, [], [], 0.0
    for k in range(10):
        size = 2.0**k
        inside = np.geomspace(size / 2, size, fine)[1:] if k else np.array([1.0])
        costs.append(spent + inside)
        errors.append(1 / inside)
        spent += size
    sequence = Steps(np.concatenate(costs), np.concatenate(errors))
    every = np.geomspace(1, 2**9, 20000)
    separate = Steps(every, 1 / every)
    found = inflation(sequence, separate, np.geomspace(1, spent, 500), tolerance=0.0)
    assert 2.8 < found.max() <= 3.0

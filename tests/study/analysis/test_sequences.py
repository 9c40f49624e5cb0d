"""Sequences of networks: answers over budgets, the measures on EANNs, and the tables of their chapter."""

import math
from math import floor, log

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytime_core.errors import InputError
from anytime_core.networks.ensemble import EANN
from anytime_core.networks.resann import ResANN
from anytime_study.analysis.curves import Steps, anytime_steps, best_separate, inflation, sequence_cost, sequence_steps
from anytime_study.analysis.eann_curves import CURVES, eann_curves, inflation_curves, member_costs, relative_curve
from anytime_study.analysis.measures import measured
from anytime_study.analysis.quantities import interpolated
from anytime_study.analysis.selection import MissingRuns, Selection
from anytime_study.theory.cost_inflation import worst_case

# --- answers over budgets ------------------------------------------------------------------------------------------


def test_interpolation_by_hand():
    found = interpolated([10, 20, 40], [0.8, 0.4, 0.2], [5, 10, 15, 20, 30, 40, 99])
    assert found == pytest.approx([0.8, 0.8, 0.6, 0.4, 0.3, 0.2, 0.2])
    for costs in ([10, 10], [20, 10]):
        with pytest.raises(ValueError, match="costs: expected increasing numbers, found"):
            interpolated(costs, [0.5, 0.4], 7)


STEPS = Steps(np.array([10, 20, 40]), np.array([0.8, 0.4, 0.2]))


def test_the_latest_answer_counts_until_the_next():
    found = STEPS.at([9.9, 10, 19.9, 20, 39, 40, 1000])
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx([0.8, 0.8, 0.4, 0.4, 0.2, 0.2])


def test_silence_may_count_as_the_first_answer_or_as_a_guess():
    assert STEPS.answering_from(5).at([5, 20, 40]) == pytest.approx([0.8, 0.4, 0.2])
    assert STEPS.answering_from(5, 0.9).at([5, 9, 10]) == pytest.approx([0.9, 0.9, 0.8])
    assert STEPS.answering_from(12, 0.9) == STEPS.answering_from(12) == STEPS  # never later than it was


def test_the_mean_over_the_logarithm_by_hand():
    # from 10 to 80: three factors of 2 with 0.8, 0.4, 0.2
    assert STEPS.log_mean(10, 80) == pytest.approx(1.4 / 3)
    assert STEPS.log_mean(20, 40) == pytest.approx(0.4)
    assert STEPS.log_mean(15, 25) == pytest.approx((0.8 * log(20 / 15) + 0.4 * log(25 / 20)) / log(25 / 15))
    for low, high in [(20, 20), (30, 20), (0, 20), (5, 20)]:  # there is no answer at 5
        with pytest.raises(ValueError, match="budgets: expected 10 <= low < high"):
            STEPS.log_mean(low, high)


@given(st.floats(10, 100), st.floats(1.01, 50))
def test_the_mean_is_that_of_many_budgets(low, factor):
    budgets = np.geomspace(low, low * factor, 20001)
    middle = np.sqrt(budgets[1:] * budgets[:-1])
    assert STEPS.log_mean(low, low * factor) == pytest.approx(STEPS.at(middle).mean(), abs=1e-4)


def test_an_anytime_network_answers_with_its_latest_exit(made_up_record):
    found = anytime_steps(made_up_record(scores={"test": [0.5, 0.3], "cumulative": [11, 22]}))
    assert found.at([11, 21, 22]) == pytest.approx([0.5, 0.5, 0.3])


def test_a_sequence_adopts_by_validation_and_pays_all_that_ran(made_up_record):
    first = {"test": [0.50, 0.40], "validation": [0.52, 0.41], "cumulative": [10, 20], "alone": [10, 18]}
    second = {"test": [0.45, 0.39, 0.30], "validation": [0.40, 0.42, 0.28]}
    second |= {"cumulative": [10, 20, 40], "alone": [9, 19, 38]}
    members = [made_up_record(scores=first), made_up_record(scores=second)]
    found = sequence_steps(members)
    # the second member starts at 20; its first exit is adopted though its test error is worse, its second is not
    assert found.costs.tolist() == [10, 20, 30, 60]
    assert found.errors.tolist() == [0.50, 0.40, 0.45, 0.30]
    assert sequence_cost(members) == 60
    ordinary = sequence_steps(members, alone=True)  # which answer at their end and pay one head
    assert ordinary.costs.tolist() == [18, 18 + 38]
    assert ordinary.errors.tolist() == [0.40, 0.30]


def test_the_network_adopts_the_same_exits(made_up_record):
    net = EANN([ResANN(n=1, c=2, s=3), ResANN(n=2, c=2, s=2)])  # 1 and 3 exits
    errors = [0.5, 0.6, 0.4, 0.4]  # an equal one is not adopted
    net.adopt(errors)
    records = [
        made_up_record(scores={"validation": errors[:1], "test": [0.11]}),
        made_up_record(scores={"validation": errors[1:], "test": [0.22, 0.33, 0.44]}),
    ]
    tests = np.array([0.11, 0.22, 0.33, 0.44])
    assert sequence_steps(records).errors.tolist() == tests[net.adopted.numpy()].tolist() == [0.11, 0.33]


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
    # a deeper network with a worse test error is matched again; it is the last one matched that counts
    uneven = Steps(np.array([4, 8, 16]), np.array([0.3, 0.5, 0.2]))
    assert inflation(sequence, uneven, [30.0], tolerance=0) == pytest.approx([30 / 16])


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
    found = inflation(sequence, Steps(every, 1 / every), np.geomspace(1, spent, 500), tolerance=0.0)
    assert 2.8 < found.max() <= 3.0


# --- the measures --------------------------------------------------------------------------------------------------


def network(make, n, weighting, *, errors, costs, alone=None):
    scores = {"test": errors, "cumulative": costs, "alone": alone or costs}
    return [make(network=f"resann(n={n}, c=4)", weighting=weighting, seed=seed, scores=scores) for seed in range(3)]


@pytest.fixture(scope="module")
def eann(made_up_record):
    """Members n = 1, 2 with exits at 10, 20 and 20, 40: budgets 10 to 60. Separate: n = 1, 2, 3 cost 16, 32, 48."""
    return [
        *network(made_up_record, 2, "adaloss", errors=[0.30, 0.20], costs=[20, 40]),
        *network(made_up_record, 1, "adaloss", errors=[0.50, 0.40], costs=[10, 20]),
        *network(made_up_record, 1, "const", errors=[0.50, 0.45], costs=[10, 20]),
        *network(made_up_record, 2, "const", errors=[0.48, 0.25], costs=[20, 40]),
        *network(made_up_record, 1, "opt", errors=[0.01, 0.39], costs=[10, 20], alone=[9, 16]),
        *network(made_up_record, 2, "opt", errors=[0.01, 0.28], costs=[20, 40], alone=[9, 32]),
        *network(made_up_record, 3, "opt", errors=[0.01, 0.19], costs=[30, 60], alone=[9, 48]),
    ]


@pytest.fixture
def measure(made_up_experiment):
    """The value of a measure on these records, the same for all three seeds."""

    def run(records, **settings):
        found = measured(Selection(made_up_experiment(records)), settings)
        assert found.to_dict() == pytest.approx(dict.fromkeys(range(3), found[0]))
        return found[0]

    return run


LINEAR = {"first": "adaloss", "second": "linear_ensemble"}


def test_eanns_are_compared_over_the_logarithm_of_the_budget_or_at_their_ends(measure, eann):
    # AdaLoss: 0.5 from 10, 0.4 from 20, 0.3 from 40, 0.2 at 60. CONST: 0.5, 0.45 from 20 on (0.48 is not adopted)
    first = (0.5 * log(2) + 0.4 * log(2) + 0.3 * log(1.5)) / log(6)
    second = (0.5 * log(2) + 0.45 * log(3)) / log(6)
    sides = {"first": "adaloss", "second": "const"}
    over_budgets = measure(eann, name="eann_difference", **sides)
    assert over_budgets == pytest.approx(100 * (first / second - 1))
    assert measure(eann, name="eann_difference_once_both_answer", **sides) == pytest.approx(over_budgets)
    assert measure(eann, name="eann_difference", **sides, at_end=True) == pytest.approx(-20)
    with pytest.raises(InputError, match="first: expected its weighting"):
        measure(eann, name="eann_difference", first="linear_ensemble", second="const")


def test_an_eann_against_a_linear_ensemble(measure, eann):
    # ends at 16, 48, 96: 0.39 (held from 10 on), 0.28 from 48; 96 lies past the EANN's end
    ours = 0.5 * log(2) + 0.4 * log(2) + 0.3 * log(1.5)
    held = 0.39 * log(4.8) + 0.28 * log(60 / 48)
    assert measure(eann, name="eann_difference", **LINEAR) == pytest.approx(100 * (ours / held - 1))
    guessed = 0.9 * log(1.6) + 0.39 * log(3) + 0.28 * log(60 / 48)
    assert measure(eann, name="eann_difference", **LINEAR, guess=0.9) == pytest.approx(100 * (ours / guessed - 1))
    at_end = measure(eann, name="eann_difference", **LINEAR, at_end=True)
    assert at_end == pytest.approx(100 * (0.20 / 0.19 - 1))
    # both from 16 on: 0.5 until 20, 0.4 until 40, 0.3 until 60; 0.39 until 48, then 0.28
    both = (0.5 * log(20 / 16) + 0.4 * log(2) + 0.3 * log(1.5)) / (0.39 * log(3) + 0.28 * log(60 / 48))
    found = measure(eann, name="eann_difference_once_both_answer", **LINEAR)
    assert found == pytest.approx(100 * (both - 1))


def test_a_linear_ensemble_grows_by_equal_steps(measure, eann, made_up_record):
    without = [record for record in eann if record.config.network != "resann(c=4)"]  # n = 3 is the default
    with pytest.raises(MissingRuns, match=r"linear ensemble: expected three or more .* in equal steps, found 1, 2$"):
        measure(without, name="eann_difference", **LINEAR)
    uneven = without + network(made_up_record, 4, "opt", errors=[0.1], costs=[64])
    with pytest.raises(MissingRuns, match=r"found 1, 2, 4$"):
        measure(uneven, name="eann_difference", **LINEAR)


def test_the_inflation_of_an_eann_by_hand(measure, eann, made_up_record):
    # g = 2, bound 3. Networks of the members' depths: 0.39 for 16, 0.28 for 32; the third counts not.
    # 0.5 at up to 20: matches none: C < 20 / 16. 0.4 from 20 (at most 1.05 · 0.39): C < 40 / 32.
    # 0.3 from 40 > 1.05 · 0.28 = 0.294: C < 60 / 32 = 1.875; 0.2 at 60: C = 0
    settings = {"name": "eann_inflation", "weighting": "adaloss", "tolerance": 0.05}
    last_but_one = 60 / 6 ** (1 / 199)  # the last of 200 budgets before 60 itself
    assert measure(eann, **settings) == pytest.approx(last_but_one / 32 - 3)
    # 0.3 is now as good as 0.28, so the largest C is that of 0.4, just before 40; budgets are 10 · 6^(k/199)
    k = floor(199 * log(4) / log(6))
    assert measure(eann, **settings | {"tolerance": 0.10}) == pytest.approx(10 * 6 ** (k / 199) / 32 - 3)
    # costs 20, 40, 160: g = 3, bound 2.5; the third member and its network are matched at every budget that has it
    more = [
        *eann,
        *network(made_up_record, 4, "adaloss", errors=[0.19, 0.01], costs=[1, 160]),
        *network(made_up_record, 4, "opt", errors=[0.19], costs=[100]),
    ]
    budgets = [10 * 22 ** (k / 199) for k in range(200)]
    assert measure(more, **settings) == pytest.approx(max(budget for budget in budgets if budget < 60) / 32 - 2.5)


def test_members_and_networks_must_be_in_the_studies(measure, eann, made_up_record):
    without = [r for r in eann if (r.config.network, r.config.weighting) != ("resann(n=2, c=4)", "opt")]
    with pytest.raises(MissingRuns, match=r"separately trained networks \(opt\), n = 2"):
        measure(without, name="eann_inflation", weighting="adaloss", tolerance=0.05)
    with pytest.raises(MissingRuns, match="EANN of linear: expected at least two members in the studies, found none"):
        measure(eann, name="eann_difference", first="linear", second="const")
    twice = eann + network(made_up_record, "2, s=2", "adaloss", errors=[0.3, 0.2], costs=[20, 40])
    with pytest.raises(InputError, match=r"bad sequence of networks: expected one with n = 2, found .* and "):
        measure(twice, name="eann_difference", first="adaloss", second="const")
    odd = [*eann, made_up_record(network="msdnet", weighting="adaloss")]
    with pytest.raises(InputError, match="bad network msdnet: expected one whose option n tells its depth"):
        measure(odd, name="eann_difference", first="adaloss", second="const")


# --- the tables of the chapter -------------------------------------------------------------------------------------


@pytest.fixture
def selection(eann, made_up_experiment):
    return Selection(made_up_experiment(eann, name="eann"))


def test_curves_by_hand(selection):
    found = eann_curves(selection, "adaloss", points=2001)
    assert (found["cost"].min(), found["cost"].max()) == pytest.approx((10, 60))

    def at(curve, cost):
        """The error at the last budget that is not above a cost, for seed 1."""
        one = found[(found["curve"] == curve) & (found["seed"] == 1) & (found["cost"] <= cost)]
        return one.sort_values("cost")["error"].iloc[-1] if len(one) else None

    assert [at(CURVES[0], cost) for cost in (11, 25, 45, 60)] == [0.5, 0.4, 0.3, 0.2]
    assert [at(CURVES[1], cost) for cost in (15, 25, 45)] == [None, 0.3, 0.2]
    assert [at(CURVES[2], cost) for cost in (15, 25, 40, 60)] == [None, 0.39, 0.28, 0.19]  # of all depths


def test_one_curve_over_another():
    first = pd.DataFrame({"seed": [0, 0, 1], "cost": [1.0, 2.0, 1.0], "error": [0.5, 0.3, 0.2]})
    second = pd.DataFrame({"seed": [0, 1, 1], "cost": [2.0, 1.0, 2.0], "error": [0.2, 0.4, 0.1]})
    found = relative_curve(first, second)
    assert found[["seed", "cost"]].values.tolist() == [[0, 2], [1, 1]]
    assert found["error"].tolist() == pytest.approx([50, -50])


def test_the_inflation_is_that_of_the_ledger(selection):
    largest = inflation_curves(selection, "adaloss", tolerance=5).groupby("seed")["inflation"].max()
    measure = measured(selection, {"name": "eann_inflation", "weighting": "adaloss", "tolerance": 0.05})
    assert member_costs(selection, "adaloss") == [20, 40]
    assert largest.sub(measure).tolist() == pytest.approx([float(worst_case(2, 2))] * 3)


@pytest.mark.parametrize("ask", [eann_curves, member_costs, lambda *asked: inflation_curves(*asked, tolerance=5)])
def test_missing_runs_are_told(selection, made_up_experiment, eann, ask):
    with pytest.raises(MissingRuns, match="EANN of linear: expected at least two members"):
        ask(selection, "linear")
    with pytest.raises(MissingRuns, match="no record yet"):
        ask(Selection(made_up_experiment([], unmade=eann)), "adaloss")

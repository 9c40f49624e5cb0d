import math

import pandas as pd
import pytest

from anytime_study.analysis.eann_curves import (
    CURVES,
    difference_if_silence_is_chance,
    eann_curves,
    inflation_curves,
    mean_growth,
    member_costs,
    predicted_curve,
    relative_curve,
)
from anytime_study.analysis.measures import measured
from anytime_study.analysis.selection import MissingRuns, Selection
from anytime_study.theory.cost_inflation import worst_case

MEMBERS = {  # test and validation errors, costs
    1: ([0.5, 0.4], [10, 20]),
    3: ([0.45, 0.2], [20, 50]),
}
SEPARATE = {1: (0.38, 18), 2: (0.3, 30), 3: (0.18, 45)}


@pytest.fixture
def selection(made_up_record, made_up_experiment):
    records = []
    for seed in range(3):
        for n, (errors, costs) in MEMBERS.items():
            records.append(
                made_up_record(
                    network=f"resann(n={n}, c=4)", weighting="adaloss", seed=seed, scores=scores(errors, costs)
                )
            )
        for n, (error, cost) in SEPARATE.items():
            records.append(
                made_up_record(
                    network=f"resann(n={n}, c=4)", weighting="opt", seed=seed, scores=scores([0.9, error], [1, cost])
                )
            )
    return Selection(made_up_experiment(records, name="eann"))


def scores(errors, costs):
    return {"test": errors, "cumulative": costs, "alone": costs}


def at(table, curve, cost):
    """The error at the last budget that is not above a cost, for seed 1."""
    one = table[(table["curve"] == curve) & (table["seed"] == 1) & (table["cost"] <= cost)]
    return one.sort_values("cost")["error"].iloc[-1] if len(one) else None


def test_curves_by_hand(selection):
    found = eann_curves(selection, "adaloss", points=2001)
    assert found["cost"].min() == 10
    assert found["cost"].max() == pytest.approx(70)
    # exit 1 of the second member, at 40, is not adopted: 0.45 is above 0.4
    assert [at(found, CURVES[0], cost) for cost in (11, 25, 45, 70)] == [0.5, 0.4, 0.4, 0.2]
    assert [at(found, CURVES[1], cost) for cost in (15, 25, 45, 70)] == [None, 0.45, 0.45, 0.2]
    assert [at(found, CURVES[2], cost) for cost in (15, 25, 40, 70)] == [None, 0.38, 0.3, 0.18]
    # one after the other: at 18, 48 and 93, which is too late
    assert [at(found, CURVES[3], cost) for cost in (15, 25, 45, 70)] == [None, 0.38, 0.38, 0.3]


def test_one_curve_over_another():
    first = pd.DataFrame({"seed": [0, 0, 1], "cost": [1.0, 2.0, 1.0], "error": [0.5, 0.3, 0.2]})
    second = pd.DataFrame({"seed": [0, 1, 1], "cost": [2.0, 1.0, 2.0], "error": [0.2, 0.4, 0.1]})
    found = relative_curve(first, second)
    assert found[["seed", "cost"]].values.tolist() == [[0, 2], [1, 1]]
    assert found["error"].tolist() == pytest.approx([50, -50])


def test_the_inflation_is_that_of_the_ledger(selection):
    found = inflation_curves(selection, "adaloss", tolerance=5)
    largest = found.groupby("seed")["inflation"].max()
    growth = 50 / 20
    measure = measured(selection, {"name": "eann_inflation", "weighting": "adaloss", "tolerance": 0.05})
    assert largest.sub(measure).tolist() == pytest.approx([float(worst_case(growth, growth))] * 3)
    # just before 70 the answer is 0.4, as good as 0.38 (within 5.3 per cent it is not): the network of 18 is better
    strict = inflation_curves(selection, "adaloss", tolerance=6)
    assert largest[0] == pytest.approx(70 / 18, rel=0.02)
    assert strict["inflation"].max() == pytest.approx(70 / 45, rel=0.02)


def test_silence_may_count_as_a_guess(selection):
    # the EANN errs 0.5 from 10 on, 0.4 from 20, 0.2 at 70, its end; the others guess till 18, then err 0.38, then 0.3
    found = difference_if_silence_is_chance(selection, first="adaloss", second="linear_ensemble", chance=0.9)
    ours = 0.5 * math.log(20 / 10) + 0.4 * math.log(70 / 20)
    theirs = 0.9 * math.log(18 / 10) + 0.38 * math.log(48 / 18) + 0.3 * math.log(70 / 48)
    assert found.tolist() == pytest.approx([100 * (ours / theirs - 1)] * 3)


def test_the_predicted_curve_by_hand():
    found = predicted_curve([1, 2, 4], 2)
    assert found["cost"].iloc[[0, -1]].tolist() == pytest.approx([1, 7])
    # the last network starts at 3 and is ahead from internal cost 2 on: (3 + 2) / 2
    assert found["inflation"].max() == pytest.approx(2.5, rel=0.01)


def test_growth():
    assert mean_growth([10, 20, 60]) == 2.5


def test_costs_of_members(selection):
    assert member_costs(selection, "adaloss") == [20, 50]


@pytest.mark.parametrize(
    "ask",
    [
        lambda selection: eann_curves(selection, "const"),
        lambda selection: inflation_curves(selection, "const", tolerance=5),
        lambda selection: member_costs(selection, "const"),
    ],
)
def test_missing_runs_are_told(selection, ask):
    with pytest.raises(MissingRuns, match="EANN of const: expected at least two members"):
        ask(selection)


def test_runs_planned_but_not_made_are_told(made_up_record, made_up_experiment):
    unmade = [made_up_record(network=f"resann(n={n}, c=4)", weighting=w) for n in (1, 2, 3) for w in ("adaloss", "opt")]
    with pytest.raises(MissingRuns, match="no record yet"):
        eann_curves(Selection(made_up_experiment([], unmade=unmade)), "adaloss")

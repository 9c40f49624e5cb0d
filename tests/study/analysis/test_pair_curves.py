from math import log

import pytest

from anytime_study.analysis.pair_curves import CURVES, PARTS, extra_errors, gap_parts
from anytime_study.analysis.selection import Selection

SCORES = {
    ("resann(n=1, c=4)", "adaloss"): {"test": [0.5, 0.2], "cumulative": [10, 20]},
    ("resann(n=1, c=4)", "const"): {"test": [0.4, 0.3], "cumulative": [10, 20]},
    ("resann(n=2, c=4)", "const"): {"test": [0.6, 0.4, 0.1], "cumulative": [10, 30, 40]},
}


@pytest.fixture
def selection(made_up_record, made_up_experiment):
    records = [
        made_up_record(network=network, weighting=weighting, seed=seed, scores=scores)
        for (network, weighting), scores in SCORES.items()
        for seed in (0, 1)
    ]
    unmade = [made_up_record(network="resann(n=1, c=4)", weighting="adaloss", seed=2)]
    return Selection(made_up_experiment(records, unmade=unmade))


def test_extra_errors_by_hand(selection):
    found = extra_errors(selection)
    assert sorted(found["seed"].unique()) == [0, 1]
    one = found[found["seed"] == 0].set_index("curve")
    assert one.loc[CURVES[0], "cost"].tolist() == [0.5, 1.5, 2]  # of the large one, over the small one's cost
    assert one.loc[CURVES[0], "error"].tolist() == pytest.approx([200, 100, -50])
    assert one.loc[CURVES[1], "error"].tolist() == pytest.approx([150, 0])
    assert one.loc[CURVES[2], "error"].tolist() == pytest.approx([100, 50])


def test_the_parts_by_hand(selection):
    found = gap_parts(selection, [0.5, 1.0, 2.0])
    one = found[found["seed"] == 1].pivot(index="cost", columns="part", values="value")
    # at the small one's end the large one has 0.5, halfway from 0.6 to 0.4; beyond it the small ones keep their errors
    expected = {0.5: (0.5, 0.4, 0.6), 1.0: (0.2, 0.3, 0.5), 2.0: (0.2, 0.3, 0.1)}
    for cost, (ada, control, large) in expected.items():
        together, weighting, size = (one.loc[cost, part] for part in PARTS)
        assert together == pytest.approx(100 * log(ada / large))
        assert weighting == pytest.approx(100 * log(ada / control))
        assert size == pytest.approx(100 * log(control / large))
        assert together == pytest.approx(weighting + size)


def test_costs_are_those_of_the_exits(selection):
    found = gap_parts(selection)
    one = found[(found["seed"] == 0) & (found["part"] == PARTS[0])]
    assert one["cost"].tolist() == [0.5, 1.0, 1.5, 2.0]


def test_nothing_made_is_an_empty_table(made_up_record, made_up_experiment):
    selection = Selection(made_up_experiment([], unmade=[made_up_record(weighting="adaloss")]))
    assert extra_errors(selection).empty
    assert gap_parts(selection).empty

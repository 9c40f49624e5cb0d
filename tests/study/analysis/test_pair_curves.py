from math import log

import pytest

from anytime_study.analysis.pair_curves import PARTS, pairs, size_and_weighting
from anytime_study.analysis.selection import Selection
from anytime_study.runs.registries import short_name

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


def test_the_parts_by_hand_add_up(selection):
    found = size_and_weighting(selection, [0.5, 1.0, 2.0])
    assert sorted(found["seed"].unique()) == [0, 1]  # the third has no run with AdaLoss
    one = found[found["seed"] == 1].pivot(index="fraction", columns="part", values="change")
    # at the small one's end the large one has 0.5, halfway from 0.6 to 0.4; beyond it the small ones keep their errors
    expected = {0.5: (0.5, 0.4, 0.6), 1.0: (0.2, 0.3, 0.5), 2.0: (0.2, 0.3, 0.1)}
    for fraction, (ada, const, large) in expected.items():
        together, size, weighting = (one.loc[fraction, part] for part in PARTS)
        assert together == pytest.approx(100 * log(ada / large))
        assert size == pytest.approx(100 * log(const / large))
        assert weighting == pytest.approx(100 * log(ada / const))


def test_costs_are_those_of_the_exits(selection):
    found = size_and_weighting(selection)
    one = found[(found["seed"] == 0) & (found["part"] == PARTS[0])]
    assert one["fraction"].tolist() == [0.5, 1.0, 1.5, 2.0]


def test_nothing_made_is_an_empty_table(made_up_record, made_up_experiment):
    selection = Selection(made_up_experiment([], unmade=[made_up_record(weighting="adaloss")]))
    assert size_and_weighting(selection).empty


def test_pairs_are_about_twice_as_deep(made_up_record, made_up_experiment):
    planned = [(n, 16, w) for n in (7, 13) for w in ("adaloss", "const")]
    planned += [(n, c, "const") for n in (9, 17, 25) for c in (16, 32)] + [(9, 32, "adaloss"), (3, 32, "adaloss")]
    records = [made_up_record(network=f"resann(n={n}, c={c})", weighting=w) for n, c, w in planned]
    records.append(made_up_record(network="resann(n=27, c=16, s=3)", weighting="const"))
    found = pairs(Selection(made_up_experiment(records)))
    # 13: 25 and 27 are as near; the first is taken. 9 with 32 channels has 17, and 3 has none: 9 is too large
    names = [tuple(map(short_name, pair)) for pair in found]
    assert names == [("(13, 16)", "(25, 16)"), ("(9, 32)", "(17, 32)"), ("(7, 16)", "(13, 16)")]

import math

import pytest

from anytime_study.analysis.compute_saved import (
    factor_saved,
    factor_summary,
    factor_text,
    first_reached,
    pair_name,
    pairs,
    saved_table,
)
from anytime_study.analysis.selection import Selection

INF = math.inf
SMALL = {"test": [0.5, 0.3, 0.2], "cumulative": [10, 20, 40]}
LARGE = {"test": [0.6, 0.4, 0.3, 0.25], "cumulative": [10, 30, 60, 80]}


def test_first_reached_by_hand():
    costs, errors = [10, 20, 40], [0.6, 0.4, 0.2]
    assert first_reached(costs, errors, 0.7) == 10
    assert first_reached(costs, errors, 0.6) == 10
    assert first_reached(costs, errors, 0.5) == 15
    assert first_reached(costs, errors, 0.35) == pytest.approx(25)
    assert first_reached(costs, errors, 0.2) == 40
    assert first_reached(costs, errors, 0.19) == INF
    assert first_reached(costs, errors, 0.5, at_exits=True) == 20


def test_the_first_time_counts_even_if_the_curve_rises_again():
    assert first_reached([10, 20, 30], [0.5, 0.3, 0.4], 0.4) == 15
    assert first_reached([10, 20, 30, 40], [0.5, 0.3, 0.4, 0.2], 0.25) == 37.5


def test_the_factor_by_hand(made_up_record):
    small, large = made_up_record(scores=SMALL), made_up_record(scores=LARGE)
    # at 20 the small one has 0.3, the large one at 60; its whole cost is 80
    assert factor_saved(small, large, 0.5) == (3, 4)
    # at 30 it has 0.25, the large one at 80
    assert factor_saved(small, large, 0.75) == pytest.approx((80 / 30, 80 / 30))
    # at 10 it has 0.5, the large one at 20, halfway from 0.6 to 0.4
    assert factor_saved(small, large, 0.25) == pytest.approx((2, 8))
    # 0.2 is never reached
    assert factor_saved(small, large, 1) == (INF, 2)


def test_a_margin_lets_the_large_network_miss_a_little(made_up_record):
    small, large = made_up_record(scores=SMALL), made_up_record(scores=LARGE)
    assert factor_saved(small, large, 1, margin=25) == pytest.approx((2, 2))  # 0.25
    assert factor_saved(small, large, 1, margin=24)[0] == INF
    assert factor_saved(small, large, 0.5, margin=10)[0] == pytest.approx(51 / 20)  # 0.33


def test_only_finished_exits(made_up_record):
    small, large = made_up_record(scores=SMALL), made_up_record(scores=LARGE)
    # after 30 the small one's latest answer is 0.3, of 20; the large one has it at its exit at 60
    assert factor_saved(small, large, 0.75, at_exits=True) == (3, 4)
    assert factor_saved(small, large, 0.25, at_exits=True) == (3, 8)  # 0.5: the exit at 30


def test_no_answer_yet_is_refused(made_up_record):
    with pytest.raises(ValueError, match=r"fraction: expected at least 0\.25, the first exit's, found 0\.2"):
        factor_saved(made_up_record(scores=SMALL), made_up_record(scores=LARGE), 0.2)


@pytest.fixture
def selection(made_up_record, made_up_experiment):
    records = []
    for seed in range(3):
        for network, weighting, scores in [
            ("resann(n=1, c=4)", "adaloss", SMALL),
            ("resann(n=1, c=4)", "const", {**SMALL, "test": [0.5, 0.4, 0.3]}),
            ("resann(n=2, c=4)", "const", LARGE),
        ]:
            records.append(made_up_record(network=network, weighting=weighting, seed=seed, scores=scores))
    return Selection(made_up_experiment(records, name="small_against_large"))


def test_the_table_has_every_seed_and_the_control(selection):
    found = saved_table(selection, (0.5, 1.0))
    assert found["pair"].unique().tolist() == ["(1, 4) and (2, 4)"]
    assert sorted(found["seed"].unique()) == [0, 1, 2]
    by = found[found["seed"] == 1].set_index(["weighting", "fraction"])["factor"]
    # CONST: 0.4 at 20 is had at 30; 0.3 at 40 is had at 60
    assert by.to_dict() == {("adaloss", 0.5): 3, ("adaloss", 1.0): INF, ("const", 0.5): 1.5, ("const", 1.0): 1.5}


def test_pairs_are_about_twice_as_deep(made_up_record, made_up_experiment):
    planned = [(n, 16, w) for n in (7, 13) for w in ("adaloss", "const")]
    planned += [(n, c, "const") for n in (9, 17, 25) for c in (16, 32)] + [(9, 32, "adaloss"), (3, 32, "adaloss")]
    records = [made_up_record(network=f"resann(n={n}, c={c})", weighting=w) for n, c, w in planned]
    records.append(made_up_record(network="resann(n=27, c=16, s=3)", weighting="const"))
    found = pairs(Selection(made_up_experiment(records)))
    # 13: 25 and 27 are as near; the first is taken. 9 with 32 channels has 17, and 3 has none: 9 is too large
    assert [pair_name(pair) for pair in found] == [
        "(13, 16) and (25, 16)",
        "(9, 32) and (17, 32)",
        "(7, 16) and (13, 16)",
    ]


# --- several seeds -------------------------------------------------------------------------------------------------


def test_all_known_is_a_geometric_mean():
    found = factor_summary([1, 2, 4], limit=5)
    # logarithms to base 2: 0, 1, 2; standard error 1 / √3, t = 4.3027
    half = 4.30265 / math.sqrt(3)
    assert (found.centre, found.low, found.high) == pytest.approx((2, 2 ** (1 - half), 2 ** (1 + half)), rel=1e-4)
    assert (found.unknown, found.coverage) == (0, 0.95)
    assert factor_text([1, 2, 4], 5) == "2.00 [0.36, 11.19]"
    assert factor_text([1.5], 5) == "1.50"


def test_one_unknown_is_a_median():
    found = factor_summary([1.5, INF, 1.1, 1.3, 1.2], limit=2)
    assert (found.centre, found.low, found.high, found.unknown) == (1.3, 1.1, INF, 1)
    assert factor_text([1.5, INF, 1.1, 1.3, 1.2], 2) == "median 1.30 [1.10, > 2.00], 94%"


def test_more_than_half_unknown_has_a_bound_only():
    assert factor_text([INF, INF, 1.1, INF, 1.2], 2) == "median > 2.00 [1.10, > 2.00], 94%"
    assert factor_text([INF], 2) == "> 2.00"


def test_half_unknown_claims_no_more_than_is_known():
    # the middle two are 1.4 and unknown: the median is at least 1.7, not at least 2
    assert factor_text([1.2, 1.4, INF, INF], 2) == "median > 1.70 [1.20, > 2.00], 88%"


def test_a_known_factor_above_the_limit_is_refused():
    with pytest.raises(ValueError, match=r"factors: expected none above the limit 2, found 2\.5"):
        factor_summary([2.5, INF], limit=2)

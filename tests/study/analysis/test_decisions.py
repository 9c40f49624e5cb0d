import warnings

import numpy as np
import pytest
from scipy import stats

from anytime_study.analysis import decisions
from anytime_study.analysis.decisions import Evidence, all_parts, evidence, under_each

VALUES = [1.0, 2.0, 6.0]  # mean 3, standard error √(7/3) = 1.5275

# Five values with mean 0, whose t interval is mean ± 2.776 · 0.7071 = ± 1.963; t(4) of a mean m is m / 0.7071
SPREAD = [-2.0, -1.0, 0.0, 1.0, 2.0]


def around(mean, scale=1.0):
    return [mean + scale * value for value in SPREAD]


def test_p_by_hand():
    # t(2) has P(|T| > t) = 1 - t / √(t² + 2); here t = 3 / √(7/3), t² = 27/7
    t_squared = 27 / 7
    two_sided = 1 - (t_squared / (t_squared + 2)) ** 0.5
    assert evidence(VALUES, "above") == Evidence(pytest.approx(two_sided), 1, 1)
    assert evidence(VALUES, "below") == Evidence(1, pytest.approx(two_sided), 1)
    assert evidence([value + 5 for value in VALUES], "above", threshold=5).claimed == pytest.approx(two_sided)


@pytest.mark.parametrize("margin", [0.5, 3.0, 4.0, 20.0])
def test_equivalence_is_scipys_two_one_sided_tests(margin):
    above = stats.ttest_1samp(VALUES, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(VALUES, margin, alternative="less").pvalue
    assert evidence(VALUES, "within", margin=margin).claimed == pytest.approx(max(above, below))
    assert evidence(VALUES, "above", delta=margin).small == pytest.approx(max(above, below))
    assert evidence([v + 7 for v in VALUES], "above", threshold=7, delta=margin).small == pytest.approx(
        max(above, below)
    )


@pytest.mark.parametrize(
    ("decision", "mean", "effect"),
    [
        # two-sided t test at 0.05: significant from 1.963 away from the threshold
        ({"kind": "below"}, -2.0, "shown as claimed"),
        ({"kind": "below"}, -1.9, "undecided"),
        ({"kind": "below"}, 1.9, "undecided"),
        ({"kind": "below"}, 2.0, "shown opposite"),
        ({"kind": "above"}, 2.0, "shown as claimed"),
        ({"kind": "above"}, -2.0, "shown opposite"),
        ({"kind": "above", "threshold": 10}, 12.0, "shown as claimed"),
        ({"kind": "above", "threshold": 10}, 8.0, "shown opposite"),
        # one-sided twice at 0.05: t = 2.132, so 1.507 inside of margin or delta; beyond a margin: two-sided, 1.963
        ({"kind": "below", "delta": 3}, -1.4, "no effect as large as δ"),
        ({"kind": "below", "delta": 3}, -1.6, "undecided"),
        ({"kind": "below", "delta": 3}, 1.4, "no effect as large as δ"),
        ({"kind": "below", "delta": 9}, -2.0, "shown as claimed"),  # small as well, but shown
        ({"kind": "within", "margin": 5}, 3.4, "shown as claimed"),
        ({"kind": "within", "margin": 5}, 3.6, "undecided"),
        ({"kind": "within", "margin": 5}, 6.9, "undecided"),
        ({"kind": "within", "margin": 5}, 7.0, "shown opposite"),
        ({"kind": "within", "margin": 5}, -7.0, "shown opposite"),
    ],
)
def test_decisions_by_hand(decision, mean, effect):
    assert evidence(around(mean), **decision).effect == effect


def test_equal_values_leave_no_doubt_and_give_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert evidence([2.0] * 4, "above").effect == "shown as claimed"
        assert evidence([2.0, 2.0, 2.0 + 4e-16], "below").effect == "shown opposite"
        assert evidence([2.0] * 4, "above", threshold=2.0).effect == "undecided"
        assert evidence([0.0] * 5, "below") == Evidence(1, 1, 1)


@pytest.mark.parametrize("values", [[1.0], [], [1.0, np.nan], [1.0, np.inf]])
def test_values_without_a_spread_are_refused(values):
    with pytest.raises(ValueError, match="values: expected at least 2 finite numbers"):
        evidence(values, "below")


def test_protocols_must_all_show_it_and_parts_too_but_one_part_refutes():
    good, bad, none = Evidence(0.01, 1, 1), Evidence(1, 0.02, 1), Evidence(0.3, 1, 0.02)
    assert under_each([good, good]).effect == all_parts([good, good]).effect == "shown as claimed"
    assert under_each([good, bad]) == Evidence(1, 1, 1)
    assert all_parts([good, bad]) == Evidence(1, 0.04, 1)
    assert all_parts([good, bad]).effect == "shown opposite"
    assert all_parts([good, none]) == Evidence(0.3, 1, 0.04)
    assert all_parts([good]) == under_each([good]) == good


@pytest.mark.parametrize(
    ("mean", "effect", "judge", "most"),
    [
        # half of the level lies on each side
        (0, "shown as claimed", lambda row: evidence(row, "below"), 0.025),
        (0, "shown opposite", lambda row: evidence(row, "below"), 0.025),
        (5, "shown as claimed", lambda row: evidence(row, "within", margin=5), 0.05),
        (5, "shown opposite", lambda row: evidence(row, "within", margin=5), 0.05),
        (5, "no effect as large as δ", lambda row: evidence(row, "below", delta=5), 0.05),
        # the hardest case of an intersection-union test: one part holds for sure, the other not at all
        (0, "shown as claimed", lambda row: all_parts([evidence(row - 50, "below"), evidence(row, "above")]), 0.05),
    ],
)
def test_errors_of_the_first_kind_are_as_rare_as_the_level(mean, effect, judge, most):
    draws = np.random.default_rng(0).normal(mean, 1, (400, 5))
    share = np.mean([judge(row).effect == effect for row in draws])
    assert share < most + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_the_code_is_the_one_that_the_records_know():
    """Whoever changes it, after runs have been counted, amends every claim: then this line changes with it."""
    assert decisions.code_digest().startswith("291b07d6cd72")

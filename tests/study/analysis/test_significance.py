import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from anytime_study.analysis.significance import beyond_test, equivalence_test, holm, t_test

VALUES = [1.0, 2.0, 6.0]  # mean 3, standard error √(7/3) = 1.5275

# --- t test --------------------------------------------------------------------------------------------------------


def test_t_test_by_hand():
    # t(2) has P(|T| > t) = 1 - t / √(t² + 2); here t = 3 / √(7/3), t² = 27/7
    t_squared = 27 / 7
    two_sided = 1 - (t_squared / (t_squared + 2)) ** 0.5
    assert t_test(VALUES) == pytest.approx(two_sided)
    assert t_test(VALUES, alternative="greater") == pytest.approx(two_sided / 2)
    assert t_test(VALUES, alternative="less") == pytest.approx(1 - two_sided / 2)
    assert t_test(VALUES, 3.0) == pytest.approx(1)
    assert t_test([value + 5 for value in VALUES], 5.0) == pytest.approx(two_sided)


@pytest.mark.parametrize(
    ("threshold", "alternative", "p"),
    [
        (1.0, "two-sided", 0), (3.0, "two-sided", 0), (2.0, "two-sided", 1),
        (1.0, "greater", 0), (1.0, "less", 1), (3.0, "greater", 1), (3.0, "less", 0),
        (2.0, "greater", 1), (2.0, "less", 1),
    ],
)  # fmt: skip
def test_equal_values_leave_no_doubt_and_give_no_warning(threshold, alternative, p):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert t_test([2.0] * 4, threshold, alternative=alternative) == p
        assert t_test([2.0, 2.0, 2.0 + 4e-16], threshold, alternative=alternative) == p


def test_equal_values_of_zero_are_not_away_from_zero():
    assert t_test([0.0, 0.0, 0.0]) == 1


@pytest.mark.parametrize("test", [t_test, lambda values: equivalence_test(values, 1), lambda v: beyond_test(v, 1)])
@pytest.mark.parametrize(("values", "message"), [([1.0], "expected at least 2, found 1"), ([1.0, np.nan], "finite")])
def test_values_without_a_spread_are_refused(test, values, message):
    with pytest.raises(ValueError, match=message):
        test(values)


# --- equivalence ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", [0.5, 3.0, 4.0, 20.0])
def test_equivalence_is_scipys_two_one_sided_tests(margin):
    above = stats.ttest_1samp(VALUES, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(VALUES, margin, alternative="less").pvalue
    assert equivalence_test(VALUES, margin) == pytest.approx(max(above, below))
    assert equivalence_test([-value for value in VALUES], margin) == pytest.approx(max(above, below))


def test_equivalence_by_hand():
    # mean 0, standard error 1/√3; t(2) = 5√3 to either side; P(T > t) = (1 - t / √(t² + 2)) / 2
    assert equivalence_test([-1.0, 0.0, 1.0], 5) == pytest.approx((1 - (75 / 77) ** 0.5) / 2)


def test_a_mean_beyond_the_margin_is_not_equivalent_but_beyond():
    values = [7.0, 8.0, 9.0]
    assert equivalence_test(values, 5) > 0.95
    assert beyond_test(values, 5) == pytest.approx(stats.ttest_1samp(values, 5, alternative="greater").pvalue)
    assert beyond_test([-value for value in values], 5) == pytest.approx(beyond_test(values, 5))
    assert beyond_test([-1.0, 0.0, 2.0], 5) > 0.95


@pytest.mark.parametrize("test", [equivalence_test, beyond_test])
@pytest.mark.parametrize("margin", [0, -1])
def test_a_margin_is_above_zero(test, margin):
    with pytest.raises(ValueError, match=f"margin: expected above 0, found {margin}"):
        test(VALUES, margin)


# --- Holm ----------------------------------------------------------------------------------------------------------


def test_holm_by_hand():
    # sorted 0.01 0.02 0.03 0.04 times 4 3 2 1: 0.04 0.06 0.06 0.04, and none below the one before it
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.01, 0.01]) == pytest.approx([0.02, 0.02])
    assert holm([0.6, 0.7]) == pytest.approx([1, 1])
    assert holm([0.3]) == pytest.approx([0.3])
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_none_and_bonferroni(p_values):
    adjusted, p = holm(p_values), np.array(p_values)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, len(p) * p)).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_holm_takes_probabilities(p):
    with pytest.raises(ValueError, match="p_values: expected from 0 to 1"):
        holm([0.5, p])

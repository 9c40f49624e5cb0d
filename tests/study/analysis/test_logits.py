import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from anytime_core.errors import InputError
from anytime_core.inference.thresholds import confidences, exits_taken, fit_thresholds
from anytime_study.analysis.logits import answer_changes, budgeted_curve, calibration_table

COSTS = [1.0, 2.0, 4.0, 7.0]


def random_logits(seed, exits=4, number=200, classes=5):
    """Random, surer from exit to exit; labels that the later exits hit more often."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=number)
    signal = np.eye(classes)[labels] * np.linspace(1, 3, exits)[:, None, None]
    return (signal + generator.normal(size=(exits, number, classes))).astype(np.float32), labels


def test_changes_by_hand():
    right = np.array(  # five images at three exits
        [[1, 1, 0, 0, 1], [1, 0, 1, 0, 0], [1, 1, 0, 0, 0]], dtype=bool
    )
    found = answer_changes(np.where(right[..., None], [1.0, 0.0], [0.0, 1.0]), np.zeros(5, dtype=int))
    assert found["overthinking"] == pytest.approx(2 / 5)  # images 3 and 5
    assert found["never_right"] == pytest.approx(1 / 5)  # 4


@given(st.integers(0, 1000))
def test_changes_explain_the_last_error(seed):
    generator = np.random.default_rng(seed)
    logits, labels = generator.normal(size=(4, 30, 3)), generator.integers(3, size=30)
    found = answer_changes(logits, labels)
    assert found["never_right"] + found["overthinking"] == pytest.approx((logits[-1].argmax(-1) != labels).mean())


def test_the_curve_goes_from_the_first_exit_to_the_last():
    (validation, _), (test, labels) = random_logits(1), random_logits(2, number=300)
    curve = budgeted_curve(validation, test, labels, COSTS, budgets=4)
    budgeted, anytime = (curve[curve["setting"] == name] for name in ("budgeted", "anytime"))
    errors = (test.argmax(-1) != labels).mean(1)
    assert anytime["mean_macs"].tolist() == COSTS
    assert anytime["error"].tolist() == pytest.approx(errors)
    assert budgeted["error"].iloc[[0, -1]].tolist() == pytest.approx(errors[[0, -1]])
    assert budgeted["mean_macs"].tolist() == pytest.approx([1, 3, 5, 7], abs=0.4)  # other images than the fitted ones
    taken = exits_taken(confidences(test), fit_thresholds(validation, COSTS, 3)).numpy()
    assert budgeted["mean_macs"].iloc[1] == pytest.approx(np.array(COSTS)[taken].mean())
    assert budgeted["error"].iloc[1] == pytest.approx(np.mean(test[taken, np.arange(300)].argmax(-1) != labels))


def test_test_labels_move_no_threshold():
    (validation, _), (test, labels) = random_logits(1), random_logits(2)
    one, other = (budgeted_curve(validation, test, some, COSTS) for some in (labels, (labels + 1) % 5))
    assert len(one) == 44
    assert one["mean_macs"].tolist() == other["mean_macs"].tolist()
    assert one["error"].tolist() != other["error"].tolist()


def test_the_table_of_calibration():
    (validation, validation_labels), (test, labels) = random_logits(1, number=5000), random_logits(2, number=5000)
    table = calibration_table(3 * validation, validation_labels, 3 * test, labels)
    assert table.index.tolist() == [1, 2, 3, 4]
    assert (table["nll_after"][:3] < table["nll_before"][:3]).all()  # the last one was calibrated by chance
    assert (table["ece_after"][:3] < table["ece_before"][:3] / 2).all()
    scaled = log_softmax(3 * test[0] / table.loc[1, "temperature"], -1)
    assert table.loc[1, "nll_after"] == pytest.approx(-scaled[np.arange(5000), labels].mean(), rel=1e-5)


def test_bad_input():
    logits, labels = random_logits(0)
    for call in (
        lambda: answer_changes(logits[0], labels),
        lambda: budgeted_curve(logits[:2], logits, labels, COSTS),
        lambda: calibration_table(logits, labels, logits, labels[:2]),
    ):
        with pytest.raises(InputError):
            call()

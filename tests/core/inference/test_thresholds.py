import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anytime_core import exit_logits, fit_non_inferior_thresholds, fit_thresholds
from anytime_core.errors import InputError
from anytime_core.inference.thresholds import confidences, exits_taken, geometric_shares
from tests.core.inference.networks import SHAPE, adopted, two_resanns
from tests.core.on_device import on_device, randn

COSTS = [1.0, 2.0, 4.0]


def logits_of(confidence, right=None):
    """Two-class logits with these largest probabilities [K, N], for the class 0 where ``right``, else for 1."""
    confidence = np.asarray(confidence, dtype=float)
    odds = np.log(confidence / (1 - confidence))
    logits = np.stack([odds, np.zeros_like(odds)], -1)
    return logits if right is None else np.where(np.asarray(right)[..., None], logits, logits[..., ::-1])


def random_logits(seed, exits=4, number=200, classes=5):
    """Random, surer from exit to exit; labels that the later exits hit more often."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=number)
    signal = np.eye(classes)[labels] * np.linspace(1, 3, exits)[:, None, None]
    return (signal + generator.normal(size=(exits, number, classes))).astype(np.float32), labels


def mean_cost(logits, thresholds, costs):
    return np.asarray(costs)[exits_taken(confidences(logits), thresholds).numpy()].mean()


# --- by hand -------------------------------------------------------------------------------------------------------


def test_geometric_shares_by_hand():
    # q = 2: shares 1/7, 2/7, 4/7, mean cost (1 + 4 + 16) / 7 = 3
    assert geometric_shares(COSTS, 3) == pytest.approx([1 / 7, 2 / 7, 4 / 7])
    # q = 1/2: shares 4/7, 2/7, 1/7, mean cost 12 / 7
    assert geometric_shares(COSTS, 12 / 7) == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    assert geometric_shares(COSTS, 1) == pytest.approx([1, 0, 0])
    assert geometric_shares(COSTS, [4, 1e9]).numpy() == pytest.approx(np.array([[0, 0, 1], [0, 0, 1]]))
    assert geometric_shares([5.0], 5).tolist() == [1]


def test_thresholds_for_a_budget_by_hand():
    # seven images; at a mean cost of 3, one leaves at exit 1, two at exit 2, four at exit 3
    first = [0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65]
    second = [0.99, 0.6, 0.9, 0.6, 0.8, 0.6, 0.7]  # the surest one is gone
    thresholds = fit_thresholds(logits_of([first, second, [0.6] * 7]), COSTS, 3)
    assert thresholds == pytest.approx([0.925, 0.75])  # half-way between those who leave and those who stay
    confidence = torch.tensor([first, second, [0.6] * 7])
    assert exits_taken(confidence, thresholds).tolist() == [0, 2, 1, 2, 1, 2, 2]
    assert exits_taken(confidence, [0.95, 0.9]).tolist() == [0, 2, 1, 2, 2, 2, 2]  # as sure as the threshold leaves


def test_equal_confidences_leave_together_and_the_budget_is_kept():
    logits = logits_of([[0.9, 0.8, 0.8, 0.8, 0.6, 0.6], [0.9] * 6])
    thresholds = fit_thresholds(logits, [1.0, 2.0], 1 + 4 / 6)  # two of six are to leave
    assert thresholds == pytest.approx([0.7])
    assert mean_cost(logits, thresholds, [1, 2]) == pytest.approx(1 + 2 / 6)


def test_non_inferior_geometric_thresholds_are_the_cheapest_that_keep_the_error():
    confidence = [[0.95, 0.9, 0.8, 0.7], [0.6, 0.6, 0.6, 0.6]]
    logits = logits_of(confidence, [[True, False, True, False], [True, True, True, False]])
    labels = np.zeros(4, dtype=int)
    assert fit_non_inferior_thresholds(logits, labels, [1, 2]) == pytest.approx([0.925])
    assert fit_non_inferior_thresholds(logits, labels, [1, 2], 25).tolist() == [0]


def test_one_exit():
    logits = logits_of([[0.8, 0.9]])
    assert fit_thresholds(logits, [3], 3).shape == (0,)
    assert fit_non_inferior_thresholds(logits, [0, 1], [3]).shape == (0,)


def test_temperatures_are_used():
    # odds of 9 at T = 2 are odds of 3
    assert confidences(logits_of([[0.9], [0.9]]), [1, 2])[:, 0].tolist() == pytest.approx([0.9, 0.75])
    logits = logits_of([[0.9, 0.8], [0.9, 0.9]])
    warm = fit_thresholds(logits, [1, 2], 1.5, temperatures=2)[0]
    assert warm == pytest.approx((0.75 + 2 / 3) / 2)


# --- logits --------------------------------------------------------------------------------------------------------


def test_logits_of_the_exits_that_answer():
    net, inputs = on_device(adopted(two_resanns())).train(), randn(5, *SHAPE)
    labels = torch.arange(5)
    logits, found = exit_logits(net, [(inputs[:2], labels[:2]), (inputs[2:], labels[2:])])
    assert (net.training, logits.device.type, logits.dtype) == (True, "cpu", torch.float32)
    assert torch.equal(found, labels)
    with torch.inference_mode():
        expected = net.eval()(inputs)[[0, 1, 4, 6, 7]]
    torch.testing.assert_close(logits, expected.cpu(), rtol=1e-4, atol=1e-5)
    for others in (labels.int(), labels.tolist()):
        found = exit_logits(net, [(inputs, others)])[1]
        assert (found.dtype, found.tolist()) == (torch.int64, labels.tolist())


# --- laws ----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 1000), st.floats(0, 1))
def test_geometric_shares_meet_the_budget(seed, position):
    costs = np.random.default_rng(seed).uniform(0.1, 2, size=5).cumsum()
    budget = costs[0] + position * (costs[-1] - costs[0])
    shares = geometric_shares(costs, budget).numpy()
    assert shares.sum() == pytest.approx(1)
    assert shares @ costs == pytest.approx(budget)
    if 0.01 < position < 0.99:  # nearer to an end, shares are lost in rounding
        ratios = shares[1:] / shares[:-1]
        assert ratios == pytest.approx(ratios[0])


@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0, 1))
def test_a_budget_is_kept_and_a_larger_one_never_lets_images_leave_earlier(seed, one, other):
    logits, _ = random_logits(seed)
    costs = np.array([1.0, 2, 4, 7])
    small, large = (1 + 6 * position for position in sorted((one, other)))
    low, high = (fit_thresholds(logits, costs, budget) for budget in (small, large))
    spent = [mean_cost(logits, thresholds, costs) for thresholds in (low, high)]
    assert spent[0] <= small * (1 + 1e-6)
    assert small - spent[0] <= 6 / 200 * 4  # no more than the rounding at each exit
    assert spent[0] <= spent[1] <= large * (1 + 1e-6)
    assert low[0] <= high[0]
    left = [np.bincount(exits_taken(confidences(logits), t), minlength=4).cumsum() for t in (low, high)]
    assert (left[0] >= left[1]).all()


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_non_inferior_thresholds_keep_the_error_and_a_margin_makes_them_cheaper(seed):
    logits, labels = random_logits(seed, number=60)
    confidence, wrong = confidences(logits), logits.argmax(-1) != labels
    spent = []
    for margin in (0, 3, 100):
        taken = exits_taken(confidence, fit_non_inferior_thresholds(logits, labels, [1, 2, 3, 4], margin)).numpy()
        assert wrong[taken, np.arange(60)].mean() <= wrong[-1].mean() + margin / 100 + 1e-9
        spent.append(taken.mean())
    assert spent[0] >= spent[1] >= spent[2] == 0


@pytest.mark.parametrize(
    "fit", [lambda x, _: fit_thresholds(x, [1, 2, 3, 4], 2.5), lambda *x: fit_non_inferior_thresholds(*x, [1, 2, 3, 4])]
)
def test_the_default_device_does_not_matter(fit):
    expected = fit(*random_logits(0))
    with torch.device("meta"):
        assert torch.equal(fit(*random_logits(0)), expected)


# --- refusals ------------------------------------------------------------------------------------------------------

LOGITS, LABELS = random_logits(0, exits=3, number=10)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        *[
            (lambda budget=budget: fit_thresholds(LOGITS, COSTS, budget), "budget_macs")
            for budget in (0.9, math.nan, None)
        ],
        *[
            (lambda costs=costs: fit_thresholds(LOGITS, costs, 2), "costs")
            for costs in ([1, 2], [1, 2, 2], [1, 2, math.inf], None, "abc")
        ],
        *[
            (lambda logits=logits: fit_thresholds(logits, COSTS, 2), "logits")
            for logits in (LOGITS[0], LOGITS * math.nan, LOGITS[:, :0])
        ],
        *[
            (lambda labels=labels: fit_non_inferior_thresholds(LOGITS, labels, COSTS), "labels")
            for labels in (LABELS[:3], LABELS + 5, LABELS / 2)
        ],
        (lambda: fit_non_inferior_thresholds(LOGITS, LABELS, COSTS, -1), "margin_points"),
        (lambda: exits_taken(confidences(LOGITS), [0.5]), "thresholds"),
        (lambda: exit_logits(two_resanns(), []), "batches"),
        *[
            (lambda labels=labels: exit_logits(on_device(two_resanns()), [(randn(2, *SHAPE), labels)]), "labels")
            for labels in (torch.zeros(2, 2).long(), torch.zeros(2), torch.zeros(3).long())
        ],
        (lambda: exit_logits(torch.nn.Linear(2, 2), []), "net"),
    ],
)
def test_bad_input(call, field):
    with pytest.raises(InputError, match=f"^{field}: "):
        call()

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anytime_core.weighting.base import BadLoss
from anytime_core.weighting.static import const, half_end, linear, opt, sieve
from anytime_study.runs.weightings import exponential


@given(st.lists(st.floats(0, 100, width=32), min_size=1, max_size=20))
def test_const_is_the_plain_sum_in_value_and_gradient(values):
    losses = torch.tensor(values, requires_grad=True)
    objective = const(len(values))(losses)
    torch.testing.assert_close(objective, losses.sum())
    objective.backward()
    assert torch.equal(losses.grad, torch.ones(len(values)))


@pytest.mark.parametrize(
    ("num_exits", "weights"),
    [
        (1, [1]),
        (2, [0.25, 1]),
        (3, [0.25, 0.625, 1]),
        (4, [0.25, 0.5, 0.75, 1]),
        (8, [0.25, 0.3571, 0.4643, 0.5714, 0.6786, 0.7857, 0.8929, 1]),
    ],
)
def test_linear_by_hand(num_exits, weights):
    assert linear(num_exits).weights.tolist() == pytest.approx(weights, abs=5e-5)


@pytest.mark.parametrize(("num_exits", "weights"), [(1, [1]), (2, [1, 1]), (3, [0.5, 0.5, 1]), (8, [1 / 7] * 7 + [1])])
def test_half_end_by_hand(num_exits, weights):
    assert half_end(num_exits).weights.tolist() == pytest.approx(weights)


@pytest.mark.parametrize(
    ("num_exits", "weights"),
    [
        (1, [1]),
        (2, [1, 1]),
        (3, [2 / 3, 1 / 3, 1]),
        (8, [1 / 11, 2 / 11, 1 / 11, 3 / 11, 1 / 11, 2 / 11, 1 / 11, 1]),
        (15, [0.08, 0.04, 0.12, 0.04, 0.08, 0.04, 0.16, 0.04, 0.08, 0.04, 0.12, 0.04, 0.08, 0.04, 1]),
    ],
)
def test_sieve_by_hand(num_exits, weights):
    assert sieve(num_exits).weights.tolist() == pytest.approx(weights)


@pytest.mark.parametrize(
    ("num_exits", "base", "weights"),
    [
        (1, 2.0, [1]),
        (4, 2.0, [1 / 8, 1 / 4, 1 / 2, 1]),
        (3, 0.5, [1, 1 / 2, 1 / 4]),
        (3, 1.0, [1, 1, 1]),
        (127, 2.0, [2.0**-i for i in range(126, -1, -1)]),
    ],
)
def test_exponential_by_hand(num_exits, base, weights):
    assert exponential(num_exits, base).weights.tolist() == weights


@pytest.mark.parametrize("base", [2.0, 0.5])
def test_exponential_refuses_weights_that_vanish(base):
    with pytest.raises(
        ValueError, match=r"expected weights of 2\^-126 or more, found 2\^-127 for base .* and 128 exits"
    ):
        exponential(128, base)


@pytest.mark.parametrize(
    ("exit_number", "weights"), [(1, [1, 0, 0]), (2, [0, 1, 0]), (3, [0, 0, 1]), (None, [0, 0, 1])]
)
def test_opt_picks_one_exit_counted_from_one(exit_number, weights):
    weigh = opt(3, exit_number)
    assert weigh.weights.tolist() == weights
    losses = torch.tensor([2.0, 3.0, 5.0], requires_grad=True)
    objective = weigh(losses)
    assert objective.item() == [2, 3, 5][(exit_number or 3) - 1]
    objective.backward()
    assert losses.grad.tolist() == weights


@pytest.mark.parametrize("exit_number", [0, -1, 4, 99])
def test_opt_refuses_an_exit_that_is_not_there(exit_number):
    with pytest.raises(ValueError, match=rf"opt exit: expected 1 to 3, found {exit_number}"):
        opt(3, exit_number)


@pytest.mark.parametrize("make", [const, linear, opt, half_end, sieve, exponential])
def test_static_weights_are_all_the_state_and_stay_as_they_are(make):
    weigh = make(3)
    before = weigh.weights.clone()
    for step in range(5):
        weigh(torch.tensor([3.0, 2.0, 1.0]) / (step + 1))
    assert torch.equal(weigh.weights, before)
    assert list(weigh.state_dict()) == ["weights"]


def test_weights_that_vanish_do_not_hide_a_bad_loss():
    with pytest.raises(BadLoss) as caught:
        opt(2)(torch.tensor([float("inf"), 1.0]))
    assert caught.value.exit == 1
    copied = copy.copy(caught.value)  # by the way of pickling, as between processes
    assert (str(copied), copied.exit) == (str(caught.value), 1)

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anytime_core.weighting.static import const, linear, opt


@given(st.lists(st.floats(0, 100, width=32), min_size=1, max_size=20))
def test_const_is_the_plain_sum_in_value_and_gradient(values):
    losses = torch.tensor(values, requires_grad=True)
    objective = const(len(values))(losses)
    assert torch.equal(objective, losses.sum())
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


def test_opt_of_a_network_with_one_exit():
    assert opt(1).weights.tolist() == opt(1, 1).weights.tolist() == [1]


@pytest.mark.parametrize("exit_number", [0, -1, 4, 99])
def test_opt_refuses_an_exit_that_is_not_there(exit_number):
    with pytest.raises(ValueError, match=rf"opt exit: expected 1 to 3, found {exit_number}"):
        opt(3, exit_number)


@pytest.mark.parametrize("make", [const, linear, opt])
@pytest.mark.parametrize("num_exits", [0, -2])
def test_at_least_one_exit(make, num_exits):
    with pytest.raises(ValueError, match=rf"num_exits: expected at least 1, found {num_exits}"):
        make(num_exits)


@pytest.mark.parametrize("make", [const, linear, opt])
def test_static_weights_stay_as_they_are_in_training(make):
    weigh = make(3)
    before = weigh.weights.clone()
    for step in range(5):
        weigh(torch.tensor([3.0, 2.0, 1.0]) / (step + 1))
    assert torch.equal(weigh.weights, before)
    assert list(weigh.state_dict()) == ["weights"]

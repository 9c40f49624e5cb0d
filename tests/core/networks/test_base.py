import pytest
import torch
from torch import nn

from anytime_core import AnytimeNetwork
from anytime_core.networks.base import exit_units


class Add(nn.Module):
    def __init__(self, amount):
        super().__init__()
        self.amount = amount

    def forward(self, x):
        return x + self.amount


def test_segments_run_in_a_row_and_each_head_reads_its_own_state():
    net = AnytimeNetwork([Add(1), Add(10), Add(100)], [nn.Identity(), Add(0.5), nn.Flatten()])
    logits = net(torch.zeros(2, 4))
    assert net.num_exits == 3
    assert logits.shape == (3, 2, 4)
    assert logits[:, 0, 0].tolist() == [1, 11.5, 111]


@pytest.mark.parametrize("last_exit", [0, -1, 3])
def test_a_last_exit_that_there_is_not_is_refused(last_exit):
    net = AnytimeNetwork([Add(1), Add(10)], [nn.Identity(), nn.Identity()])
    assert len(net(torch.zeros(2, 4), last_exit=1)) == 1
    with pytest.raises(ValueError, match=rf"^last_exit: expected 1 to 2, found {last_exit}"):
        net(torch.zeros(2, 4), last_exit=last_exit)


class Product(nn.Module):
    def forward(self, inputs):
        return [inputs[0] * inputs[1], inputs[0]]


class Swap(nn.Module):
    def forward(self, state):
        return state[::-1]


class First(nn.Module):
    def forward(self, state):
        return state[0]


def test_several_inputs_come_as_a_tuple_and_the_state_is_whatever_the_segments_agree_on():
    net = AnytimeNetwork([Product(), Swap()], [First(), First()])
    one, other = torch.full((2, 3), 2.0), torch.full((2, 3), 5.0)
    assert net(one, other)[:, 0, 0].tolist() == [10, 2]


@pytest.mark.parametrize(("segments", "heads"), [(0, 0), (2, 1), (1, 2), (0, 1)])
def test_there_are_as_many_heads_as_segments(segments, heads):
    with pytest.raises(ValueError, match=r"^segments and heads: "):
        AnytimeNetwork([Add(1)] * segments, [Add(1)] * heads)


@pytest.mark.parametrize(
    ("arguments", "exits"),
    [((6, 1), [1, 2, 3, 4, 5, 6]), ((6, 4), [2, 6]), ((7, 3), [1, 4, 7]), ((7, 3, 2), [4, 7]), ((5, 5), [5])],
)
def test_exits_are_counted_back_from_the_last_unit(arguments, exits):
    assert exit_units(*arguments) == exits


@pytest.mark.parametrize(("arguments", "name"), [((6, 0), "s"), ((6, 7), "s"), ((6, 1, 7), "first_exit")])
def test_exits_out_of_range_are_refused(arguments, name):
    with pytest.raises(ValueError, match=f"^{name}: .* 1 to 6"):
        exit_units(*arguments)

import pytest
import torch
from torch import nn

from anytime_core import EANN, AnytimeNetwork, ResANN, exit_costs


class Constant(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return torch.full((len(x), 2), float(self.value))


def constant_member(*values):
    """A network whose exits answer these values whatever the image."""
    return AnytimeNetwork([nn.Identity() for _ in values], [Constant(value) for value in values])


def answers(net):
    return net(torch.zeros(1, 1, 2, 2))[:, 0, 0].tolist()


@pytest.mark.parametrize(
    ("errors", "adopted"),
    [
        (None, [True] * 5),
        ([0.5, 0.4, 0.45, 0.4, 0.3], [True, True, False, False, True]),  # as good as the best is not better
        ([0.1, 0.2, 0.3, 0.4, 0.5], [True, False, False, False, False]),
        ([5, 4, 3, 2, 1], [True] * 5),
        ([0.0] * 5, [True, False, False, False, False]),
    ],
)
def test_an_exit_is_adopted_if_it_beats_the_best_so_far_and_repeats_that_if_it_does_not(errors, adopted):
    net = EANN([constant_member(1, 2), constant_member(3), constant_member(4, 5)])
    if errors is not None:
        net.adopt(errors)
    assert net.adopted.tolist() == adopted
    best_so_far = [max(k for k in range(1, last + 1) if adopted[k - 1]) for last in range(1, 6)]
    assert answers(net.eval()) == best_so_far
    assert answers(net.train()) == [1, 2, 3, 4, 5]  # each exit learns from its own logits
    assert net.answering_exits == tuple(k for k in range(1, 6) if adopted[k - 1])
    if errors is not None:
        net.adopt([errors[k - 1] for k in best_so_far])  # the errors of the answers lead to the same choice
        assert net.adopted.tolist() == adopted


def test_layers_are_the_members_own():
    members = [ResANN(n=n, c=4, s=2).eval() for n in (1, 2)]
    net = EANN(members).eval()
    images = torch.randn(3, 3, 8, 8)
    assert torch.equal(net(images), torch.cat([member(images) for member in members]))
    assert set(net.parameters()) == {parameter for member in members for parameter in member.parameters()}


def test_costs_by_hand():
    net = EANN(
        AnytimeNetwork(
            [nn.Flatten(), *(nn.Linear(12, 12, bias=False) for _ in range(exits - 1))],
            [nn.Linear(12, 2) for _ in range(exits)],
        )
        for exits in (2, 3)
    )
    costs = exit_costs(net, (3, 2, 2))
    head, layer = 12 * 2, 12 * 12
    first = 2 * head + layer  # the first member, finished
    assert costs.macs_fixed == (head, layer + head, head, layer + head, 2 * layer + head)
    assert costs.macs_cumulative == (head, first, first + head, first + layer + 2 * head, first + 2 * layer + 3 * head)
    bias = 2
    assert costs.parameters_fixed == tuple(macs + bias for macs in costs.macs_fixed)
    assert costs.parameters_cumulative == tuple(m + bias * k for k, m in enumerate(costs.macs_cumulative, start=1))


MEMBERS = {"none": [], "an EANN": [EANN([ResANN(n=1, c=4)]), ResANN(n=1, c=4)], "a layer": [nn.Linear(2, 2)]}


@pytest.mark.parametrize("members", MEMBERS.values(), ids=MEMBERS)
def test_members_are_single_networks(members):
    with pytest.raises(ValueError, match=r"^EANN members: "):
        EANN(members)


@pytest.mark.parametrize("errors", [[0.1], [0.1, 0.2, 0.3], [0.1, float("nan")], [float("inf"), 0.1]])
def test_validation_errors_are_one_finite_number_per_exit(errors):
    with pytest.raises(ValueError, match=r"^validation_errors: "):
        EANN([constant_member(1, 2)]).adopt(errors)

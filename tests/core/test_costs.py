"""What the count of costs does to any network; what networks cost is in networks/test_closed_forms.py."""

import copy

import pytest
import torch

from anytime_core import AnytimeNetwork, ExitCosts, ResANN, exit_costs


def test_a_network_by_hand():
    net = AnytimeNetwork(
        [torch.nn.Flatten(), torch.nn.Linear(12, 5)], [torch.nn.Linear(12, 2), torch.nn.Linear(5, 2, bias=False)]
    )
    costs = exit_costs(net, (3, 2, 2))
    assert costs == ExitCosts((24, 24 + 60 + 10), (24, 70), (26, 26 + 65 + 10), (26, 75))
    assert costs.flops_cumulative == (48, 188)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(training):
    net = ResANN(n=1, c=2).train(training)
    before = copy.deepcopy(net.state_dict())
    random_state = torch.get_rng_state()
    exit_costs(net, (3, 8, 8))
    assert all(module.training is training for module in net.modules())
    assert {parameter.device.type for parameter in net.parameters()} == {"cpu"}
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
    assert torch.equal(random_state, torch.get_rng_state())

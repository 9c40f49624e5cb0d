import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from anytime_core import AdaLoss
from anytime_core.weighting.base import BadLoss
from anytime_core.weighting.gradient_norms import GradientNorms


class Chain(nn.Module):
    """A trunk of linear layers with a head after each one: losses [K], computed apart or as one stack."""

    def __init__(self, num_exits=3, width=4):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.trunk = nn.ModuleList(nn.Linear(width, width) for _ in range(num_exits))
            self.heads = nn.ModuleList(nn.Linear(width, 2) for _ in range(num_exits))

    def forward(self, inputs, stacked=True):
        outputs = []
        for layer, head in zip(self.trunk, self.heads, strict=True):
            inputs = layer(inputs).tanh()
            outputs.append(head(inputs))
        if stacked:
            return torch.stack(outputs).square().mean((1, 2))
        return torch.stack([output.square().mean() for output in outputs])


INPUTS = torch.linspace(-1, 1, 20).view(5, 4)


def by_hand(net, losses, squared):
    """From one backward pass per exit into .grad, and the known structure of the chain."""
    values = []
    for i in range(len(losses)):
        net.zero_grad()
        losses[i].backward(retain_graph=True)
        reached = [p for part in (*net.trunk[: i + 1], net.heads[i]) for p in part.parameters()]
        square = sum(p.grad.double().square().sum() for p in reached)
        values.append((square / 2 / sum(p.numel() for p in reached) if squared else square.sqrt()).item())
    net.zero_grad()
    return values


def first_order(net, squared=False):
    norms = GradientNorms(net.parameters(), squared=squared)
    return AdaLoss(3, measure=norms, momentum=0.0, refresh_period=1, floor=0.0, normalisation="none", epsilon=1e-40)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("stacked", [False, True])
def test_norms_by_hand_and_the_weights_that_are_their_inverses(squared, stacked):
    net = Chain()
    losses, weigh = net(INPUTS, stacked), first_order(net, squared)
    norms = weigh.measure(losses)
    expected = by_hand(net, losses, squared)
    assert norms.tolist() == pytest.approx(expected, rel=1e-5)
    assert not norms.requires_grad
    objective = weigh(losses)
    assert weigh.weights.tolist() == pytest.approx([1 / value for value in expected], rel=1e-5)
    assert all(parameter.grad is None for parameter in net.parameters())  # nothing is left behind
    objective.backward()  # and the graph is still there


def test_an_exit_at_rest_has_the_smallest_norm():
    theta = nn.Parameter(torch.zeros(2))
    losses = theta.square().sum() * torch.ones(1)
    assert GradientNorms([theta], smallest=0.5)(losses).tolist() == [0.5]
    assert GradientNorms([theta], smallest=0.5, squared=True)(losses).tolist() == [0.125]


@given(st.lists(st.integers(-6, 6), min_size=3, max_size=3), st.booleans())
def test_offsets_do_not_count_and_units_only_without_the_square(exponents, squared):
    net = Chain()
    units = 2.0 ** torch.tensor(exponents)
    plain, changed = first_order(net, squared=squared), first_order(net, squared=squared)
    plain(net(INPUTS))
    changed(net(INPUTS) * units + 3)
    pulls = changed.weights * units
    assert torch.equal(pulls, plain.weights / units if squared else plain.weights)


def test_the_parameters_stay_the_networks():
    net = Chain()
    weigh = first_order(net).to(torch.float64)
    assert list(weigh.parameters()) == list(weigh.children()) == []
    assert sorted(weigh.state_dict()) == ["average", "rate", "step", "weights"]
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
    weigh(net(INPUTS))
    net.double()  # in place: the network's parameters are still the same objects
    weigh(net(INPUTS.double()))


def test_a_copy_of_network_and_weighting_belongs_together():
    net = Chain()
    weigh = first_order(net)
    other_net, other = copy.deepcopy((net, weigh))
    with torch.no_grad():
        other_net.trunk[0].weight.zero_()
    other(other_net(INPUTS))
    weigh(net(INPUTS))
    assert not torch.equal(weigh.weights, other.weights)


def test_a_parameter_may_be_frozen_and_freed():
    net = Chain()
    norms = GradientNorms(net.parameters())
    net.trunk[0].requires_grad_(False)
    part = norms(net(INPUTS))
    assert torch.equal(part, GradientNorms([p for p in net.parameters() if p.requires_grad])(net(INPUTS)))
    net.trunk[0].requires_grad_(True)
    assert (norms(net(INPUTS)) > part).all()


def test_a_norm_in_half_precision_does_not_overflow():
    theta = nn.Parameter(torch.ones(4, dtype=torch.float16))
    assert GradientNorms([theta])((theta * 60000).sum()[None].float()).tolist() == [120000]


@pytest.mark.parametrize("losses", ["of another network", "without a graph"])
def test_losses_that_depend_on_no_parameter_are_refused(losses):
    weigh = first_order(Chain())
    values = Chain()(INPUTS)
    with pytest.raises(ValueError, match=r"^parameters: .* exit 1"):
        weigh(values if losses == "of another network" else values.detach())


def test_an_infinite_gradient_is_a_bad_loss():
    first, second = nn.Parameter(torch.ones(())), nn.Parameter(torch.tensor(1e-38))
    weigh = AdaLoss(2, refresh_period=1, measure=GradientNorms([first, second]))
    with pytest.raises(BadLoss) as caught:
        weigh(torch.stack([first, second * 1e20 * 1e20]))  # 1 and 100, with the derivatives 1 and 1e40
    assert caught.value.exit == 2
    assert weigh.weights.tolist() == [1, 1]

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchjd.scalarization import DWA, IMTLL, STCH, UW, GeometricMean

from anytime_study.runs.dwa import DynamicWeightAverage
from anytime_study.runs.registries import WEIGHTINGS
from anytime_study.runs.weightings import gls, imtl_l, stch, uw

THEIRS = {
    "gls": GeometricMean,
    "uw": lambda: UW(4),
    "imtl_l": lambda: IMTLL(4),
    "dwa": DWA,
    "stch": lambda: STCH(0.1),
}
loss_lists = st.lists(st.floats(2**-6, 16, width=32), min_size=1, max_size=8)


def train(weigh, end_epoch, steps=20):
    """Four losses of two numbers, an epoch every three steps: objectives, and the numbers in the end."""
    theta = torch.nn.Parameter(torch.tensor([1.0, -0.5]))
    centres = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])
    optimiser = torch.optim.SGD([theta, *weigh.parameters()], lr=0.05, momentum=0.9)
    values = []
    for step in range(1, steps + 1):
        losses = (theta - centres).square().sum(1) * torch.tensor([1.0, 0.1, 4.0, 0.5]) + 0.01 * (step % 5)
        objective = weigh(losses)
        optimiser.zero_grad()
        objective.backward()
        optimiser.step()
        values.append(objective.detach())
        if step % 3 == 0:
            end_epoch()
    return torch.stack(values), theta.detach()


@pytest.mark.parametrize("name", THEIRS)
def test_training_is_that_of_torchjd_step_by_step(name):
    weigh, theirs = WEIGHTINGS.build(name, num_exits=4), THEIRS[name]()
    expected = train(theirs, theirs.step if name == "dwa" else lambda: None)
    torch.testing.assert_close(train(weigh, weigh.end_epoch), expected, rtol=1e-6, atol=1e-6)


@given(loss_lists)
def test_weights_of_the_first_step_by_hand(values):
    losses = torch.tensor(values)
    exits = len(values)
    mean = losses.double().log().mean().exp()
    expected = {
        gls: mean / exits / losses.double(),
        uw: torch.full((exits,), 0.5).double(),
        imtl_l: torch.ones(exits).double(),
        stch: torch.softmax(losses.double() / exits / 0.1, 0) / exits,
        DynamicWeightAverage: torch.ones(exits).double(),
    }
    for make, weights in expected.items():
        weigh = make(exits)
        assert weigh.weights.tolist() == [1] * exits
        weigh(losses)
        torch.testing.assert_close(weigh.weights.double(), weights, rtol=1e-4, atol=1e-12)


def test_an_exit_of_loss_zero_rests_in_the_geometric_mean():
    losses = torch.tensor([0.0, 4.0], requires_grad=True)
    weigh = gls(2)
    objective = weigh(losses)
    objective.backward()
    assert objective.item() == pytest.approx(2e-4, rel=1e-4)  # √(1e-8 · 4)
    assert losses.grad.tolist() == pytest.approx([0, 2e-4 / 2 / 4], rel=1e-4)


def test_dwa_by_hand():
    weigh = DynamicWeightAverage(2, temperature=1.0)
    for epoch in ([[2.0, 1.0], [4.0, 1.0]], [[1.5, 2.0]]):  # means 3, 1, then 1.5, 2
        for losses in epoch:
            weigh(torch.tensor(losses))
        assert weigh.weights.tolist() == [1, 1]
        weigh.end_epoch()
    expected = 2 * torch.softmax(torch.tensor([1.5 / 3, 2 / 1]), 0)
    torch.testing.assert_close(weigh.weights, expected)
    before = weigh.weights.clone()
    weigh.end_epoch()  # an epoch without a step
    assert torch.equal(weigh.weights, before)
    assert weigh.epochs.item() == 2

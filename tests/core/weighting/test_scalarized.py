import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchjd.scalarization import DWA, IMTLL, STCH, UW, GeometricMean

from anytime_core import AdaLoss
from anytime_core.weighting.scalarized import DynamicWeightAverage, Scalarized, gls, imtl_l, stch, uw
from anytime_study.runs.registries import WEIGHTINGS

NAMES = ["gls", "uw", "imtl_l", "dwa", "stch"]
THEIRS = {
    "gls": GeometricMean,
    "uw": lambda: UW(4),
    "imtl_l": lambda: IMTLL(4),
    "dwa": DWA,
    "stch": lambda: STCH(0.1),
}
loss_lists = st.lists(st.floats(2**-6, 16, width=32), min_size=1, max_size=8)


class Problem:
    """Four losses of two numbers, a weighting, and an optimiser of both; an epoch has three steps."""

    def __init__(self, weigh):
        self.theta = torch.nn.Parameter(torch.tensor([1.0, -0.5]))
        self.weigh = weigh
        self.optimiser = torch.optim.SGD([self.theta, *weigh.parameters()], lr=0.05, momentum=0.9)
        self.steps = 0

    def losses(self):
        centres = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])
        return (self.theta - centres).square().sum(1) * torch.tensor([1.0, 0.1, 4.0, 0.5]) + 0.01 * (self.steps % 5)

    def run(self, count, end_epoch):
        values = []
        for _ in range(count):
            objective = self.weigh(self.losses())
            self.optimiser.zero_grad()
            objective.backward()
            self.optimiser.step()
            self.steps += 1
            values.append(objective.detach())
            if self.steps % 3 == 0:
                end_epoch()
        return torch.stack(values)


def ours(name):
    weigh = WEIGHTINGS.build(name, num_exits=4)
    return Problem(weigh), weigh.end_epoch


@pytest.mark.parametrize("name", NAMES)
def test_training_is_that_of_torchjd_step_by_step(name):
    problem, end_epoch = ours(name)
    scalarizer = THEIRS[name]()
    theirs = Problem(scalarizer)
    expected = theirs.run(20, scalarizer.step if name == "dwa" else lambda: None)
    torch.testing.assert_close(problem.run(20, end_epoch), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(problem.theta, theirs.theta, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stop", [1, 3, 7, 8])
def test_a_resumed_run_goes_on_bit_for_bit(name, stop, tmp_path):
    whole, end_epoch = ours(name)
    expected = whole.run(15, end_epoch)
    first, end_epoch = ours(name)
    before = first.run(stop, end_epoch)
    state = {"theta": first.theta, "weigh": first.weigh.state_dict(), "optimiser": first.optimiser.state_dict()}
    torch.save(state, tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt")
    rest, end_epoch = ours(name)
    rest.theta.data.copy_(state["theta"])
    rest.weigh.load_state_dict(state["weigh"])
    rest.optimiser.load_state_dict(state["optimiser"])
    rest.steps = stop
    assert torch.equal(torch.cat([before, rest.run(15 - stop, end_epoch)]), expected)
    assert torch.equal(rest.theta, whole.theta)
    for key, value in rest.weigh.state_dict().items():
        assert torch.equal(value, whole.weigh.state_dict()[key])


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_are_the_derivatives_of_the_objective(name):
    problem, end_epoch = ours(name)
    problem.run(8, end_epoch)
    shown = problem.weigh.weights.clone()  # of the next call, for DWA
    losses = problem.losses().detach().requires_grad_()
    (derivatives,) = torch.autograd.grad(problem.weigh(losses), losses)
    assert torch.equal(shown if name == "dwa" else problem.weigh.weights, derivatives)
    assert not torch.equal(shown, torch.ones(4))
    assert not problem.weigh.weights.requires_grad
    assert problem.weigh.weights.min() > 0


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


@pytest.mark.parametrize(("name", "learned"), [("gls", 0), ("uw", 1), ("imtl_l", 1), ("dwa", 0), ("stch", 0)])
def test_what_is_learned_is_registered(name, learned):
    weigh = WEIGHTINGS.build(name, num_exits=4)
    assert [parameter.shape for parameter in weigh.parameters()] == [(4,)] * learned


@pytest.mark.parametrize("name", NAMES)
def test_nothing_moves_in_evaluation_mode(name):
    problem, end_epoch = ours(name)
    problem.run(8, end_epoch)
    weigh = problem.weigh.eval()
    before = copy.deepcopy(weigh.state_dict())
    with torch.no_grad():
        assert weigh(problem.losses()).isfinite()
    assert all(torch.equal(value, before[key]) for key, value in weigh.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_losses_without_a_graph_and_of_zero_are_fine(name):
    weigh = WEIGHTINGS.build(name, num_exits=4)
    for losses in ([1.0, 0.0, 2.0, 3.0], [0.0] * 4, [0.0, 1.0, 0.0, 0.0]):
        assert weigh(torch.tensor(losses)).isfinite()
        weigh.end_epoch()
        assert weigh.weights.isfinite().all()
        assert weigh.weights.min() >= 0


def test_an_exit_of_loss_zero_rests_in_the_geometric_mean():
    losses = torch.tensor([0.0, 4.0], requires_grad=True)
    weigh = gls(2)
    objective = weigh(losses)
    objective.backward()
    assert objective.item() == pytest.approx(2e-4, rel=1e-4)  # √(1e-8 · 4)
    assert losses.grad.tolist() == pytest.approx([0, 2e-4 / 2 / 4], rel=1e-4)
    assert torch.equal(weigh.weights, losses.grad)


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dwa(temperature=0.0)", "dwa temperature: expected a finite number above 0, found 0.0"),
        ("stch(mu=-1.0)", "stch mu: expected a finite number above 0, found -1.0"),
        ("uw(shape=3)", "unknown option shape of uw"),
    ],
)
def test_knobs_out_of_range_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        WEIGHTINGS.build(text, num_exits=3)


@pytest.mark.parametrize("name", NAMES)
def test_at_least_one_exit(name):
    with pytest.raises(ValueError, match="num_exits: expected at least 1, found 0"):
        WEIGHTINGS.build(name, num_exits=0)


def test_any_scalarizer_fits():
    preferences = torch.tensor([0.2, 0.8])
    weigh = Scalarized(2, STCH(0.5, weights=preferences))
    losses = torch.tensor([1.0, 2.0])
    assert torch.equal(weigh(losses), STCH(0.5, weights=preferences)(losses))


# --- and AdaLoss ---------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0.25, 4, width=32), min_size=2, max_size=6))
def test_uncertainty_weighting_learns_the_weights_that_adaloss_computes(values):
    losses = torch.tensor(values)
    learned, computed = uw(len(values)), AdaLoss.formula(len(values))
    optimiser = torch.optim.SGD(learned.parameters(), lr=1.0)
    for _ in range(60):
        optimiser.zero_grad()
        learned(losses).backward()
        optimiser.step()
        computed(losses)
    shares = [weigh.weights / weigh.weights.sum() for weigh in (learned, computed)]
    torch.testing.assert_close(*shares, rtol=1e-4, atol=0)


@given(loss_lists)
def test_the_geometric_mean_has_the_direction_of_adaloss(values):
    losses = torch.tensor(values)
    mean, computed = gls(len(values)), AdaLoss.formula(len(values), momentum=0.0)
    mean(losses)
    computed(losses)
    shares = [weigh.weights / weigh.weights.sum() for weigh in (mean, computed)]
    torch.testing.assert_close(*shares, rtol=1e-4, atol=0)

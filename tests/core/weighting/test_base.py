import copy
import math

import pytest
import torch

from anytime_core import AdaLoss, LossWeighting
from anytime_core.weighting.base import BadLoss
from anytime_study.runs.registries import WEIGHTINGS


class Counting(LossWeighting):
    """Adds the losses to the weights, in place, as rudely as an update may."""

    def __init__(self, weights):
        super().__init__(weights)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def update(self, losses):
        assert not losses.requires_grad
        assert not torch.is_grad_enabled()
        self.calls += 1
        self.weights += losses


def test_the_objective_is_the_weighted_sum():
    weigh = LossWeighting(torch.tensor([1.0, 0.5, 0.0]))
    losses = torch.tensor([2.0, 3.0, 7.0], requires_grad=True)
    objective = weigh(losses)
    assert objective.shape == ()
    assert objective.item() == 3.5
    objective.backward()
    assert losses.grad.tolist() == [1, 0.5, 0]


def test_no_gradient_passes_through_the_weights():
    weigh = Counting(torch.ones(2))
    assert list(weigh.parameters()) == []
    losses = torch.tensor([2.0, 3.0], requires_grad=True)
    weigh(losses)
    objective = weigh(losses * losses)  # the weights are now 1 + losses
    (gradient,) = torch.autograd.grad(objective, losses)
    assert gradient.tolist() == [2 * 2 * 3.0, 2 * 3 * 4.0]
    assert not weigh.weights.requires_grad


def test_an_update_in_place_spoils_neither_the_objective_nor_its_gradient():
    weigh = Counting(torch.ones(2))
    losses = torch.tensor([2.0, 3.0], requires_grad=True)
    objective = weigh(losses)
    assert weigh.weights.tolist() == [3, 4]  # for the next call
    assert objective.item() == 5
    objective.backward()
    assert losses.grad.tolist() == [1, 1]


def test_nothing_is_updated_in_evaluation_mode():
    weigh = Counting(torch.ones(2)).eval()
    assert weigh(torch.tensor([2.0, 3.0])).item() == 5
    assert (weigh.calls.item(), weigh.weights.tolist()) == (0, [1, 1])
    weigh.train()(torch.tensor([2.0, 3.0]))
    assert (weigh.calls.item(), weigh.weights.tolist()) == (1, [3, 4])


@pytest.mark.parametrize("shape", [(), (1,), (2,), (4,), (3, 1), (1, 3), (0,)])
def test_losses_of_another_shape_are_refused_and_change_nothing(shape):
    weigh = Counting(torch.ones(3))
    with pytest.raises(ValueError, match=r"losses: expected shape \[3\], one per exit, found ") as caught:
        weigh(torch.ones(shape))
    assert str(caught.value).endswith(str(list(shape)))
    assert weigh.calls.item() == 0


def test_all_state_is_in_the_state_dict():
    weigh = Counting(torch.ones(2))
    weigh(torch.tensor([2.0, 3.0]))
    other = Counting(torch.zeros(2))
    other.load_state_dict(weigh.state_dict())
    assert other.weights.tolist() == [3, 4]
    assert other.calls.item() == 1


def test_copies_are_independent():
    weigh = Counting(torch.ones(2))
    copied = copy.deepcopy(weigh)
    copied(torch.tensor([2.0, 3.0]))
    assert weigh.weights.tolist() == [1, 1]


def test_weights_follow_to():
    weigh = LossWeighting(torch.ones(2)).to(torch.float64)
    assert weigh.weights.dtype == torch.float64
    assert weigh.to("meta").weights.device.type == "meta"


def test_num_exits_and_repr():
    weigh = LossWeighting(torch.ones(4))
    assert weigh.num_exits == 4
    assert repr(weigh) == "LossWeighting(num_exits=4)"


# --- bad losses ----------------------------------------------------------------------------------------------------

BAD = [-1.0, -1e-30, math.nan, math.inf, -math.inf]


def state(weigh):
    return {name: value.clone() for name, value in weigh.state_dict().items() if name != "bad_exit"}


def deferred(weigh):
    """The call as a GPU and a compiled graph have it: nothing is raised, an exit is flagged."""
    return weigh._flagging


@pytest.fixture(params=WEIGHTINGS.entries)
def weigh(request):
    """Every weighting there is, after two steps."""
    weigh = WEIGHTINGS.build(request.param, num_exits=3)
    for losses in ([3.0, 2.0, 1.0], [2.0, 1.0, 0.5]):
        weigh(torch.tensor(losses))
    return weigh


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", [0, 2])
def test_a_bad_loss_is_an_error_that_names_the_exit(weigh, bad, place):
    before = state(weigh)
    losses = torch.tensor([3.0, 2.0, 1.0])
    losses[place] = bad
    with pytest.raises(BadLoss, match=rf"losses: expected finite values of 0 or more, found .* at exit {place + 1}"):
        weigh(losses)
    with pytest.raises(ValueError, match="losses"):
        weigh.eval()(losses)
    assert all(torch.equal(value, before[name]) for name, value in state(weigh).items())


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", [0, 2])
def test_a_bad_loss_is_flagged_where_reading_it_would_wait(weigh, bad, place):
    before = state(weigh)
    values = torch.tensor([3.0, 2.0, 1.0])
    values[place] = bad
    losses = values.requires_grad_()
    objective = deferred(weigh)(losses)
    assert objective.isnan()
    assert weigh.bad_exit.item() == place + 1
    assert all(torch.equal(value, before[name]) for name, value in state(weigh).items())
    objective.backward()  # teaches nobody anything
    assert losses.grad.tolist() == [0, 0, 0]
    assert all(not parameter.grad.any() for parameter in weigh.parameters())
    for _ in range(2):
        with pytest.raises(BadLoss, match=f"found a negative, NaN or infinite one at exit {place + 1} in an earlier"):
            weigh.check()


def test_good_losses_do_the_same_on_both_ways(weigh):
    other = copy.deepcopy(weigh)
    for values in ([3.0, 2.0, 1.0], [0.0, 1.0, 0.5], [2.0, 2.0, 4.0]):
        direct, later = (torch.tensor(values, requires_grad=True) for _ in range(2))
        now, flagged = weigh(direct), deferred(other)(later)
        assert torch.equal(now, flagged)
        now.backward()
        flagged.backward()
        assert torch.equal(direct.grad, later.grad)
        assert torch.equal(weigh.weights, other.weights)
    assert all(torch.equal(value, weigh.state_dict()[name]) for name, value in other.state_dict().items())
    other.check()


def test_the_first_bad_loss_stays_until_it_is_cleared():
    weigh = AdaLoss(3)
    call = deferred(weigh)
    for losses in ([1.0, math.nan, math.inf], [1.0, 1.0, 1.0], [math.nan, 1.0, 1.0]):
        call(torch.tensor(losses))
    assert weigh.bad_exit.item() == 2
    assert weigh.step.item() == 1  # the good one
    weigh.bad_exit.zero_()
    weigh.check()
    call(torch.tensor([math.nan, 1.0, 1.0]))
    assert weigh.bad_exit.item() == 1


def test_a_compiled_graph_flags():
    weigh = AdaLoss(2, refresh_period=1)
    call = torch.compile(weigh, fullgraph=True, backend="eager")
    call(torch.tensor([2.0, 1.0]))
    weights = weigh.weights.clone()
    assert call(torch.tensor([math.nan, 1.0])).isnan()
    assert torch.equal(weigh.weights, weights)
    with pytest.raises(BadLoss, match="exit 1"):
        weigh.check()


@pytest.mark.parametrize(
    "text", ["const", "sampled", "adaloss(floor_kind='start')", "adaloss(normalisation='geometric')"]
)
def test_compiles_without_a_graph_break(text):
    plain, compiled = (WEIGHTINGS.build(text, num_exits=3) for _ in range(2))
    call = torch.compile(compiled, fullgraph=True, backend="eager")
    for losses in torch.rand(4, 3, generator=torch.Generator().manual_seed(0)):
        torch.testing.assert_close(call(losses), plain(losses))
    assert torch.equal(compiled.weights, plain.weights)


def test_weights_that_vanish_do_not_hide_a_bad_loss():
    with pytest.raises(BadLoss, match="exit 1"):
        LossWeighting(torch.tensor([0.0, 1.0]))(torch.tensor([math.inf, 1.0]))


def test_the_end_of_an_epoch_changes_no_weighting_that_does_not_ask_for_it(weigh):
    before = state(weigh)
    weigh.end_epoch()
    if "epoch_sum" not in before:
        assert all(torch.equal(value, before[name]) for name, value in state(weigh).items())


@pytest.mark.parametrize("name", WEIGHTINGS.entries)
def test_shapes_without_data(name):
    with torch.device("meta"):
        assert WEIGHTINGS.build(name, num_exits=5).weights.shape == (5,)


def test_a_list_of_losses_is_refused_with_the_way_to_a_tensor():
    weigh = LossWeighting(torch.ones(2))
    with pytest.raises(TypeError, match=r"losses: expected a tensor \[2\], found list; torch.stack makes one"):
        weigh([torch.tensor(1.0), torch.tensor(2.0)])


def test_the_error_travels_between_processes():
    with pytest.raises(BadLoss) as caught:
        AdaLoss(2)(torch.tensor([1.0, -1.0]))
    copied = copy.copy(caught.value)  # by the way of pickling
    assert (str(copied), copied.exit) == (str(caught.value), 2)

import copy

import pytest
import torch

from anytime_core import LossWeighting


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

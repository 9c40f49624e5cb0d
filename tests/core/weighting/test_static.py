import copy
import math

import pytest
import torch

from anytime_core.weighting.base import BadLoss, LossWeighting
from anytime_core.weighting.static import const, half_end, linear, opt, sieve
from anytime_study.runs.weightings import exponential


def by_base(base):
    return lambda num_exits: exponential(num_exits, base)


def of_exit(number):
    return lambda num_exits: opt(num_exits, number)


@pytest.mark.parametrize(
    ("make", "weights"),
    [
        *[(make, [1]) for make in (const, linear, half_end, sieve, exponential, opt)],
        (const, [1, 1, 1]),
        (linear, [0.25, 1]),
        (linear, [0.25, 0.5, 0.75, 1]),
        (linear, [0.25 + 0.75 * i / 7 for i in range(8)]),
        (half_end, [1, 1]),
        (half_end, [0.5, 0.5, 1]),
        (half_end, [1 / 7] * 7 + [1]),
        (sieve, [1, 1]),
        (sieve, [2 / 3, 1 / 3, 1]),
        (sieve, [1 / 11, 2 / 11, 1 / 11, 3 / 11, 1 / 11, 2 / 11, 1 / 11, 1]),
        (sieve, [0.08, 0.04, 0.12, 0.04, 0.08, 0.04, 0.16, 0.04, 0.08, 0.04, 0.12, 0.04, 0.08, 0.04, 1]),
        (exponential, [1 / 8, 1 / 4, 1 / 2, 1]),
        (by_base(0.5), [1, 1 / 2, 1 / 4]),
        (exponential, [2.0**-i for i in range(126, -1, -1)]),
        (opt, [0, 0, 1]),
        (of_exit(1), [1, 0, 0]),
        (of_exit(2), [0, 1, 0]),
    ],
)
def test_weights_by_hand_are_all_the_state_and_stay_as_they_are(make, weights):
    weigh = make(len(weights))
    found = weigh.weights.clone()
    assert found.tolist() == pytest.approx(weights, rel=1e-6, abs=0)
    for step in range(1, 4):
        weigh(torch.linspace(3, 1, len(weights)) / step)
    assert torch.equal(weigh.weights, found)
    assert list(weigh.state_dict()) == ["weights"]


@pytest.mark.parametrize("base", [2.0, 0.5])
def test_exponential_refuses_weights_that_vanish(base):
    with pytest.raises(ValueError, match=r"^exponential base: "):
        exponential(128, base)


@pytest.mark.parametrize("exit_number", [0, -1, 4, 99])
def test_opt_refuses_an_exit_that_is_not_there(exit_number):
    with pytest.raises(ValueError, match=f"^opt exit: .* {exit_number}$"):
        opt(3, exit_number)


@pytest.mark.parametrize("bad", [[1.0, -0.5], [1.0, math.nan], [1.0, math.inf], [[1.0, 1.0]]])
def test_weights_are_numbers_of_0_or_more(bad):
    for weights in (bad, torch.tensor(bad)):
        with pytest.raises(ValueError, match=r"^weights: .* found \["):
            LossWeighting(weights)


def test_weights_are_its_own():
    mine = torch.ones(2, requires_grad=True)
    weigh = LossWeighting(mine)
    weigh.weights.mul_(2)
    assert mine.tolist() == [1, 1]
    assert LossWeighting([1.0, 2.0])(mine).item() == 3


def test_weights_that_vanish_do_not_hide_a_bad_loss():
    with pytest.raises(BadLoss) as caught:
        opt(2)(torch.tensor([float("inf"), 1.0]))
    assert caught.value.exit == 1
    copied = copy.copy(caught.value)  # by the way of pickling, as between processes
    assert (str(copied), copied.exit) == (str(caught.value), 1)

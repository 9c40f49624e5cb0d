import numpy as np
import pytest

from anytime_study.theory.geometric_mean import RunningWeights
from anytime_study.theory.slow_exit import SlowExit, learned_after

TOY = SlowExit()


def losses(toy, point):
    a, b, c = point
    return np.array([(1 - a) ** 2, (1 - a * b * c) ** 2]) + toy.loss_floor


@pytest.mark.parametrize("weights", [(1, 1), (0.25, 1), (0.3, 0.7)])
def test_every_step_goes_down_the_gradient(weights):
    """Against central differences, on a large step from a point where no partial derivative is small."""
    toy = SlowExit(start=(0.4, 0.7, 1.3), learning_rate=0.05)
    point, width = np.array(toy.start), 1e-6
    gradient = [
        weights @ (losses(toy, point + width * axis) - losses(toy, point - width * axis)) / (2 * width)
        for axis in np.eye(3)
    ]
    excess = toy.descend(weights, max_steps=1)
    np.testing.assert_allclose(excess[0], losses(toy, point) - toy.loss_floor, rtol=1e-12)
    moved = losses(toy, point - 0.05 * np.array(gradient)) - toy.loss_floor
    np.testing.assert_allclose(excess[1], moved, rtol=1e-7)
    assert not np.allclose(excess[1], excess[0], rtol=0.01)


def test_weights_follow_the_losses_of_the_step_before():
    first = RunningWeights(2)(losses(TOY, TOY.start).tolist())
    followed = TOY.descend(weigh=RunningWeights(2), max_steps=2)
    assert followed[1] == pytest.approx(TOY.descend(max_steps=1)[1])  # 1 in the first step
    assert first[0] == pytest.approx(1)
    assert first[1] < 0.9
    assert followed[2, 1] > TOY.descend(max_steps=2)[2, 1]  # exit 2 gets less


@pytest.mark.parametrize(
    ("weights", "first", "second"), [((1, 1), 1073, 2598), ((0.25, 1), 2742, 3430), ((0, 1), 9584, 9805)]
)
def test_fixed_weights_take_the_steps_of_an_independent_program(weights, first, second):
    """That program counts from 0."""
    excess = TOY.descend(weights)
    assert [learned_after(column) for column in excess.T] == [first + 1, second + 1]
    assert learned_after(excess[:first, 0]) is None


# --- how long it takes ---------------------------------------------------------------------------------------------

DONE = SlowExit(start=(1.0, 0.03, 0.03))  # exit 1 has nothing left to learn


@pytest.mark.parametrize("weight", [1.0, 0.25, 0.07])
def test_the_time_on_the_plateau_is_inversely_proportional_to_the_weight(weight):
    """The formula holds a at 1; so does a large weight on exit 1."""
    steps = learned_after(DONE.descend((300, weight))[:, 1])
    assert DONE.plateau_steps(lambda _: weight) == pytest.approx(steps, rel=0.01)
    assert DONE.plateau_steps(lambda _: weight) == pytest.approx(DONE.plateau_steps(lambda _: 1) / weight)


def test_a_weight_that_follows_the_loss_is_integrated():
    # B_2 = ε / ℓ_2: with 1 / B_2 = 1 + (1 - y)² / ε the integral over y is ((ln y - y) / ε + logit y) / (4 η)
    by_hand = [(np.log(y) - y) / 1e-3 + np.log(y / (1 - y)) for y in (0.03**2, 0.9)]
    found = TOY.plateau_steps(lambda loss: TOY.loss_floor / loss)
    assert found == pytest.approx((by_hand[1] - by_hand[0]) / (4 * 1e-3), rel=1e-8)


@pytest.mark.parametrize("floor", [0.3, 0.07, 0.01])
def test_the_authors_weights_cost_what_the_integral_says(floor):
    weigh = RunningWeights(2, floor=floor, momentum=0.9, refresh_period=100)
    found = learned_after(TOY.descend(weigh=weigh)[:, 1])
    expected = TOY.plateau_steps(lambda loss: (1 - floor) * TOY.loss_floor / loss + floor)
    assert found == pytest.approx(expected, rel=0.07)
    assert found > 2.5 * TOY.plateau_steps(lambda _: 1)

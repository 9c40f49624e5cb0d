import numpy as np
import pytest

from anytime_study.theory.geometric_mean import inverse_weights
from anytime_study.theory.slow_exit import SlowExit, descend_adaloss, descend_fixed, plateau_steps

TOY = SlowExit()
CONST = descend_fixed(TOY, (1, 1))


def authors(floor, **knobs):
    return descend_adaloss(TOY, floor=floor, **knobs)


# --- the descent is one --------------------------------------------------------------------------------------------


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
    course = descend_fixed(toy, weights, max_steps=1)
    np.testing.assert_allclose(course.excess[0], losses(toy, point) - toy.loss_floor, rtol=1e-12)
    moved = losses(toy, point - 0.05 * np.array(gradient)) - toy.loss_floor
    np.testing.assert_allclose(course.excess[1], moved, rtol=1e-7)
    assert not np.allclose(course.excess[1], course.excess[0], rtol=0.01)


def test_the_weights_are_the_packages_own():
    """The torch module sees the losses of the run, and has the same weights before every step."""
    torch = pytest.importorskip("torch")
    from anytime_core.weighting.adaloss import AdaLoss

    course = authors(0.07, refresh_period=7, max_steps=300)
    weigh = AdaLoss.released(2, refresh_period=7).double()
    for excess, weights in zip(course.excess, course.weights, strict=True):
        np.testing.assert_allclose(weigh.weights, weights, rtol=1e-12)
        weigh(torch.tensor(excess + TOY.loss_floor))
    assert len(np.unique(course.weights[:, 1])) > 40  # they did change


# --- who is starved ------------------------------------------------------------------------------------------------


def test_all_roads_lead_to_the_same_optimum():
    """No conflict: each weighting brings both exits below the level, so speed is all that differs."""
    for course in (CONST, descend_fixed(TOY, (0.25, 1)), authors(0.07), authors(0, normaliser="none")):
        assert (course.excess[-1] < 0.01).all()


@pytest.mark.parametrize(
    ("weights", "first", "second"), [((1, 1), 1073, 2598), ((0.25, 1), 2742, 3430), ((0, 1), 9584, 9805)]
)
def test_fixed_weights_take_the_steps_of_an_independent_program(weights, first, second):
    """That program counts from 0."""
    assert descend_fixed(TOY, weights).steps_until(0.01) == (first + 1, second + 1)


@pytest.mark.parametrize(("floor", "first", "second"), [(0.3, 1094, 7308), (0.07, 1096, 29277), (0.01, 1096, 167091)])
def test_the_authors_weights_take_the_steps_of_an_independent_program(floor, first, second):
    """Its refreshes fall on other steps, so the long runs differ by less than a refresh period."""
    found = authors(floor).steps_until(0.01)
    assert found[0] == first + 1
    assert found[1] == pytest.approx(second + 1, abs=100)
    assert found[1] == pytest.approx(second + 1, rel=3e-4)


def test_a_lower_floor_starves_the_slow_exit_more_while_the_fast_one_is_served():
    slow = [authors(floor).steps_until()[1] for floor in (1, 0.3, 0.07, 0.01)]
    assert np.all(np.diff(slow) > 0)
    assert slow[0] == CONST.steps_until()[1]  # γ = 1 is CONST
    assert slow[2] > 10 * slow[0]
    fast = [authors(floor).steps_until()[0] for floor in (1, 0.3, 0.07, 0.01)]
    assert max(fast) < 1.05 * min(fast)


def test_it_is_the_normalisation_and_not_the_inverse_loss():
    """Raw 1/ℓ ranks the exits in the same way as the authors' weights, and is faster than CONST for both."""
    raw = authors(0, normaliser="none", refresh_period=1)
    assert raw.weights[-1, 0] > 5 * raw.weights[-1, 1]
    assert raw.steps_until()[0] < CONST.steps_until()[0]
    assert raw.steps_until()[1] < CONST.steps_until()[1]


def test_the_geometric_mean_starves_less_and_the_sum_as_much():
    """B_2 is about ε under "max" and "sum", and about √ε under "geometric": no floor, exit 2 on its plateau."""
    weights = {name: authors(0, normaliser=name, max_steps=3000).weights[-1] for name in ("max", "sum", "geometric")}
    assert weights["max"] == pytest.approx([1, 1e-3], rel=0.05)
    assert weights["sum"] == pytest.approx([1, 1e-3], rel=0.05)
    assert weights["geometric"] == pytest.approx([1e-3**-0.5, 1e-3**0.5], rel=0.05)
    assert authors(0, normaliser="geometric").steps_until()[1] < 60_000


@pytest.mark.parametrize("normaliser", ["none", "sum", "max", "geometric"])
def test_the_normalisers_are_those_of_the_other_experiments(normaliser):
    course = authors(0.07, momentum=0, refresh_period=1, normaliser=normaliser, max_steps=1)
    losses = course.excess[0] + TOY.loss_floor
    np.testing.assert_allclose(course.weights[1], inverse_weights(losses, normaliser=normaliser, floor=0.07))


def test_the_exit_that_arrives_later_is_starved_be_it_the_first():
    """Negative control for "deep": from b = c = 1, exit 2 arrives first, and the same weights starve exit 1."""
    toy = SlowExit(start=(0.1, 1.0, 1.0))
    weighed, plain = descend_adaloss(toy).steps_until(), descend_fixed(toy, (1, 1)).steps_until()
    assert weighed[0] > 7 * plain[0]
    assert weighed[1] < 1.2 * plain[1]


# --- how long it takes ---------------------------------------------------------------------------------------------

DONE = SlowExit(start=(1.0, 0.03, 0.03))  # exit 1 has nothing left to learn


@pytest.mark.parametrize("weight", [1.0, 0.25, 0.07])
def test_the_time_on_the_plateau_is_inversely_proportional_to_the_weight(weight):
    """The formula holds a at 1; so does a large weight on exit 1."""
    steps = descend_fixed(DONE, (300, weight)).steps_until()[1]
    assert plateau_steps(DONE, weight) == pytest.approx(steps, rel=0.01)
    assert plateau_steps(DONE, weight) == pytest.approx(plateau_steps(DONE, 1) / weight)


def test_a_weight_that_follows_the_loss_is_integrated():
    assert plateau_steps(TOY, lambda _: 0.3) == pytest.approx(plateau_steps(TOY, 0.3), rel=1e-9)
    # B_2 = ε / ℓ_2: with 1 / B_2 = 1 + (1 - y)² / ε the integral over y is ((ln y - y) / ε + logit y) / (4 η)
    by_hand = [(np.log(y) - y) / 1e-3 + np.log(y / (1 - y)) for y in (0.03**2, 0.9)]
    found = plateau_steps(TOY, lambda loss: TOY.loss_floor / loss)
    assert found == pytest.approx((by_hand[1] - by_hand[0]) / (4 * 1e-3), rel=1e-8)


@pytest.mark.parametrize("floor", [0.3, 0.07, 0.01])
def test_the_authors_weights_cost_what_the_integral_says(floor):
    found = authors(floor).steps_until()[1]
    expected = plateau_steps(TOY, lambda loss: (1 - floor) * TOY.loss_floor / loss + floor)
    assert found == pytest.approx(expected, rel=0.07)
    assert found > 2.5 * plateau_steps(TOY, 1)


def test_without_a_floor_it_is_slow_but_not_for_ever():
    """γ = 0: nothing within 400 000 steps; with steps ten times as long, and ε above 0, it does arrive."""
    assert authors(0).steps_until()[1] is None
    toy = SlowExit(learning_rate=0.01)
    found = descend_adaloss(toy, floor=0, momentum=0, refresh_period=1).steps_until()[1]
    assert found == pytest.approx(plateau_steps(toy, lambda loss: toy.loss_floor / loss), rel=0.07)
    assert found > 500 * descend_fixed(toy, (1, 1)).steps_until()[1]


def test_the_time_without_a_floor_grows_as_one_over_the_smallest_loss():
    times = [
        plateau_steps(SlowExit(loss_floor=smallest), lambda loss, smallest=smallest: smallest / loss)
        for smallest in (1e-3, 1e-5, 1e-7)
    ]
    np.testing.assert_allclose(np.divide(times[1:], times[:-1]), 100, rtol=0.01)


# --- arguments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: SlowExit(loss_floor=0), "loss_floor: expected above 0, found 0"),
        (lambda: SlowExit(learning_rate=-1), "learning_rate: expected above 0, found -1"),
        (lambda: descend_fixed(TOY, (-1, 1)), "weights: expected 0 or more"),
        (lambda: authors(1.5), "floor: expected 0 to 1, found 1.5"),
        (lambda: authors(0.07, momentum=1), "momentum: expected 0 or more and below 1, found 1"),
        (lambda: authors(0.07, refresh_period=0), "refresh_period: expected at least 1 step, found 0"),
        (lambda: authors(0.07, normaliser="mean"), "normaliser: expected one of none, sum, max, geometric, found 'me"),
        (lambda: plateau_steps(SlowExit(start=(1, 0.1, 0.2)), 1), "start: expected b = c"),
    ],
)
def test_bad_arguments_are_refused(call, name):
    with pytest.raises(ValueError, match=name):
        call()

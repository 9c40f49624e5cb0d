"""The walker of the theory: its knobs, and that the package's AdaLoss walks the same path."""

import numpy as np
import pytest
import torch

from anytime_core.weighting.adaloss import AdaLoss
from anytime_study.theory.descent import Rule, authors_rule, descend, deviation
from anytime_study.theory.quadratics import linear_residual

PROBLEM = linear_residual()
START = np.random.default_rng(0).normal(size=6)


def torch_walk(weigh, steps, learning_rate, momentum=0.0, weight_decay=0.0, theta=None):
    """θ [T + 1, d] of a training loop in torch around a weighting of the package, in double precision."""
    curvature, slope, constant = (torch.tensor(part) for part in (PROBLEM.curvature, PROBLEM.slope, PROBLEM.constant))
    theta = torch.tensor(START, requires_grad=True) if theta is None else theta
    weigh.double()
    velocity = torch.zeros_like(theta)
    path = [START]
    for _ in range(steps):
        objective = weigh((curvature @ theta) @ theta - 2 * slope @ theta + constant)
        (gradient,) = torch.autograd.grad(objective, theta)
        with torch.no_grad():
            velocity = momentum * velocity + gradient + weight_decay * theta
            theta -= learning_rate * velocity
        path.append(theta.detach().numpy().copy())
    return np.array(path)


SAME = {
    "paper_runs": (AdaLoss.paper_runs(6), authors_rule(momentum=0.99, epsilon=0)),
    "released": (AdaLoss.released(6), authors_rule(epsilon=0)),
    "no floor": (
        AdaLoss(6, floor=0, refresh_period=7),
        authors_rule(momentum=0.99, floor=0, refresh_period=7, epsilon=0),
    ),
    "extra": (
        AdaLoss(6, momentum=0.9, final_extra=1.0, refresh_period=10),
        authors_rule(refresh_period=10, final_extra=1.0, epsilon=0),
    ),
    "geometric": (
        AdaLoss(6, momentum=0, refresh_period=1, floor=0.2, normalisation="geometric"),
        authors_rule(momentum=0, refresh_period=1, floor=0.2, normaliser="geometric", epsilon=0),
    ),
    "scale-safe floor": (
        AdaLoss(6, momentum=0.9, refresh_period=10, floor=0.3, floor_kind="start"),
        authors_rule(refresh_period=10, floor=0.3, floor_kind="start", epsilon=0),
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_the_packages_adaloss_walks_the_same_path(name):
    weigh, rule = SAME[name]
    # weights whose geometric mean is 1 are much larger than those whose maximum is 1
    rate = 2e-4 if rule.normaliser == "geometric" else 5e-3
    options = {"steps": 350, "learning_rate": rate, "momentum": 0.5, "weight_decay": 1e-3}
    expected = descend(PROBLEM, rule, START, **options).theta
    assert deviation(expected, torch_walk(weigh, **options)) < 1e-12
    # a rule that differs in one knob walks elsewhere
    others = [Rule(**{**vars(rule), "lag": False, "first_weights": "inverse"}), Rule(**{**vars(rule), "floor": 0.5})]
    for other in others:
        assert deviation(expected, descend(PROBLEM, other, START, **options).theta) > 1e-4


def test_the_packages_first_order_walks_the_same_path():
    theta = torch.tensor(START, requires_grad=True)
    weigh = AdaLoss(6, order=1, parameters=[theta], momentum=0.9, refresh_period=5)
    found = torch_walk(weigh, 100, 0.002, theta=theta)
    for order, same in ((1, True), (0, False)):
        rule = authors_rule(order=order, refresh_period=5, epsilon=0)
        expected = descend(PROBLEM, rule, START, steps=100, learning_rate=0.002).theta
        assert (deviation(expected, found) < 1e-12) == same


def test_adams_first_steps_by_hand():
    walk = descend(PROBLEM, Rule(), START, steps=2, learning_rate=0.01, momentum=0.9, method="adam")
    first, second = (w @ PROBLEM.gradients(theta) for w, theta in zip(walk.weights, walk.theta[:2], strict=True))
    np.testing.assert_allclose(walk.theta[1] - START, -0.01 * np.sign(first), rtol=1e-12)
    mean = (0.09 * first + 0.1 * second) / 0.19
    square = (0.999e-3 * first**2 + 1e-3 * second**2) / 1.999e-3
    np.testing.assert_allclose(walk.theta[2] - walk.theta[1], -0.01 * mean / np.sqrt(square), rtol=1e-10)


def test_one_step_of_unit_length_and_a_rate_for_every_step():
    walk = descend(PROBLEM, Rule(), START, steps=3, learning_rate=[0.1, 0.2, 0.4], method="unit")
    np.testing.assert_allclose(np.linalg.norm(np.diff(walk.theta, axis=0), axis=1), [0.1, 0.2, 0.4], rtol=1e-12)


def test_when_weights_are_made_anew():
    walk = descend(PROBLEM, authors_rule(refresh_period=3), START, steps=8, learning_rate=1e-3)
    changed = [step for step in range(2, 9) if not np.array_equal(walk.weights[step - 1], walk.weights[step - 2])]
    assert np.array_equal(walk.weights[:3], np.ones((3, 6)))
    assert changed == [4, 7]  # made in steps 3 and 6, used one later
    soon = descend(PROBLEM, authors_rule(refresh_period=3, lag=False), START, steps=8, learning_rate=1e-3)
    assert np.array_equal(soon.weights[1], np.ones(6))
    assert soon.weights[2, 0] < 1


def test_the_running_mean_by_hand():
    rule = authors_rule(momentum=0.5, refresh_period=2, floor=0.2, epsilon=0)
    walk = descend(PROBLEM, rule, START, steps=3, learning_rate=1e-3)
    mean = (walk.losses[0] + walk.losses[1]) / 2
    np.testing.assert_allclose(walk.weights[2], 0.8 * mean.min() / mean + 0.2, rtol=1e-14)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"floor": 1.5}, "floor: expected 0 to 1, found 1.5"),
        ({"floor_kind": "end"}, "floor_kind: expected const or start, found 'end'"),
        ({"order": 2}, "order: expected 0 or 1, found 2"),
        ({"momentum": 1.0}, "momentum: expected 0 or more and below 1, found 1.0"),
        ({"refresh_period": 0}, "refresh_period: expected at least 1, found 0"),
        ({"first_weights": "zero"}, "first_weights: expected inverse or ones, found 'zero'"),
        ({"final_extra": -1.0}, "final_extra: expected 0 or more, found -1.0"),
        ({"epsilon": -1.0}, "epsilon: expected 0 or more, found -1.0"),
    ],
)
def test_bad_knobs_are_refused(knobs, message):
    with pytest.raises(ValueError, match=message):
        Rule(**knobs)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="method: expected sgd, unit or adam, found 'newton'"):
        descend(PROBLEM, Rule(), START, steps=1, learning_rate=1, method="newton")

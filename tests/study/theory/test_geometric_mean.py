"""AdaLoss descends the logarithm of the geometric mean, if no gradient passes through its weights."""

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch
from torch import nn

from anytime_study.theory.geometric_mean import (
    NoFixedPoint,
    adaloss_fixed_point,
    descend,
    inverse_weights,
    log_sum,
    log_sum_gradient,
    undetached_objective,
)
from anytime_study.theory.linear_residual import linear_residual

NORMALISERS = ("none", "sum", "max", "geometric")


class Residual(nn.Module):
    """Four residual blocks with an exit after each: small, but neither convex nor quadratic."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(8, 16)
        self.blocks = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))
        self.heads = nn.ModuleList(nn.Linear(16, 3) for _ in range(4))

    def forward(self, x):
        x, logits = self.stem(x), []
        for number, (block, head) in enumerate(zip(self.blocks, self.heads, strict=True), start=1):
            x = x + torch.tanh(block(x))
            logits.append(3 / number * head(x))
        return logits


@pytest.fixture(scope="module")
def network():
    """A network, its losses [K] with their graph, and their gradients [K, d], each from a backward pass of its own."""
    torch.manual_seed(0)
    net = Residual().double()
    x, labels = torch.randn(64, 8, dtype=torch.float64), torch.randint(3, (64,))
    losses = torch.stack([nn.functional.cross_entropy(logits, labels) for logits in net(x)])
    gradients = np.array([flat(loss, net) for loss in losses])
    return net, losses, gradients


def flat(objective, net):
    """The gradient of ``objective`` with respect to all parameters, [d]."""
    found = torch.autograd.grad(
        objective, list(net.parameters()), retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return torch.cat([gradient.flatten() for gradient in found]).numpy()


def torch_weights(losses, normaliser):
    raw = 1 / losses
    match normaliser:
        case "none":
            return raw
        case "sum":
            return raw / raw.sum()
        case "max":
            return raw / raw.max()
        case "geometric":
            return raw / raw.log().mean().exp()


def apart(found, expected):
    """Distance relative to the length of what is expected."""
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


# --- the gradient, in a real network -------------------------------------------------------------------------------


def test_detached_inverse_weights_give_the_gradient_of_the_sum_of_logarithms(network):
    net, losses, _ = network
    assert apart(flat((1 / losses).detach() @ losses, net), flat(losses.log().sum(), net)) < 1e-14


# --- the gradient passes through the weights -----------------------------------------------------------------------


def test_undetached_raw_weights_stop_all_learning(network):
    net, losses, _ = network
    stopped = np.linalg.norm(flat((1 / losses) @ losses, net))
    assert stopped < 1e-12 * np.linalg.norm(flat(losses.log().sum(), net))


def test_undetached_weights_with_maximum_one_train_only_the_exit_with_the_smallest_loss(network):
    net, losses, gradients = network
    found = flat(torch_weights(losses, "max") @ losses, net)
    assert apart(found, len(losses) * gradients[int(losses.argmin())]) < 1e-12
    assert apart(found, log_sum_gradient(losses.detach().numpy(), gradients)) > 0.1


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_the_undetached_objective_is_the_number_of_exits_over_the_normaliser(normaliser):
    losses = np.random.default_rng(0).lognormal(sigma=2, size=(20, 5))
    expected = {
        "none": np.full(20, 5.0),
        "sum": scipy.stats.hmean(losses, axis=1),
        "max": 5 * losses.min(axis=1),
        "geometric": 5 * scipy.stats.gmean(losses, axis=1),
    }
    found = undetached_objective(losses, normaliser=normaliser)
    np.testing.assert_allclose(found, expected[normaliser], rtol=1e-13)


# --- where it comes to rest ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def problem():
    return linear_residual()


def slope(problem, theta):
    """‖∇S‖ at θ."""
    return np.linalg.norm(log_sum_gradient(problem.losses(theta), problem.gradients(theta)))


def test_the_fixed_point_is_stationary_for_the_sum_of_logarithms(problem):
    # slopes of up to 1/ℓ_6 = 100 times the gradients come in, so rounding is seen at 1e-12
    assert slope(problem, adaloss_fixed_point(problem)) < 1e-11
    assert slope(problem, problem.minimiser(np.ones(6))) > 1  # CONST's optimum is not


def test_a_minimiser_that_knows_no_weights_ends_at_the_fixed_point(problem):
    point = adaloss_fixed_point(problem)
    for start in np.random.default_rng(0).normal(size=(10, 6)) * 2:
        found = scipy.optimize.minimize(
            lambda theta: log_sum(problem.losses(theta)), start, options={"gtol": 1e-8, "maxiter": 1000}
        )
        assert np.linalg.norm(found.x - point) < 1e-5
    assert np.linalg.norm(problem.minimiser(np.ones(6)) - point) > 0.1


@pytest.mark.parametrize(("normaliser", "learning_rate"), [("none", 4e-4), ("max", 0.03)])
def test_descent_ends_at_the_fixed_point(problem, normaliser, learning_rate):
    start = np.random.default_rng(0).normal(size=6)
    end = descend(problem, start, steps=15_000, learning_rate=learning_rate, normaliser=normaliser)[-1]
    assert np.linalg.norm(end - adaloss_fixed_point(problem)) < 1e-9


def test_when_weights_are_made_anew(problem):
    path = descend(problem, np.ones(6) / 2, steps=8, learning_rate=1e-3, refresh_period=3)
    for step, made_at in ((0, None), (2, None), (3, 2), (5, 2), (6, 5)):  # made in steps 3 and 6, used one later
        weights = np.ones(6) if made_at is None else inverse_weights(problem.losses(path[made_at]), normaliser="max")
        np.testing.assert_allclose(path[step + 1] - path[step], -1e-3 * weights @ problem.gradients(path[step]))


@pytest.mark.parametrize("factors", [2.0 ** np.array([5, -7, 3, 0, -2, 9]), 10.0 ** np.array([3, -1, 2, -3, 0, 1])])
def test_other_units_move_neither_the_raw_path_nor_the_fixed_point_unless_there_is_a_floor(problem, factors):
    def walk(units):
        return descend(units, np.zeros(6), steps=400, learning_rate=1e-3, normaliser="none")

    def shift(floor):
        there, here = (adaloss_fixed_point(units, floor=floor) for units in (problem.rescaled(factors), problem))
        return np.linalg.norm(there - here) / np.linalg.norm(here)

    np.testing.assert_allclose(walk(problem.rescaled(factors)), walk(problem), atol=1e-12)
    assert shift(0.0) < 1e-9
    assert shift(0.07) > 0.1


@pytest.mark.parametrize("floor", [0.07, 0.3])
def test_with_a_floor_the_fixed_point_is_stationary_for_a_mixture_with_a_frozen_minimum(problem, floor):
    theta = adaloss_fixed_point(problem, floor=floor)
    losses, gradients = problem.losses(theta), problem.gradients(theta)
    mixture = (1 - floor) * losses.min() * log_sum_gradient(losses, gradients) + floor * gradients.sum(axis=0)
    assert np.linalg.norm(mixture) < 1e-12
    assert slope(problem, theta) > 1  # not for the sum of logarithms
    assert np.linalg.norm(gradients.sum(axis=0)) > 0.1  # nor for the sum


# --- the weights ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.25, 1, 2]),
        ({"normaliser": "sum"}, [1 / 13, 4 / 13, 8 / 13]),
        ({"normaliser": "max"}, [0.125, 0.5, 1]),
        ({"normaliser": "geometric"}, np.array([0.25, 1, 2]) * 2 ** (1 / 3)),
        ({"normaliser": "max", "floor": 0.2}, [0.3, 0.6, 1]),
    ],
)
def test_weights_by_hand(options, expected):
    np.testing.assert_allclose(inverse_weights(np.array([4.0, 1.0, 0.5]), **options), expected, rtol=1e-15)


def test_an_iteration_that_does_not_come_to_rest_says_so(problem):
    with pytest.raises(NoFixedPoint, match="after 3 steps θ still moves by"):
        adaloss_fixed_point(problem, max_steps=3)

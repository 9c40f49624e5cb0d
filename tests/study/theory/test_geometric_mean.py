"""AdaLoss descends the logarithm of the geometric mean, if no gradient passes through its weights."""

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch
from torch import nn

from anytime_core.weighting.adaloss import AdaLoss
from anytime_study.theory import geometric_mean
from anytime_study.theory.geometric_mean import (
    RunningWeights,
    adaloss_fixed_point,
    adaloss_step,
    descend,
    inverse_weights,
    log_sum,
    log_sum_gradient,
    loss_floor_fixed_points,
    majoriser,
    undetached_objective,
    weight_floor_fixed_points,
)
from anytime_study.theory.linear_residual import linear_residual
from anytime_study.theory.quadratics import QuadraticLosses, two_targets

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


@pytest.mark.parametrize(("momentum", "refresh_period", "floor"), [(0.9, 7, 0.07), (0.0, 3, 0.3), (0.99, 1, 0.07)])
def test_running_weights_are_the_librarys_own(momentum, refresh_period, floor):
    """The torch module sees the same losses, and has the same weights before every step."""
    knobs = {"momentum": momentum, "refresh_period": refresh_period, "floor": floor}
    ours, theirs = RunningWeights(2, **knobs), AdaLoss(2, **knobs).double()
    seen = set()
    for losses in np.random.default_rng(0).lognormal(size=(100, 2)):
        np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-12)
        seen.add(tuple(ours.weights))
        assert ours(losses.tolist()) is ours.weights
        theirs(torch.from_numpy(losses))
    assert len(seen) > 10  # they did change


def pairs(count=20_000, exits=4):
    random = np.random.default_rng(1)
    return np.exp(random.normal(size=(count, exits))), np.exp(random.normal(size=(count, exits)))


def test_tangents_lie_above_the_logarithms_and_touch_them_at_the_anchor():
    losses, anchors = pairs()
    assert (majoriser(losses, anchors) - log_sum(losses)).min() > 0
    assert majoriser(anchors, anchors) == pytest.approx(log_sum(anchors), abs=1e-12)
    for factor in (0.9, 1.1):  # a line through the same point with another slope crosses the logarithm
        line = log_sum(anchors) + factor * (losses / anchors - 1).sum(axis=-1)
        assert (line - log_sum(losses)).min() < 0


def test_where_the_weighted_sum_does_not_rise_the_log_sum_falls_at_least_as_jensen_says():
    losses, anchors = pairs()
    mean, change = (losses / anchors).mean(axis=-1), log_sum(losses) - log_sum(anchors)
    assert (mean <= 1).sum() > 1000
    assert (4 * np.log(mean) - change).min() > 0
    assert change[mean <= 1].max() < 0
    assert change[mean > 1].min() < 0  # the converse is false


# --- the gradient, in a real network -------------------------------------------------------------------------------


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
    return net, losses, np.array([flat(loss, net) for loss in losses])


def flat(objective, net):
    """The gradient of ``objective`` with respect to all parameters, [d]."""
    found = torch.autograd.grad(
        objective, list(net.parameters()), retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return torch.cat([gradient.flatten() for gradient in found]).numpy()


def apart(found, expected):
    """Distance relative to the length of what is expected."""
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def test_detached_inverse_weights_give_the_gradient_of_the_sum_of_logarithms(network):
    net, losses, _ = network
    assert apart(flat((1 / losses).detach() @ losses, net), flat(losses.log().sum(), net)) < 1e-14


def test_undetached_weights_stop_all_learning_or_train_only_the_exit_with_the_smallest_loss(network):
    net, losses, gradients = network
    raw = 1 / losses
    assert np.linalg.norm(flat(raw @ losses, net)) < 1e-12 * np.linalg.norm(flat(losses.log().sum(), net))
    found = flat(raw / raw.max() @ losses, net)
    assert apart(found, len(losses) * gradients[int(losses.argmin())]) < 1e-12
    assert apart(found, log_sum_gradient(losses.detach().numpy(), gradients)) > 0.1


def test_the_undetached_objective_is_the_number_of_exits_over_the_normaliser():
    losses = np.random.default_rng(0).lognormal(sigma=2, size=(20, 5))
    expected = {
        "none": np.full(20, 5.0),
        "sum": scipy.stats.hmean(losses, axis=1),
        "max": 5 * losses.min(axis=1),
        "geometric": 5 * scipy.stats.gmean(losses, axis=1),
    }
    for normaliser, values in expected.items():
        np.testing.assert_allclose(undetached_objective(losses, normaliser=normaliser), values, rtol=1e-13)


# --- where it comes to rest ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def problem():
    return linear_residual()


def slope(problem, theta):
    """‖∇S‖ at θ."""
    return np.linalg.norm(log_sum_gradient(problem.losses(theta), problem.gradients(theta)))


def test_a_minimiser_that_knows_no_weights_ends_at_the_fixed_point(problem, monkeypatch):
    point, const = adaloss_fixed_point(problem), problem.minimiser(np.ones(6))
    # slopes of up to 1/ℓ_6 = 100 times the gradients come in, so rounding is seen at 1e-12
    assert slope(problem, point) < 1e-11
    assert slope(problem, const) > 1
    for start in np.random.default_rng(0).normal(size=(10, 6)) * 2:
        found = scipy.optimize.minimize(
            lambda theta: log_sum(problem.losses(theta)), start, options={"gtol": 1e-8, "maxiter": 1000}
        )
        assert np.linalg.norm(found.x - point) < 1e-5
    assert np.linalg.norm(const - point) > 0.1
    monkeypatch.setattr(geometric_mean, "_MOST_STEPS", 3)
    with pytest.raises(RuntimeError, match="after 3 steps θ still moves by"):
        adaloss_fixed_point(problem)


# Six exits, ρ = 0.8: σ² -> weights or floor -> (mean of loss / OPT - 1, that of the last exit, mean ln ratio), as
# printed, computed apart from this code
CONST, LINEAR, LAST = (1.0,) * 6, tuple(np.linspace(0.25, 1, 6)), (0.0,) * 5 + (1.0,)
TABLE = {
    0.01: {
        CONST: ("23.6", "136", "1.33"), LINEAR: ("12.5", "71", "1.15"), LAST: ("0.933", "0", "0.613"),
        0.0: ("0.915", "0.027", "0.608"), 0.07: ("3.91", "19.9", "0.956"),
    },
    1.0: {
        CONST: ("0.625", "1.36", "0.457"), LINEAR: ("0.456", "0.713", "0.372"), LAST: ("0.572", "0", "0.433"),
        0.0: ("0.413", "0.297", "0.341"), 0.07: ("0.416", "0.413", "0.346"),
    },
    10.0: {
        CONST: ("0.130", "0.136", "0.122"), LINEAR: ("0.127", "0.071", "0.118"), 0.0: ("0.125", "0.090", "0.117"),
    },
}  # fmt: skip


@pytest.mark.parametrize("sigma2", TABLE)
def test_six_exits_end_as_in_an_independent_programs_table(sigma2):
    problem = linear_residual(6, sigma2=sigma2)
    for rule, printed in TABLE[sigma2].items():
        theta = problem.minimiser(rule) if isinstance(rule, tuple) else adaloss_fixed_point(problem, floor=rule)
        found = problem.increases(theta)
        for value, text in zip((found.mean(), found[-1], np.log1p(found).mean()), printed, strict=True):
            assert value == pytest.approx(float(text), abs=0.51 * 10.0 ** -len(text.partition(".")[2])), rule


def test_the_fixed_point_is_proportionally_fair(problem):
    """No alternative, near or far, improves on it by the mean of the relative changes."""
    theta = adaloss_fixed_point(problem)
    generator = np.random.default_rng(0)
    others = theta + 10 ** generator.uniform(-4, 0.5, size=(20_000, 1)) * generator.normal(size=(20_000, 6))
    relative = (np.array([problem.losses(other) for other in others]) / problem.losses(theta)).mean(axis=-1)
    assert 1 - 1e-12 <= relative.min() < 1 + 1e-4
    const = problem.minimiser(np.ones(6))
    assert (problem.losses(adaloss_step(problem, const)) / problem.losses(const)).mean() < 0.9


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


def random_quadratics(random, *, num_exits=5, dim=4):
    """K quadratics ℓ_i = ‖R_i (θ - μ_i)‖² + c_i with nothing in common; most exits do not determine θ alone."""
    roots = random.normal(size=(num_exits, dim, dim))
    roots *= np.arange(dim)[:, None] < random.integers(1, dim + 1, size=num_exits)[:, None, None]
    targets = random.normal(size=(num_exits, dim))
    curvature = roots.transpose(0, 2, 1) @ roots
    slope = np.einsum("kij,kj->ki", curvature, targets)
    return QuadraticLosses(
        curvature, slope, np.einsum("ki,ki->k", slope, targets) + random.exponential(0.05, num_exits)
    )


def test_exact_steps_never_raise_the_log_sum_and_those_with_squared_losses_do():
    random = np.random.default_rng(0)
    rises = []
    for problem in (random_quadratics(random) for _ in range(80)):
        theta, other, path, others = np.zeros(4), np.zeros(4), [], []
        for _ in range(25):
            path.append(log_sum(problem.losses(theta)))
            others.append(log_sum(problem.losses(other)))
            theta, other = adaloss_step(problem, theta), problem.minimiser(problem.losses(other) ** -2)
        assert np.diff(path).max() < 1e-8  # rounding in the solver
        rises.append(np.diff(others).max())
    assert np.mean(np.array(rises) > 1e-6) > 0.2


# --- two targets: where losses near zero lead ----------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0.01, 0.05, 0.1, 0.2, 0.24, 0.25, 0.26, 0.5, 3])
def test_the_stable_points_are_the_minima_on_a_grid(epsilon):
    step = 1e-5 if epsilon != 0.25 else 1e-3  # there S is flat to fourth order, and rounding would look like minima
    grid = np.linspace(0, 1, round(1 / step) + 1)
    values = np.log(grid**2 + epsilon) + np.log((1 - grid) ** 2 + epsilon)
    inner = (values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])
    assert grid[1:-1][inner] == pytest.approx(loss_floor_fixed_points(epsilon), abs=step)


@pytest.mark.parametrize("epsilon", [0.05, 0.3])
def test_gradient_descent_ends_in_the_basin_where_it_began(epsilon):
    low, high = loss_floor_fixed_points(epsilon)[[0, -1]]
    starts = (0.1, 0.45, 0.55, 0.9)
    found = [descend(two_targets(epsilon), [start], steps=500, learning_rate=0.2)[-1, 0] for start in starts]
    assert found == pytest.approx([low, low, high, high], abs=1e-9)
    assert two_targets(epsilon).minimiser([1, 1]) == pytest.approx([0.5])


@pytest.mark.parametrize("floor", [0.01, 0.07, 0.2, 0.4, 0.55, 0.9])
def test_with_a_weight_floor_the_stable_point_is_the_floor(floor):
    stable = weight_floor_fixed_points(floor)
    for start, point in ((0.3, stable[0]), (0.7, stable[-1])):
        assert adaloss_fixed_point(two_targets(0.0), start=[start], floor=floor)[0] == pytest.approx(point, abs=1e-12)


@pytest.mark.parametrize("learning_rate", [1e-4, 1e-2, 3.0])
def test_descent_with_raw_weights_on_one_square_is_booles_map_at_every_learning_rate(learning_rate):
    """x → x - 1/x in the unit √(2η), which only sets the unit."""
    alone = QuadraticLosses(np.ones((1, 1, 1)), np.zeros((1, 1)), np.zeros(1))  # ℓ = θ²
    unit = np.sqrt(2 * learning_rate)
    path = descend(alone, [0.7 * unit], steps=7, learning_rate=learning_rate, normaliser="none")[:, 0] / unit
    assert path[0] == pytest.approx(0.7)
    assert path[1:] == pytest.approx(path[:-1] - 1 / path[:-1], rel=1e-9)

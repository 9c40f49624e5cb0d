import numpy as np
import pytest

from anytime_study.theory.geometric_mean import adaloss_fixed_point, inverse_weights, log_sum
from anytime_study.theory.majorise_minimise import (
    contraction,
    descent_bound,
    majorise_minimise,
    majoriser,
    power_sum,
    random_quadratics,
)
from anytime_study.theory.quadratics import linear_residual, two_targets

STEPS = 25


@pytest.fixture(scope="module")
def problems():
    random = np.random.default_rng(0)
    return [random_quadratics(random) for _ in range(80)]


@pytest.fixture(scope="module")
def losses_on_the_way(problems):
    """Losses [problem, T + 1, K] of exact steps from θ = 0, by power."""

    def walk(problem, power):
        path = majorise_minimise(problem, np.zeros(problem.dim), steps=STEPS, power=power)
        return [problem.losses(theta) for theta in path]

    return {power: np.array([walk(problem, power) for problem in problems]) for power in (0, 0.5, 1, 2, 3)}


def pairs(count=20_000, exits=4):
    random = np.random.default_rng(1)
    return np.exp(random.normal(size=(count, exits))), np.exp(random.normal(size=(count, exits)))


# --- the tangents ----------------------------------------------------------------------------------------------------


def test_tangents_lie_above_the_logarithms_and_touch_them_at_the_anchor():
    losses, anchors = pairs()
    assert (majoriser(losses, anchors) - log_sum(losses)).min() > 0
    assert majoriser(anchors, anchors) == pytest.approx(log_sum(anchors), abs=1e-12)


def test_only_the_slope_one_over_the_anchor_gives_a_bound():
    """Negative control: a line through the same point with another slope crosses the logarithm."""
    losses, anchors = pairs()
    for factor in (0.9, 1.1):
        line = log_sum(anchors) + factor * (losses / anchors - 1).sum(axis=-1)
        assert (line - log_sum(losses)).min() < 0


def test_jensen_lies_between_the_change_and_the_tangents():
    losses, anchors = pairs()
    change, bound = log_sum(losses) - log_sum(anchors), descent_bound(losses, anchors)
    assert (bound - change).min() > 0
    assert (majoriser(losses, anchors) - log_sum(anchors) - bound).min() >= 0
    # tight: a common factor is the case of equality
    assert descent_bound(3 * anchors, anchors) == pytest.approx(np.full(len(anchors), 4 * np.log(3)))


# --- the descent lemma -----------------------------------------------------------------------------------------------


def test_where_the_weighted_sum_does_not_rise_the_log_sum_falls():
    losses, anchors = pairs()
    lowered = (losses / anchors).mean(axis=-1) <= 1
    assert lowered.sum() > 1000
    assert (log_sum(losses) - log_sum(anchors))[lowered].max() < 0


def test_the_converse_is_false():
    losses, anchors = pairs()
    raised = (losses / anchors).mean(axis=-1) > 1
    share = (log_sum(losses) < log_sum(anchors))[raised].mean()
    assert 0.2 < share < 0.5
    # by hand: the product falls to 0.3, the weighted sum rises from 2 to 3.1
    assert log_sum(np.array([3, 0.1])) < 0 < descent_bound(np.array([3, 0.1]), np.ones(2))


def test_the_lemma_needs_neither_convex_losses_nor_a_minimiser():
    """Blind random moves on bumpy losses, taken when they lower the weighted sum: S falls at every move."""
    random = np.random.default_rng(2)
    frequency, phase = random.uniform(1, 9, size=(3, 2)), random.uniform(0, 6, size=3)

    def bumpy(theta):
        return 1.05 + np.sin(frequency @ theta + phase)

    theta, moves = np.zeros(2), 0
    for _ in range(2000):
        old, candidate = bumpy(theta), theta + random.normal(scale=0.3, size=2)
        if (bumpy(candidate) / old).sum() < 3:
            assert log_sum(bumpy(candidate)) < log_sum(old)
            theta, moves = candidate, moves + 1
    assert moves > 5
    slopes = [
        (bumpy(np.array([t + 0.1, 0])) - 2 * bumpy(np.array([t, 0])) + bumpy(np.array([t - 0.1, 0]))) for t in (0, 1, 2)
    ]
    assert np.min(slopes) < 0 < np.max(slopes)  # not convex, not concave


def test_exact_steps_never_raise_the_log_sum(losses_on_the_way):
    assert np.diff(log_sum(losses_on_the_way[1]), axis=1).max() < 1e-8  # rounding in the solver


@pytest.mark.parametrize("power", [0.5, 2, 3])
def test_other_powers_raise_the_log_sum(losses_on_the_way, power):
    rises = np.diff(log_sum(losses_on_the_way[power]), axis=1).max(axis=1)
    assert (rises > 1e-6).mean() > 0.2
    assert rises.max() > 0.1


@pytest.mark.parametrize("power", [0, 0.5, 1, 2, 3])
def test_every_power_descends_its_own_sum(losses_on_the_way, power):
    own = power_sum(losses_on_the_way[power], power)
    assert (np.diff(own, axis=1) / np.maximum(np.abs(own[:, 1:]), 1)).max() < 1e-8
    assert np.diff(own, axis=1).min() < -0.1  # and does descend


@pytest.mark.parametrize("power", [0, 0.5, 1, 2, 3])
def test_the_weights_are_the_slopes_of_the_power_sum(power):
    losses, small = np.array([0.3, 1.0, 7.0]), 1e-6
    slopes = [
        (power_sum(losses + small * unit, power) - power_sum(losses - small * unit, power)) / (2 * small)
        for unit in np.eye(3)
    ]
    assert slopes == pytest.approx(inverse_weights(losses, power=power), rel=1e-7)
    assert slopes != pytest.approx(inverse_weights(losses, power=power + 0.1), rel=1e-3)


def test_stale_weights_still_lower_the_log_sum_from_refresh_to_refresh_if_the_learning_rate_is_stable():
    problem = linear_residual()

    def refreshes(factor, *, period=20, count=30):
        """S at every refresh, for the learning rate ``factor`` / (largest curvature of the current weighted sum)."""
        theta, seen = np.zeros(problem.dim), []
        for _ in range(count):
            seen.append(log_sum(problem.losses(theta)))
            weights = inverse_weights(problem.losses(theta))
            rate = factor / np.linalg.eigvalsh(2 * np.tensordot(weights, problem.curvature, axes=1))[-1]
            for _ in range(period):
                theta = theta - rate * weights @ problem.gradients(theta)
        return np.array(seen)

    assert np.diff(refreshes(1.9)).max() < 1e-10
    assert np.diff(refreshes(2.5)).max() > 1


def test_a_whole_step_is_the_best_step_of_frank_and_wolfe(problems):
    """The line search between the old losses and those of the new minimiser always ends at the far end."""
    shares = np.linspace(0, 1, 101)[:, None]
    for problem in problems[:20]:
        old, new = (problem.losses(theta) for theta in majorise_minimise(problem, np.zeros(problem.dim), steps=1))
        assert log_sum((1 - shares) * old + shares * new).argmin() == 100


# --- the rate --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_the_predicted_rate_is_the_observed_one(power):
    problem = linear_residual()
    end = adaloss_fixed_point(problem, power=power)
    distances = np.linalg.norm(majorise_minimise(problem, np.zeros(6), steps=12, power=power) - end, axis=1)
    assert distances[12] / distances[11] == pytest.approx(contraction(problem, end, power=power), rel=1e-3)
    assert distances[1] / distances[0] != pytest.approx(contraction(problem, end, power=power), rel=1e-2)


def test_the_rate_of_the_six_exits():
    problem = linear_residual()
    assert contraction(problem, adaloss_fixed_point(problem)) == pytest.approx(0.07988, abs=5e-6)
    assert contraction(problem, problem.minimiser(np.ones(6)), power=0) == 0  # CONST is there after one step


@pytest.mark.parametrize("epsilon", [0.2, 0.25, 0.3, 0.5])
def test_the_middle_attracts_from_a_quarter_on(epsilon):
    problem, small = two_targets(epsilon), 1e-6
    found = contraction(problem, np.array([0.5]))
    assert found == pytest.approx(1 / (2 * (0.25 + epsilon)), rel=1e-12)
    moved = majorise_minimise(problem, np.array([0.5 + small]), steps=1)[1, 0]  # a walk knows no formula
    assert (moved - 0.5) / small == pytest.approx(found, rel=1e-6)
    assert (found > 1) == (epsilon < 0.25)


def test_random_problems_are_seeded_and_never_below_their_remainders():
    first, second = (random_quadratics(np.random.default_rng(5), num_exits=7, dim=3) for _ in range(2))
    assert np.array_equal(first.curvature, second.curvature)
    assert first.num_exits == 7
    assert first.dim == 3
    assert np.linalg.eigvalsh(first.curvature).min() > -1e-12
    assert {int(rank) for rank in np.linalg.matrix_rank(first.curvature)} == {1, 2, 3}
    assert first.optima.min() > 0

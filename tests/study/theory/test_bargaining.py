import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from anytime_study.theory.bargaining import bargaining_weights, nash_bargaining, nash_step
from anytime_study.theory.geometric_mean import adaloss_fixed_point
from anytime_study.theory.quadratics import linear_residual, two_targets

NEST = linear_residual()
NOTHING = NEST.losses(np.zeros(6))  # what every exit gets if it answers 0
BARGAIN = nash_bargaining(NEST, NOTHING)
GEOMETRIC = adaloss_fixed_point(NEST, tolerance=1e-12)
CONST = NEST.minimiser(np.ones(6))


def distance(theta, other):
    return np.linalg.norm(theta - other) / np.linalg.norm(other)


# --- the bargain is the maximum of the product of gains ------------------------------------------------------------


def test_no_point_near_or_far_has_a_larger_product():
    """Random search knows nothing of gradients. The other solutions lose by a margin."""

    def objective(theta):
        gains = NOTHING - NEST.losses(theta)
        return np.log(gains).sum() if (gains > 0).all() else -np.inf

    best = objective(BARGAIN)
    generator = np.random.default_rng(0)
    for width in (1e-4, 1e-2, 1.0):
        assert max(objective(BARGAIN + width * step) for step in generator.normal(size=(500, 6))) < best
    assert best - objective(CONST) > 1e-3
    assert best - objective(GEOMETRIC) > 1e-2


def test_a_general_solver_finds_the_same_point():
    found = scipy.optimize.minimize(
        lambda theta: -np.log(np.maximum(NOTHING - NEST.losses(theta), 1e-300)).sum(), CONST, method="BFGS"
    )
    assert distance(found.x, BARGAIN) < 1e-4
    assert distance(CONST, BARGAIN) > 0.01


def test_the_bargain_minimises_the_sum_under_its_own_weights_and_not_under_others():
    weights = bargaining_weights(NEST.losses(BARGAIN), NOTHING)
    assert distance(NEST.minimiser(weights), BARGAIN) < 1e-12
    assert distance(NEST.minimiser(1 / weights), BARGAIN) > 0.01


@pytest.mark.parametrize("floor", [0.05, 0.2, 0.3])
def test_equal_exits_meet_in_the_middle_where_the_geometric_mean_may_take_a_side(floor):
    problem = two_targets(floor)
    assert nash_bargaining(problem, 1 + floor) == pytest.approx(0.5, abs=1e-12)
    ends = [adaloss_fixed_point(problem, start=[start]).item() for start in (0.4, 0.6)]
    if floor < 0.25:
        side = (1 - np.sqrt(1 - 4 * floor)) / 2
        np.testing.assert_allclose(ends, [side, 1 - side], atol=1e-10)
    else:
        np.testing.assert_allclose(ends, 0.5, atol=1e-7)


# --- units ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_bargain_is_free_of_scale_and_offset_if_the_disagreement_moves_along(seed):
    generator = np.random.default_rng(seed)
    factors, offsets = 10 ** generator.uniform(-2, 2, size=6), generator.uniform(0, 10, size=6)
    assert distance(nash_bargaining(NEST.rescaled(factors, offsets), factors * NOTHING + offsets), BARGAIN) < 1e-12
    # one that does not move along: a loss in larger units seems to have more to lose
    stays = nash_bargaining(NEST.rescaled(factors), factors.max() * NOTHING)
    assert distance(stays, BARGAIN) > 1e-2


@pytest.mark.parametrize("seed", range(5))
def test_the_geometric_mean_is_free_of_scale_only_and_the_sum_of_offset_only(seed):
    generator = np.random.default_rng(seed)
    factors, offsets = 10 ** generator.uniform(-2, 2, size=6), generator.uniform(0, 10, size=6)
    scaled, both = NEST.rescaled(factors), NEST.rescaled(factors, offsets)
    assert distance(adaloss_fixed_point(scaled, tolerance=1e-12), GEOMETRIC) < 1e-10
    assert distance(adaloss_fixed_point(both, tolerance=1e-12), GEOMETRIC) > 1e-3
    assert distance(scaled.minimiser(np.ones(6)), CONST) > 0.05
    assert distance(NEST.rescaled(1, offsets).minimiser(np.ones(6)), CONST) < 1e-12


def test_the_noise_of_the_target_moves_the_geometric_mean_only():
    """σ² is an offset that all losses and the disagreement share."""
    loud = linear_residual(sigma2=10)
    assert distance(nash_bargaining(loud, loud.losses(np.zeros(6))), BARGAIN) < 1e-12
    assert distance(loud.minimiser(np.ones(6)), CONST) < 1e-12
    assert distance(adaloss_fixed_point(loud, tolerance=1e-12), GEOMETRIC) > 0.1


# --- who is helped -------------------------------------------------------------------------------------------------


def test_the_bargain_helps_the_largest_loss_and_the_geometric_mean_the_smallest():
    bargain, geometric = NEST.losses(BARGAIN), NEST.losses(GEOMETRIC)
    assert scipy.stats.spearmanr(bargaining_weights(bargain, NOTHING), bargain).statistic == pytest.approx(1)
    assert scipy.stats.spearmanr(1 / geometric, geometric).statistic == pytest.approx(-1)
    const = NEST.losses(CONST)
    assert bargain[0] < const[0] < geometric[0]
    assert bargain[-1] > const[-1] > geometric[-1]


def test_the_relative_increases_are_those_of_an_independent_program():
    found = NEST.losses(BARGAIN) / NEST.optima - 1
    np.testing.assert_allclose(found, [0.177, 0.306, 0.533, 1.17, 4.76, 184], rtol=4e-3)


def test_a_distant_disagreement_is_const_at_the_rate_one_over_d():
    gaps = [distance(nash_bargaining(NEST, 10.0**power), CONST) for power in (3, 4, 5, 6)]
    np.testing.assert_allclose(np.diff(np.log10(gaps)), -1, atol=5e-3)


def test_a_distant_disagreement_in_other_proportions_is_another_weighted_sum():
    """Only if all d_i grow alike is CONST the limit."""
    proportions = np.array([1.0, 2, 3, 4, 5, 6])
    bargain = nash_bargaining(NEST, 1e8 * proportions)
    assert distance(bargain, NEST.minimiser(1 / proportions)) < 1e-6
    assert distance(bargain, CONST) > 0.01


# --- bargains that are hard or impossible --------------------------------------------------------------------------


@pytest.mark.parametrize("room", [1e-6, 1e-3, 1.0])
def test_a_bargain_with_little_to_gain_is_found(room):
    """Of the two targets no point but 1/2 gives both ¼ + ε, so there is little room just above it."""
    problem = two_targets(0.1)
    assert nash_bargaining(problem, 0.35 + room) == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize("disagreement", [0.05, 0.34, 0.35, np.nan, np.inf])
def test_a_disagreement_that_not_all_can_go_below_is_refused(disagreement):
    with pytest.raises(ValueError, match="disagreement: expected"):
        nash_bargaining(two_targets(0.1), disagreement)


def test_an_exit_without_a_gain_has_no_weight():
    assert np.array_equal(bargaining_weights([1.0, 3.0], [2.0, 5.0]), [1.0, 0.5])
    with pytest.raises(ValueError, match="losses: expected all below the disagreement losses"):
        bargaining_weights([1.0, 3.0], 3.0)


# --- bargaining over a step ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_the_step_solves_its_equation_and_has_the_squared_length_k(seed):
    gradients = np.random.default_rng(seed).normal(size=(3, 8))
    step = nash_step(gradients)
    np.testing.assert_allclose(gradients @ gradients.T @ step.weights, 1 / step.weights, rtol=1e-10)
    np.testing.assert_allclose(gradients.T @ step.weights, step.direction, rtol=1e-10, atol=1e-12)
    assert step.direction @ step.direction == pytest.approx(3, rel=1e-12)
    assert (step.weights > 0).all()


def test_the_step_maximises_the_product_of_descents_in_the_ball():
    gradients = np.random.default_rng(3).normal(size=(3, 8))
    direction = nash_step(gradients).direction
    best = np.log(gradients @ direction).sum()
    for width in (1e-3, 0.1, 10):
        others = direction + width * np.random.default_rng(4).normal(size=(500, 8))
        others *= np.sqrt(3) / np.linalg.norm(others, axis=1, keepdims=True)
        rates = others @ gradients.T
        assert np.log(rates[(rates > 0).all(axis=1)]).sum(axis=1).max(initial=-np.inf) < best


@pytest.mark.parametrize("seed", range(10))
def test_the_step_is_free_of_scale_and_the_sum_of_gradients_is_not(seed):
    generator = np.random.default_rng(seed)
    gradients, factors = generator.normal(size=(3, 8)), 10 ** generator.uniform(-3, 3, size=(3, 1))
    before, after = nash_step(gradients), nash_step(factors * gradients)
    np.testing.assert_allclose(after.direction, before.direction, atol=1e-11)
    np.testing.assert_allclose(after.weights * factors[:, 0], before.weights, rtol=1e-10)
    plain, scaled = gradients.sum(axis=0), (factors * gradients).sum(axis=0)
    assert distance(scaled / np.linalg.norm(scaled), plain / np.linalg.norm(plain)) > 0.01


@pytest.mark.parametrize("cosine", [-0.99, -0.5, 0.0, 0.9])
def test_two_exits_go_along_the_bisector(cosine):
    """u = (ĝ_1 + ĝ_2) / √(1 + cosine), whatever the lengths."""
    unit = np.array([[1.0, 0.0], [cosine, np.sqrt(1 - cosine**2)]])
    expected = unit.sum(axis=0) / np.sqrt(1 + cosine)
    np.testing.assert_allclose(nash_step(unit * [[5.0], [0.01]]).direction, expected, rtol=1e-10, atol=1e-12)


def test_a_pareto_stationary_point_has_no_step_and_one_beside_it_has():
    opposed = np.array([[1.0, 0.0], [-2.0, 0.0]])
    with pytest.raises(ValueError, match="found a Pareto stationary point"):
        nash_step(opposed)
    direction = nash_step(opposed + np.array([[0, 1e-5], [0, 2e-5]])).direction
    np.testing.assert_allclose(direction, [0, np.sqrt(2)], atol=1e-6)


def test_an_exit_that_has_converged_has_no_say():
    with pytest.raises(ValueError, match="gradients: expected all above 0 in length"):
        nash_step(np.array([[1.0, 0.0], [0.0, 0.0]]))


@pytest.mark.parametrize("start", [-0.3, 0.2, 0.5, 1.3])
def test_where_the_steps_end_depends_on_the_start(start):
    """ℓ_i = ½‖θ - μ_i‖²: they follow the hyperbola with foci μ_i through the start, to the segment between the foci."""
    foci, theta, rate = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([start, 1.5]), 1e-3
    near, far = np.linalg.norm(theta - foci, axis=1)
    for _ in range(3000):
        if theta[1] < 2 * rate:
            break
        theta = theta - rate * nash_step(theta - foci).direction
    assert theta[1] < 2 * rate
    assert theta[0] == pytest.approx((1 + near - far) / 2, abs=2e-3)

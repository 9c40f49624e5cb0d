import numpy as np
import pytest
from scipy import optimize
from scipy.special import expit

from anytime_study.theory.geometric_mean import adaloss_fixed_point
from anytime_study.theory.quadratics import linear_residual, two_targets, wanted_places

NETWORKS = [(1, 0.8, 0.01), (2, 0.8, 1.0), (6, 0.8, 0.01), (6, 0.0, 0.1), (9, 0.95, 10.0)]


def simulated(num_exits, correlation, sigma2, theta, *, samples=60_000):
    """Mean squared error of every exit and its standard error on drawn data, without covariances: x is a chain."""
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(samples, num_exits))
    inputs = noise.copy()
    for j in range(1, num_exits):
        inputs[:, j] = correlation * inputs[:, j - 1] + np.sqrt(1 - correlation**2) * noise[:, j]
    target = inputs.sum(axis=1) + np.sqrt(sigma2) * generator.normal(size=samples)
    squared = (target[:, None] - np.cumsum(inputs * theta, axis=1)) ** 2
    return squared.mean(axis=0), squared.std(axis=0) / np.sqrt(samples)


# --- the linear residual network -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("num_exits", "correlation", "sigma2"), NETWORKS)
def test_the_losses_are_the_mean_squared_errors_of_the_network(num_exits, correlation, sigma2):
    theta = np.random.default_rng(1).normal(1, 0.5, num_exits)
    mean, standard_error = simulated(num_exits, correlation, sigma2, theta)
    losses = linear_residual(num_exits, correlation=correlation, sigma2=sigma2).losses(theta)
    assert np.abs((mean - losses) / standard_error).max() < 4
    wrong = linear_residual(num_exits, correlation=correlation, sigma2=1.2 * sigma2 + 0.2).losses(theta)
    assert np.abs((mean - wrong) / standard_error).max() > 6  # the same sample tells another noise from this one


@pytest.mark.parametrize(("num_exits", "correlation", "sigma2"), NETWORKS)
def test_the_optimum_of_an_exit_is_the_noise_and_what_the_unseen_inputs_add(num_exits, correlation, sigma2):
    # given x_1 … x_i the rest of the chain is unknown by its new noise only: the noise that enters m places before
    # the end is summed with factors 1 + ρ + … + ρ^(m-1)
    unseen = [
        (1 - correlation**2) * sum(sum(correlation**n for n in range(m)) ** 2 for m in range(1, num_exits - i + 1))
        for i in range(1, num_exits + 1)
    ]
    optima = linear_residual(num_exits, correlation=correlation, sigma2=sigma2).optima
    np.testing.assert_allclose(optima, sigma2 + np.array(unseen), rtol=1e-10)


def test_no_exit_looks_at_what_lies_behind_it():
    gradients = linear_residual(6).gradients(np.random.default_rng(0).normal(size=6))
    assert np.array_equal(gradients, np.tril(gradients))
    assert np.all(gradients[-1] != 0)


def test_independent_inputs_leave_nothing_to_compete_for():
    for weights in (np.ones(6), np.linspace(0.25, 1, 6), 2.0 ** -np.arange(6)):
        np.testing.assert_allclose(linear_residual(6, correlation=0.0).minimiser(weights), 1, atol=1e-12)
        assert np.abs(linear_residual(6, correlation=0.8).minimiser(weights) - 1).max() > 0.2


def test_fixed_weights_cannot_see_the_noise_and_adaloss_can():
    quiet, noisy = (linear_residual(6, sigma2=sigma2) for sigma2 in (0.01, 10.0))
    theta = np.random.default_rng(0).normal(size=6)
    np.testing.assert_allclose(noisy.losses(theta) - quiet.losses(theta), 9.99, rtol=1e-12)
    for weights in (np.ones(6), np.linspace(0.25, 1, 6)):
        assert np.array_equal(quiet.minimiser(weights), noisy.minimiser(weights))
    assert np.linalg.norm(adaloss_fixed_point(quiet) - adaloss_fixed_point(noisy)) > 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_exits": 0}, "num_exits: expected at least 1, found 0"),
        ({"correlation": -0.1}, "correlation: expected 0 or more and below 1, found -0.1"),
        ({"correlation": 1.0}, "correlation: expected 0 or more and below 1, found 1.0"),
        ({"correlation": np.nan}, "correlation: expected"),
        ({"sigma2": 0.0}, "sigma2: expected a finite number above 0, found 0.0"),
        ({"sigma2": np.inf}, "sigma2: expected a finite number above 0, found inf"),
        ({"sigma2": np.nan}, "sigma2: expected"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        linear_residual(**arguments)


# --- any quadratic losses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", [linear_residual(6), two_targets(0.3)], ids=["residual", "targets"])
def test_gradients_are_the_slopes_of_the_losses(problem):
    theta = np.random.default_rng(0).normal(size=problem.dim)
    steps = np.eye(problem.dim)
    # a central difference of a quadratic is exact for every step length, so a long one loses no digits
    central = np.array([(problem.losses(theta + step) - problem.losses(theta - step)) / 2 for step in steps]).T
    np.testing.assert_allclose(problem.gradients(theta), central, atol=1e-12)
    second = np.array([problem.gradients(theta + step) - problem.gradients(theta) for step in steps])  # [d, K, d]
    np.testing.assert_allclose(second.swapaxes(0, 1), 2 * problem.curvature, atol=1e-12)


def test_the_minimiser_is_the_one_that_a_search_finds():
    problem, weights = linear_residual(6), np.array([0.3, 1.0, 0.1, 2.0, 0.7, 5.0])
    found = optimize.minimize(
        lambda theta: weights @ problem.losses(theta),
        np.zeros(6),
        jac=lambda theta: weights @ problem.gradients(theta),
        options={"gtol": 1e-9},
    )
    np.testing.assert_allclose(problem.minimiser(weights), found.x, atol=1e-8)
    assert np.abs(weights @ problem.gradients(problem.minimiser(weights))).max() < 1e-12
    assert np.abs(weights @ problem.gradients(problem.minimiser(np.ones(6)))).max() > 0.1


def test_only_the_ratios_of_the_weights_matter():
    problem, weights = linear_residual(6), expit(np.arange(6.0))
    assert np.array_equal(problem.minimiser(weights), problem.minimiser(8 * weights))
    assert not np.allclose(problem.minimiser(weights), problem.minimiser(weights**2))


def test_of_many_minimisers_it_takes_the_shortest():
    problem = linear_residual(6)
    alone = problem.minimiser(np.eye(6)[2])
    np.testing.assert_allclose(alone[3:], 0, atol=1e-15)
    longer = alone + np.array([0, 0, 0, 1.0, 2.0, 3.0])
    assert problem.losses(longer)[2] == pytest.approx(problem.losses(alone)[2], rel=1e-14)
    assert problem.losses(alone)[2] == pytest.approx(problem.optima[2], rel=1e-14)


def test_no_point_is_below_an_optimum():
    problem = linear_residual(6)
    points = np.random.default_rng(0).normal(1, 1, size=(2000, 6))
    assert all((problem.losses(point) >= problem.optima - 1e-12).all() for point in points)


def test_rescaled_losses_are_the_same_losses_in_other_units():
    problem, theta = linear_residual(6), np.random.default_rng(0).normal(size=6)
    factors, offsets = 2.0 ** np.array([5, -7, 3, 0, -2, 9]), np.arange(6.0)
    assert np.array_equal(problem.rescaled(factors).losses(theta), factors * problem.losses(theta))
    np.testing.assert_allclose(
        problem.rescaled(factors, offsets).losses(theta), factors * problem.losses(theta) + offsets, rtol=1e-12
    )
    np.testing.assert_allclose(problem.rescaled(3.0, 1.0).losses(theta), 3 * problem.losses(theta) + 1, rtol=1e-12)
    # a weight of 1 / a undoes the unit; the same weight as before does not
    assert np.array_equal(problem.rescaled(factors).minimiser(1 / factors), problem.minimiser(np.ones(6)))
    assert not np.allclose(problem.rescaled(factors).minimiser(np.ones(6)), problem.minimiser(np.ones(6)))


@pytest.mark.parametrize("floor", [0.0, 0.05, 2.0])
@pytest.mark.parametrize("theta", [-1.0, 0.0, 0.25, 1.0])
def test_two_targets_by_hand(floor, theta):
    problem = two_targets(floor)
    losses, gradients = problem.losses(np.array([theta])), problem.gradients(np.array([theta]))
    np.testing.assert_allclose(losses, [theta**2 + floor, (1 - theta) ** 2 + floor], atol=1e-15)
    np.testing.assert_allclose(gradients, [[2 * theta], [-2 * (1 - theta)]], atol=1e-15)
    np.testing.assert_allclose(problem.optima, floor, atol=1e-15)
    np.testing.assert_allclose(problem.minimiser([1, 3]), [0.75])
    assert (problem.num_exits, problem.dim) == (2, 1)


@pytest.mark.parametrize("factors", [0, -1, [1, -1], float("nan")])
def test_only_factors_above_0_make_losses(factors):
    with pytest.raises(ValueError, match="factors: expected numbers above 0, found"):
        two_targets(0.1).rescaled(factors)


@pytest.mark.parametrize("floor", [-1e-9, float("nan")])
def test_no_loss_goes_below_0(floor):
    with pytest.raises(ValueError, match="floor: expected 0 or more, found"):
        two_targets(floor)


def test_wanted_places_by_hand():
    problem = wanted_places([[0.0, 0.0], [4.0, 0.0], [1.0, 3.0]], 0.5)
    theta = np.array([1.0, 1.0])
    np.testing.assert_allclose(problem.losses(theta), [1.5, 5.5, 2.5])
    np.testing.assert_allclose(problem.gradients(theta), [[1, 1], [-3, 1], [0, -2]])
    np.testing.assert_allclose(problem.optima, 0.5)
    np.testing.assert_allclose(problem.minimiser([1, 1, 2]), [1.5, 1.5])


@pytest.mark.parametrize(
    ("places", "floor", "message"),
    [
        ([0.0, 1.0], 0.1, r"places: expected a row of parameters for each exit, found shape \(2,\)"),
        (np.empty((0, 2)), 0.1, "places: expected"),
        ([[0.0]], -0.1, "floor: expected 0 or more, found -0.1"),
    ],
)
def test_places_without_rows_or_with_a_floor_below_0_are_refused(places, floor, message):
    with pytest.raises(ValueError, match=message):
        wanted_places(places, floor)

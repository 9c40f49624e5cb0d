import numpy as np
import pytest
import scipy.stats

from anytime_study.theory.descent import Rule, descend
from anytime_study.theory.geometric_mean import adaloss_fixed_point, inverse_weights, log_sum, log_sum_gradient
from anytime_study.theory.majorise_minimise import majorise_minimise
from anytime_study.theory.quadratics import linear_residual, two_targets
from anytime_study.theory.singularity import (
    boole,
    boole_scales,
    loss_floor_fixed_points,
    one_loss,
    weight_floor_fixed_points,
)

STARTS = (0.1, 0.45, 0.55, 0.9)


def two_target_log_sum(theta, epsilon):
    return np.log(theta**2 + epsilon) + np.log((1 - theta) ** 2 + epsilon)


# --- the pitchfork ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0.01, 0.05, 0.1, 0.2, 0.24, 0.25, 0.26, 0.5, 3])
def test_the_stable_points_are_the_minima_on_a_grid(epsilon):
    step = 1e-5 if epsilon != 0.25 else 1e-3  # there S is flat to fourth order, and rounding would look like minima
    grid = np.linspace(0, 1, round(1 / step) + 1)
    values = two_target_log_sum(grid, epsilon)
    inner = (values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])
    stable, unstable = loss_floor_fixed_points(epsilon)
    assert grid[1:-1][inner] == pytest.approx(stable, abs=step)
    for point in unstable:
        assert two_target_log_sum(point, epsilon) > two_target_log_sum(point + 1e-3, epsilon)
    assert len(unstable) == (epsilon < 0.25)


@pytest.mark.parametrize("epsilon", [0.05, 0.3])
def test_gradient_descent_ends_in_the_basin_where_it_began(epsilon):
    def end(start, rule):
        return descend(two_targets(epsilon), rule, [start], steps=500, learning_rate=0.2).end[0]

    stable, _ = loss_floor_fixed_points(epsilon)
    found = [end(start, Rule(normaliser="max")) for start in STARTS]
    assert found == pytest.approx([stable[0], stable[0], stable[-1], stable[-1]], abs=1e-9)
    assert [end(start, Rule(power=0)) for start in STARTS] == pytest.approx([0.5] * 4, abs=1e-12)


@pytest.mark.parametrize("epsilon", [1e-12, 1e-3, 0.1, 0.2, 0.249])
def test_at_a_minimum_the_losses_are_the_distances_and_their_product_is_the_floor(epsilon):
    theta = loss_floor_fixed_points(epsilon)[0][0]
    losses = np.array([theta**2 + epsilon, (1 - theta) ** 2 + epsilon])
    assert losses == pytest.approx([theta, 1 - theta], rel=1e-9)
    assert losses.prod() == pytest.approx(epsilon, rel=1e-9)
    middle = 0.25 + epsilon
    assert middle**2 > losses.prod()  # the compromise has the larger product


def test_the_curvature_at_the_middle_changes_its_sign_at_a_quarter():
    step = 1e-4
    for epsilon in (0.1, 0.24, 0.26, 0.5):
        values = two_target_log_sum(0.5 + step * np.array([-1, 0, 1]), epsilon)
        curvature = (values[0] - 2 * values[1] + values[2]) / step**2
        assert curvature == pytest.approx(4 * (epsilon - 0.25) / (epsilon + 0.25) ** 2, abs=2e-5)
        assert (curvature > 0) == (epsilon > 0.25)


def test_a_guard_in_the_weights_is_the_same_as_a_floor_of_the_loss():
    """Weights 1 / (ℓ + ε) on losses that reach zero come to rest where 1 / ℓ does on losses with floor ε."""
    clean = two_targets(0.0)
    for epsilon in (0.01, 0.07, 0.2, 0.3):
        theta = np.array([0.1])
        for _ in range(2000):
            theta = clean.minimiser(1 / (clean.losses(theta) + epsilon))
        assert theta[0] == pytest.approx(loss_floor_fixed_points(epsilon)[0][0], abs=1e-12)


# --- the floor of the weights ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor", [0.01, 0.07, 0.2, 0.4, 0.55, 0.9])
def test_with_a_weight_floor_the_stable_point_is_the_floor(floor):
    stable, unstable = weight_floor_fixed_points(floor)
    for start, point in ((0.3, stable[0]), (0.7, stable[-1])):
        assert adaloss_fixed_point(two_targets(0.0), start=[start], floor=floor)[0] == pytest.approx(point, abs=1e-12)
    assert len(unstable) == (floor < 0.5)


def test_the_middle_pushes_away_below_a_floor_of_one_half_only():
    for floor in (0.3, 0.45, 0.55, 0.8):
        theta = np.array([0.499])
        problem = two_targets(0.0)
        moved = problem.minimiser(inverse_weights(problem.losses(theta), normaliser="max", floor=floor))
        assert (abs(moved[0] - 0.5) > 0.001) == (floor < 0.5)


def test_a_weight_floor_under_another_normaliser_is_not_that_point():
    """Negative control: θ = γ needs the largest weight to be 1."""
    found = adaloss_fixed_point(two_targets(0.0), start=[0.3], floor=0.3, normaliser="sum")[0]
    assert abs(found - 0.3) > 1e-2


def test_without_any_floor_the_sum_of_logarithms_has_no_lower_end():
    sums = [two_target_log_sum(10.0**-k, 0.0) for k in (2, 50, 150)]
    assert sums == pytest.approx([2 * np.log(10.0**-k) + 2 * np.log1p(-(10.0**-k)) for k in (2, 50, 150)])
    assert sums[2] < -690
    path = majorise_minimise(two_targets(0.0), [0.3], steps=6)[:, 0]
    assert path[-1] < 1e-20  # r = θ / (1 - θ) is squared at every step
    ratio = path / (1 - path)
    assert ratio[1:] == pytest.approx(ratio[:-1] ** 2, rel=1e-9)


# --- one loss that reaches zero --------------------------------------------------------------------------------------


@pytest.mark.parametrize("learning_rate", [1e-4, 1e-2, 3.0])
def test_descent_with_raw_weights_is_booles_map_at_every_learning_rate(learning_rate):
    unit = np.sqrt(2 * learning_rate)
    walk = descend(one_loss(), Rule(), [0.7 * unit], steps=20, learning_rate=learning_rate)
    expected = [0.7]
    for _ in range(20):
        expected.append(float(boole(expected[-1])))
    assert walk.theta[:8, 0] / unit == pytest.approx(expected[:8], rel=1e-9)  # later chaos has amplified rounding


def test_booles_map_keeps_lengths():
    """Over the two points that land on y, the shrinkages 1 / |T'| add up to 1."""
    targets = np.linspace(-9, 9, 61)
    before = (targets[:, None] + np.array([1, -1]) * np.sqrt(targets[:, None] ** 2 + 4)) / 2
    assert boole(before) == pytest.approx(np.repeat(targets[:, None], 2, axis=1), abs=1e-12)
    slopes = (boole(before + 1e-6) - boole(before - 1e-6)) / 2e-6
    assert (1 / slopes).sum(axis=1) == pytest.approx(np.ones(61), abs=1e-5)


def test_a_cauchy_law_stays_one_and_widens_as_stated():
    steps, count = 50, 40_000
    points = np.random.default_rng(0).standard_cauchy(count)
    for _ in range(steps):
        points = boole(points)
    scale = boole_scales(1.0, steps)[-1]
    assert scipy.stats.kstest(points, scipy.stats.cauchy(scale=scale).cdf).pvalue > 0.01
    assert scipy.stats.kstest(points, scipy.stats.cauchy(scale=1.05 * scale).cdf).pvalue < 1e-3


def test_the_scale_grows_like_the_root_of_twice_the_time():
    scales = boole_scales(1.0, 100_000)
    assert (np.diff(scales**2) > 2).all()
    assert scales[-1] ** 2 / (2 * 100_000) == pytest.approx(1, abs=1e-3 / 5)


def test_two_neighbours_part():
    twins = np.array([1 / np.sqrt(2e-3), (1 + 1e-12) / np.sqrt(2e-3)])
    gap = []
    for _ in range(3000):
        twins = boole(twins)
        gap.append(abs(twins[1] - twins[0]))
    assert gap[0] < 1e-9
    assert max(gap) > 1


def test_max_normalised_weights_are_plain_descent_and_come_to_rest():
    walk = descend(one_loss(), Rule(normaliser="max"), [1.0], steps=100, learning_rate=0.05)
    assert walk.theta[:, 0] == pytest.approx(0.9 ** np.arange(101), rel=1e-12)
    raw = descend(one_loss(), Rule(), [1.0], steps=100, learning_rate=0.05)
    assert np.abs(raw.theta[-50:]).max() > 0.1


@pytest.mark.parametrize(
    ("learning_rate", "end"),
    [(0.09, "rest"), (0.15, "two"), (0.25, "neither")],
)
def test_with_a_loss_floor_raw_weights_come_to_rest_while_the_learning_rate_is_below_it(learning_rate, end):
    """ℓ = θ² + 0.1: at rest for η < ε; between ε and 2ε a swing between ±√(η - ε); beyond, neither."""
    last = descend(one_loss(0.1), Rule(), [0.37], steps=4000, learning_rate=learning_rate).theta[-4:, 0]
    rests = bool(np.abs(last).max() < 1e-12)
    swing = np.sqrt(max(learning_rate - 0.1, 0))
    swings = swing > 0 and np.abs(last) == pytest.approx([swing] * 4, abs=1e-9)
    assert {"rest": (True, False), "two": (False, True), "neither": (False, False)}[end] == (rests, bool(swings))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: loss_floor_fixed_points(-0.1), "epsilon: expected 0 or more, found -0.1"),
        (lambda: weight_floor_fixed_points(1.1), "floor: expected 0 to 1, found 1.1"),
        (lambda: boole_scales(0.0, 3), "scale: expected above 0, found 0.0"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_log_sum_of_one_loss_has_curvature_two_over_its_floor():
    """Which is why the learning rate limit is 2 / curvature = ε."""
    step = 1e-4
    values = [log_sum(one_loss(0.1).losses(np.array([t]))) for t in (-step, 0.0, step)]
    assert (values[0] - 2 * values[1] + values[2]) / step**2 == pytest.approx(2 / 0.1, rel=1e-4)


# --- the wrong basin -------------------------------------------------------------------------------------------------

PAIR = linear_residual(2, correlation=0.9664, sigma2=8.57e-4)  # one of few with two minima of S


def last_exit(theta):
    return PAIR.losses(theta)[1] / PAIR.optima[1]


def test_a_start_from_const_leaves_the_last_exit_where_const_left_it():
    plain, rule = PAIR.minimiser([1, 1]), Rule(normaliser="max")
    cold = descend(PAIR, rule, [0, 0], steps=4000, learning_rate=0.05).end
    warm = descend(PAIR, rule, plain, steps=4000, learning_rate=0.05).end
    assert last_exit(plain) == pytest.approx(64.35, abs=0.01)
    assert last_exit(cold) == pytest.approx(1.0127, abs=1e-4)
    assert last_exit(warm) == pytest.approx(61.316, abs=1e-3)
    for theta, at_rest in ((cold, True), (warm, True), (plain, False)):
        slope = np.linalg.norm(log_sum_gradient(PAIR.losses(theta), PAIR.gradients(theta)))
        assert (slope < 1e-3) == at_rest
    assert log_sum(PAIR.losses(cold)) < log_sum(PAIR.losses(warm)) - 1


def test_exact_steps_from_zero_pass_through_const():
    """All losses are equal at θ = 0, so the first weights are: a thorough first step is a warm start in disguise."""
    path = majorise_minimise(PAIR, [0, 0], steps=100)
    assert path[1] == pytest.approx(PAIR.minimiser([1, 1]), rel=1e-9)
    assert last_exit(path[-1]) == pytest.approx(61.316, abs=1e-3)


@pytest.mark.parametrize(("period", "end"), [(1, 1.0127), (10, 1.0127), (100, 61.316)])
def test_weights_of_one_until_the_first_refresh_choose_the_basin(period, end):
    rule = Rule(normaliser="max", lag=True, first_weights="ones", refresh_period=period)
    found = descend(PAIR, rule, [0, 0], steps=4000, learning_rate=0.05).end
    assert last_exit(found) == pytest.approx(end, rel=1e-3)

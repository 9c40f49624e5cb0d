import numpy as np
import pytest
from numpy.polynomial import polynomial

from anytime_study.theory.geometric_mean import adaloss_fixed_point, log_sum, log_sum_gradient
from anytime_study.theory.quadratics import linear_residual
from anytime_study.theory.two_exits import TwoExits

NETWORKS = [TwoExits(rho, sigma2) for rho in (0.3, 0.8, 0.9) for sigma2 in (1e-3, 0.1, 10.0)]
CLOSE = TwoExits(0.9664, 8.57e-4)  # inputs so alike that AdaLoss has three fixed points
LINEAR = (0.25, 1.0)

# ρ = 0.8: σ² -> (relative increase of exit 1, of exit 2) as printed, computed apart from this code
TABLE = {
    ("CONST", 1e-3): ("0.124", "125"), ("LINEAR", 1e-3): ("0.617", "38.7"), ("AdaLoss", 1e-3): ("1.76", "0.0018"),
    ("CONST", 0.01): ("0.121", "12.5"), ("LINEAR", 0.01): ("0.602", "3.87"), ("AdaLoss", 0.01): ("1.63", "0.018"),
    ("CONST", 0.1): ("0.097", "1.25"), ("LINEAR", 0.1): ("0.485", "0.387"), ("AdaLoss", 0.1): ("0.673", "0.214"),
    ("CONST", 1.0): ("0.033", "0.125"), ("LINEAR", 1.0): ("0.164", "0.039"), ("AdaLoss", 1.0): ("0.047", "0.108"),
    ("CONST", 10.0): ("0.0043", "0.0125"), ("LINEAR", 10.0): ("0.022", "0.0039"),
    ("AdaLoss", 10.0): ("0.0045", "0.0123"),
}  # fmt: skip


def network(toy):
    return linear_residual(2, correlation=toy.correlation, sigma2=toy.sigma2)


def chosen(toy, name):
    return toy.adaloss if name == "AdaLoss" else toy.at((1, 1) if name == "CONST" else LINEAR)


# --- one number says everything ------------------------------------------------------------------------------------


@pytest.mark.parametrize("toy", NETWORKS, ids=str)
def test_the_losses_are_those_of_the_linear_residual_network(toy):
    problem = network(toy)
    np.testing.assert_allclose(toy.optima, problem.optima, rtol=1e-12)
    for u in (-0.5, 0.0, 0.2, 1.3):
        np.testing.assert_allclose(toy.losses(u), problem.losses(toy.theta(u)), rtol=1e-9)
    assert toy.losses(np.zeros((3, 4))).shape == (3, 4, 2)


@pytest.mark.parametrize("toy", NETWORKS, ids=str)
def test_no_other_second_coefficient_is_as_good_for_exit_2_and_exit_1_does_not_mind(toy):
    problem, best = network(toy), toy.theta(0.3)
    for change in (-0.5, -0.01, 0.01, 0.5):
        other = problem.losses(best + np.array([0, change]))
        # rounding is relative to the terms that cancel, not to σ²
        assert other[1] == pytest.approx(problem.losses(best)[1] + change**2, abs=1e-14 * problem.constant[1])
        assert other[0] == problem.losses(best)[0]


@pytest.mark.parametrize("toy", NETWORKS, ids=str)
@pytest.mark.parametrize("weights", [(1, 1), LINEAR, (5, 0.1), (1, 0), (0, 1)])
def test_the_place_under_any_weights_is_the_solvers(toy, weights):
    theta = network(toy).minimiser(weights)
    assert toy.at(weights) == pytest.approx(theta[0] - 1, abs=1e-12)
    if weights[1]:  # else exit 1 leaves the second coefficient undecided
        np.testing.assert_allclose(toy.theta(toy.at(weights)), theta, atol=1e-12)


def test_the_first_loss_is_the_larger_by_the_square_of_the_second_coefficient():
    for toy in NETWORKS:
        u = np.linspace(-3, 3, 61)
        losses = toy.losses(u)
        np.testing.assert_allclose(losses[:, 0] - losses[:, 1], (1 - toy.correlation * u) ** 2, atol=1e-13)
        # so AdaLoss never weighs the last exit less than CONST does, and the last exit is better off
        assert toy.adaloss < toy.at((1, 1))
        assert toy.increases(toy.adaloss)[1] < toy.const_last_increase


def test_the_front_is_an_arc_of_roots():
    toy = NETWORKS[4]
    excess = toy.losses(np.linspace(0, toy.correlation, 50)) - toy.optima
    on_it = np.sqrt(excess[:, 0]) + np.sqrt(excess[:, 1] / toy.unexplained)
    np.testing.assert_allclose(on_it, toy.correlation, rtol=1e-12)
    generator, problem = np.random.default_rng(0), network(toy)
    clouds = np.array([problem.losses(toy.theta(u) + generator.normal(0, 0.3, 2)) for u in np.linspace(0, 1, 2000)])
    beyond = clouds - problem.optima
    above = np.sqrt(beyond[:, 0]) + np.sqrt(beyond[:, 1] / toy.unexplained)
    assert above.min() >= toy.correlation - 1e-9
    assert above.max() > 1.5 * toy.correlation


# --- CONST ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("toy", NETWORKS, ids=str)
def test_what_const_costs_the_last_exit(toy):
    problem = network(toy)
    solved = problem.losses(problem.minimiser([1, 1]))[1] / problem.optima[1] - 1
    assert toy.const_last_increase == pytest.approx(solved, rel=1e-9)
    assert toy.const_last_increase == pytest.approx(toy.increases(toy.at((1, 1)))[1], rel=1e-9)


def test_it_has_no_upper_end_and_adaloss_ends_at_zero():
    assert TwoExits(0.8, 1e-3).const_last_increase == pytest.approx(124.567, abs=5e-4)
    const, adaloss = np.array(
        [(toy.const_last_increase, toy.increases(toy.adaloss)[1]) for toy in (TwoExits(0.8, s) for s in (1e-3, 1e-5))]
    ).T
    assert const[1] == pytest.approx(100 * const[0])
    assert adaloss[1] == pytest.approx(adaloss[0] / 100, rel=0.01)


# --- AdaLoss -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("toy", [*NETWORKS, CLOSE], ids=str)
def test_the_cubic_is_the_slope_of_the_sum_of_logarithms(toy):
    ascending = toy.adaloss_cubic[::-1]
    for u in (-0.4, 0.1, 0.5, 0.9):
        step = 1e-5
        slope = (log_sum(toy.losses(u + step)) - log_sum(toy.losses(u - step))) / (2 * step)
        found = polynomial.polyval(u, ascending) / (toy.losses(u).prod() / 2)
        assert found == pytest.approx(slope, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("toy", NETWORKS, ids=str)
def test_adaloss_of_the_whole_network_comes_to_rest_at_the_root(toy):
    problem = network(toy)
    assert len(toy.adaloss_points) == 1
    theta = adaloss_fixed_point(problem)
    np.testing.assert_allclose(toy.theta(toy.adaloss), theta, atol=1e-11)
    for point, still in ((theta, True), (problem.minimiser([1, 1]), False)):
        slope = np.abs(log_sum_gradient(problem.losses(point), problem.gradients(point))).max()
        assert (slope < 1e-9) == still


@pytest.mark.parametrize("toy", [*NETWORKS, CLOSE], ids=str)
def test_no_point_of_a_grid_has_a_smaller_product(toy):
    grid = np.linspace(-0.2, 1.2, 14_001)
    products = toy.losses(grid).prod(axis=-1)
    assert toy.losses(toy.adaloss).prod() <= products.min()
    assert grid[products.argmin()] == pytest.approx(toy.adaloss, abs=1e-4)


def test_inputs_that_are_nearly_alike_give_three_fixed_points():
    assert CLOSE.adaloss_points == pytest.approx([0.01283, 0.5523, 0.8845], abs=5e-5)
    assert CLOSE.adaloss == CLOSE.adaloss_points[0]
    step = 1e-3
    curvature = [np.diff(log_sum(CLOSE.losses([u - step, u, u + step])), 2)[0] for u in CLOSE.adaloss_points]
    assert np.array_equal(np.sign(curvature), [1, -1, 1])  # the middle one repels


@pytest.mark.parametrize(("name", "sigma2"), TABLE)
def test_the_increases_are_those_of_the_table(name, sigma2):
    toy = TwoExits(0.8, sigma2)
    found = toy.increases(chosen(toy, name))
    for value, printed in zip(found, TABLE[name, sigma2], strict=True):
        decimals = len(printed.partition(".")[2])
        assert value == pytest.approx(float(printed), abs=0.51 * 10.0**-decimals)  # all printed digits are right


@pytest.mark.parametrize("correlation", [0.3, 0.8])
def test_at_one_gap_between_the_losses_adaloss_is_linear(correlation):
    # LINEAR's solution is AdaLoss's where the losses there are as 4 to 1; their excesses do not depend on σ²
    u = TwoExits(correlation, 1.0).at(LINEAR)
    first, last = TwoExits(correlation, 1.0).losses(u) - 1.0
    crossing = (first - 4 * last) / 3
    assert TwoExits(correlation, crossing).adaloss == pytest.approx(u, rel=1e-12)
    if correlation == 0.8:
        assert crossing == pytest.approx(0.143, abs=5e-4)
    for factor, kinder in ((0.5, True), (2.0, False)):  # below it AdaLoss is kinder to the last exit, above it LINEAR
        assert (TwoExits(correlation, factor * crossing).adaloss < u) == kinder


# --- the two ends --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("correlation", [0.3, 0.8])
def test_without_noise_adaloss_becomes_opt_of_the_last_exit(correlation):
    errors = []
    for sigma2 in (1e-5, 1e-6):
        toy = TwoExits(correlation, sigma2)
        k = toy.unexplained
        first, last = toy.increases(toy.adaloss)
        asymptotes = [toy.correlation * sigma2 / k, correlation**2 / k, correlation**2 * sigma2 / k]
        errors.append(np.abs(np.array([toy.adaloss, first, last]) / asymptotes - 1))
    assert errors[0] == pytest.approx(10 * errors[1], rel=1e-2)  # the relative error shrinks in proportion to σ²


def test_exit_1_then_pays_its_full_price():
    toy = TwoExits(0.8, 1e-8)
    assert toy.increases(toy.adaloss)[0] == pytest.approx(0.64 / 0.36, abs=3e-7)
    assert toy.increases(toy.at((1, 1)))[0] < 0.13  # under CONST it pays little


@pytest.mark.parametrize("correlation", [0.3, 0.8])
def test_where_all_losses_are_alike_adaloss_becomes_const(correlation):
    gaps = [abs((toy := TwoExits(correlation, sigma2)).adaloss - toy.at((1, 1))) for sigma2 in (1e3, 1e4)]
    assert gaps[0] == pytest.approx(10 * gaps[1], rel=1e-2)
    linear = abs(TwoExits(correlation, 1e4).at(LINEAR) - TwoExits(correlation, 1e4).at((1, 1)))
    assert linear > 1000 * gaps[1]  # LINEAR prefers the last exit whatever the losses are


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((1.0, 0.1), "correlation: expected"), ((-0.1, 0.1), "correlation: expected"), ((0.8, 0.0), "sigma2: expected"),
     ((np.nan, 0.1), "correlation: expected"), ((0.8, np.inf), "sigma2: expected")],
)  # fmt: skip
def test_a_network_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TwoExits(*arguments)

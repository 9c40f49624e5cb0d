"""Weights 1/‖g_i‖^p, of the lengths of the gradients: what they gain over 1/ℓ_i and what they lose."""

import numpy as np
import pytest
import scipy.optimize

from anytime_study.theory.descent import Rule, descend, deviation
from anytime_study.theory.quadratics import QuadraticLosses, linear_residual

FIRST = Rule(order=1)
SQUARED = Rule(order=1, power=2)
PROBLEM = linear_residual()
START = np.random.default_rng(0).normal(size=6)
POWERS = 2.0 ** np.array([5, -7, 3, 0, -2, 9])
ANY = 10 ** np.random.default_rng(1).uniform(-3, 3, 6)
OFFSETS = np.array([3.0, 0.0, 7.0, 1.0, 0.5, 100.0])


def distances(places, offset=0.0):
    """ℓ_i = ½‖θ - μ_i‖² + offset."""
    places = np.asarray(places, dtype=float)
    count, dim = places.shape
    return QuadraticLosses(
        curvature=np.repeat(np.eye(dim)[None] / 2, count, axis=0),
        slope=places / 2,
        constant=(places**2).sum(axis=1) / 2 + offset,
    )


def path(problem, rule):
    return descend(problem, rule, START, steps=300, learning_rate=1e-2).theta


def test_neither_a_factor_nor_an_offset_of_a_loss_counts():
    plain = path(PROBLEM, FIRST)
    assert np.array_equal(plain, path(PROBLEM.rescaled(POWERS, OFFSETS), FIRST))
    assert deviation(plain, path(PROBLEM.rescaled(ANY, OFFSETS), FIRST)) < 1e-12
    order0 = [descend(p, Rule(), START, steps=300, learning_rate=5e-4).theta for p in (PROBLEM, PROBLEM.rescaled(1, 1))]
    assert deviation(*order0) > 0.01  # the losses themselves do not forgive an offset


def test_the_squared_length_forgives_an_offset_but_no_factor():
    plain = path(PROBLEM, SQUARED)
    assert np.array_equal(plain, path(PROBLEM.rescaled(1.0, OFFSETS), SQUARED))
    assert deviation(plain, path(PROBLEM.rescaled(np.array([2.0, 1, 1, 1, 1, 0.5])), SQUARED)) > 0.01


@pytest.mark.parametrize(("rule", "influence"), [(FIRST, 1.0), (SQUARED, 0.1)], ids=["length", "squared"])
def test_the_influence_of_a_loss_in_a_unit_ten_times_as_small(rule, influence):
    gradients = PROBLEM.gradients(START)
    scaled = gradients * np.array([10.0, 1, 1, 1, 1, 1])[:, None]

    def pull(g):
        measured = rule.measure(PROBLEM.losses(START), g)
        return np.linalg.norm(rule.weights(measured, measured)[0] * g[0])

    assert pull(scaled) / pull(gradients) == pytest.approx(influence, rel=1e-13)


@pytest.mark.parametrize("start", [-0.3, 0.2, 0.5, 0.8, 1.3])
def test_two_exits_stop_at_the_first_compromise_that_they_meet(start):
    """On the segment between the two minima the unit gradients cancel everywhere: it depends on the start where."""
    problem = distances([[0, 0], [1, 0]])
    at = {-0.3: 0.2725, 0.2: 0.4067, 0.5: 0.5, 0.8: 0.5933, 1.3: 0.7275}[start]
    end = descend(problem, FIRST, np.array([start, 1.5]), steps=6000, learning_rate=2e-3).end
    # the step has a constant length near the segment and swings about it by at most η
    np.testing.assert_allclose(end, [at, 0], atol=4e-3)
    for place in np.linspace(0.05, 0.95, 7):  # all of them are fixed points
        gradients = problem.gradients(np.array([place, 0.0]))
        measured = FIRST.measure(np.ones(2), gradients)
        assert np.linalg.norm(FIRST.weights(measured, measured) @ gradients) < 1e-14


def test_const_has_one_end_for_two_exits():
    problem = distances([[0, 0], [1, 0]])
    ends = [
        descend(problem, Rule(power=0), np.array([x, 1.5]), steps=500, learning_rate=0.05).end for x in (-0.3, 0.2, 1.3)
    ]
    np.testing.assert_allclose(ends, [[0.5, 0]] * 3, atol=1e-12)


PLACES = np.array([[0.0, 0.0], [4.0, 0.0], [1.0, 3.0]])


@pytest.mark.parametrize("start", [[3.0, 2.0], [0.5, 0.5], [2.0, -1.0]])
def test_three_places_const_ends_at_the_mean_and_the_first_order_at_the_point_of_least_distance(start):
    problem = distances(PLACES)
    mean = descend(problem, Rule(power=0), np.array(start), steps=500, learning_rate=0.05).end
    np.testing.assert_allclose(mean, PLACES.mean(axis=0), atol=1e-11)
    fermat = scipy.optimize.minimize(
        lambda theta: np.linalg.norm(theta - PLACES, axis=1).sum(), PLACES.mean(axis=0), options={"gtol": 1e-10}
    ).x
    end = descend(problem, FIRST, np.array(start), steps=2000, learning_rate=0.05).end
    np.testing.assert_allclose(end, fermat, atol=1e-6)
    assert np.linalg.norm(fermat - PLACES.mean(axis=0)) > 0.1


@pytest.mark.parametrize("nearest", range(3))
def test_three_places_adaloss_ends_beside_the_one_it_started_near(nearest):
    start = 0.7 * PLACES[nearest] + 0.3 * PLACES.mean(axis=0)
    end = descend(distances(PLACES, offset=0.01), Rule(), start, steps=4000, learning_rate=5e-3).end
    assert np.linalg.norm(end - PLACES[nearest]) < 0.02

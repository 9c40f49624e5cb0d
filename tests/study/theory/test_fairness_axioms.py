"""Flips of aggregators against hand counts and the theorem; bargains against general solvers."""

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from anytime_study.theory.fairness_axioms import (
    aggregators,
    bargaining_weights,
    flip_rate,
    nash_bargaining,
    rank_flips,
)
from anytime_study.theory.linear_residual import linear_residual
from anytime_study.theory.quadratics import two_targets

PAIRS = 20_000
FLIPS = {num_exits: rank_flips(num_exits, pairs=PAIRS) for num_exits in (2, 4, 6)}


def test_by_hand():
    found = {name: float(mean(np.array([1.0, 2.0, 4.0]))) for name, mean in aggregators(3).items()}
    assert found == pytest.approx(
        {
            "arithmetic mean": 7 / 3,
            "geometric mean": 2,
            "harmonic mean": 12 / 7,
            "maximum": 4,
            "weighted geometric mean": 2 ** (8 / 6),  # exponents 1/6, 2/6, 3/6
        }
    )


def test_flips_are_counted_by_hand():
    """The sum ranks (1, 3) behind (2, 1). With the second exit in tens it still does; with the first, no more."""
    pair = np.array([[[1.0, 3.0], [2.0, 1.0]]])
    factors = np.array([[1.0, 10.0], [10.0, 1.0]])[:, None, :]
    assert flip_rate(aggregators(2)["arithmetic mean"], np.repeat(pair, 2, axis=0), factors * pair) == 0.5


@pytest.mark.parametrize("num_exits", [2, 4, 6])
@pytest.mark.parametrize(
    ("change", "kept_by"),
    [
        ("scale", {"geometric mean", "weighted geometric mean"}),
        ("offset", {"arithmetic mean"}),
        ("renumbering", {"arithmetic mean", "geometric mean", "harmonic mean", "maximum"}),
    ],
)
def test_which_means_keep_the_order(num_exits, change, kept_by):
    found = {name: flips[change] for name, flips in FLIPS[num_exits].items()}
    assert {name for name, share in found.items() if share == 0} == kept_by
    assert min(share for share in found.values() if share) > 0.08


NEST = linear_residual()
NOTHING = NEST.losses(np.zeros(6))  # what every exit gets if it answers 0
BARGAIN = nash_bargaining(NEST, NOTHING)
CONST = NEST.minimiser(np.ones(6))


def distance(theta, other):
    return np.linalg.norm(theta - other) / np.linalg.norm(other)


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


@pytest.mark.parametrize("seed", range(5))
def test_the_bargain_is_free_of_scale_and_offset_if_the_disagreement_moves_along(seed):
    generator = np.random.default_rng(seed)
    factors, offsets = 10 ** generator.uniform(-2, 2, size=6), generator.uniform(0, 10, size=6)
    assert distance(nash_bargaining(NEST.rescaled(factors, offsets), factors * NOTHING + offsets), BARGAIN) < 1e-12
    # one that does not move along: a loss in larger units seems to have more to lose
    stays = nash_bargaining(NEST.rescaled(factors), factors.max() * NOTHING)
    assert distance(stays, BARGAIN) > 1e-2


def test_a_distant_disagreement_is_const_at_the_rate_one_over_d():
    gaps = [distance(nash_bargaining(NEST, 10.0**power), CONST) for power in (3, 4, 5, 6)]
    np.testing.assert_allclose(np.diff(np.log10(gaps)), -1, atol=5e-3)


@pytest.mark.parametrize("disagreement", [0.05, 0.34, 0.35, np.nan, np.inf])
def test_a_disagreement_that_not_all_can_go_below_is_refused(disagreement):
    with pytest.raises(ValueError, match="disagreement: expected"):
        nash_bargaining(two_targets(0.1), disagreement)

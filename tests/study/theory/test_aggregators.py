import itertools

import numpy as np
import pytest

from anytime_study.theory.aggregators import Flips, aggregators, flip_rate, rank_flips

PAIRS = 20_000
FLIPS = {num_exits: rank_flips(num_exits, pairs=PAIRS) for num_exits in (2, 4, 6)}
NAMES = list(FLIPS[4])


def rates(condition, num_exits):
    return {name: getattr(flips, condition) for name, flips in FLIPS[num_exits].items()}


# --- the aggregators -----------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("name", NAMES)
def test_better_at_every_exit_is_better(name):
    mean = aggregators(4)[name]
    losses = np.random.default_rng(1).lognormal(size=(500, 4))
    assert (mean(0.99 * losses) < mean(losses)).all()


# --- counting flips ------------------------------------------------------------------------------------------------


def test_flips_are_counted_by_hand():
    """The sum ranks (1, 3) behind (2, 1). With the second exit in tens it still does; with the first, no more."""
    pair = np.array([[[1.0, 3.0], [2.0, 1.0]]])
    factors = np.array([[1.0, 10.0], [10.0, 1.0]])[:, None, :]
    assert flip_rate(aggregators(2)["arithmetic mean"], np.repeat(pair, 2, axis=0), factors * pair) == 0.5


def test_a_tie_that_ends_is_a_flip_and_one_that_stays_is_none():
    tie = np.array([[[1.0, 2.0], [2.0, 1.0]]])
    mean = aggregators(2)["arithmetic mean"]
    assert flip_rate(mean, tie, tie * np.array([1.0, 3.0])) == 1
    assert flip_rate(mean, tie, 3 * tie) == 0


# --- the theorem ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_exits", [2, 4, 6])
def test_geometric_means_and_no_others_are_free_of_scale(num_exits):
    found = rates("scale", num_exits)
    assert found.pop("geometric mean") == 0
    assert found.pop("weighted geometric mean") == 0
    assert min(found.values()) > 0.15


@pytest.mark.parametrize("num_exits", [2, 4, 6])
def test_the_arithmetic_mean_and_no_other_is_free_of_offsets(num_exits):
    found = rates("offset", num_exits)
    assert found.pop("arithmetic mean") == 0
    assert min(found.values()) > 0.08


@pytest.mark.parametrize("num_exits", [2, 4, 6])
def test_weights_and_nothing_else_make_the_numbers_of_the_exits_matter(num_exits):
    found = rates("renumbering", num_exits)
    assert found.pop("weighted geometric mean") > 0.08
    # the same factors in another order may round differently, but not so that networks change places
    assert set(found.values()) == {0}


def test_the_rates_are_those_of_an_independent_program():
    """Four exits: sum 26.5 %, harmonic 26.7 %, maximum 31.6 %; under offsets the product 13.3 %, of 100000 pairs."""
    expected = {("arithmetic mean", "scale"): 0.265, ("harmonic mean", "scale"): 0.267, ("maximum", "scale"): 0.316}
    expected["geometric mean", "offset"] = 0.133
    for (name, condition), rate in expected.items():
        spread = np.sqrt(rate * (1 - rate) * (1 / PAIRS + 1 / 100_000))
        assert getattr(FLIPS[4][name], condition) == pytest.approx(rate, abs=4 * spread)


def test_arithmetic_and_harmonic_mean_flip_equally_often():
    """1 / ℓ and 1 / a have the distributions of ℓ and a, and turn one mean into the other. The maximum differs."""
    flips = FLIPS[6]
    first, second = flips["arithmetic mean"], flips["harmonic mean"]
    spread = np.hypot(first.standard_error(first.scale), second.standard_error(second.scale))
    assert abs(first.scale - second.scale) < 4 * spread
    assert flips["maximum"].scale - first.scale > 4 * spread


@pytest.mark.parametrize("num_exits", [2, 3, 6])
def test_under_wide_scales_the_maximum_hears_one_random_exit(num_exits):
    """Then it flips for (1 - 1/K) / 2 of the pairs."""
    flips = rank_flips(num_exits, pairs=PAIRS, scale_decades=100)["maximum"]
    expected = (1 - 1 / num_exits) / 2
    assert abs(flips.scale - expected) < 4 * flips.standard_error(expected)


def test_without_a_change_nothing_flips():
    for flips in rank_flips(4, pairs=1000, scale_decades=0, offset=0).values():
        assert (flips.scale, flips.offset) == (0, 0)


def test_exchange_and_pareto_leave_only_the_product():
    """The proof, run: from any u to any other by steps that the conditions call indifferent, and one along (1, …, 1).

    Each step moves an amount from one exit to the next in u = ln ℓ, which renumbering and rescaling undo.
    """
    generator = np.random.default_rng(2)
    for _ in range(50):
        start, goal = generator.normal(size=(2, 5))
        point = start.copy()
        rise = (goal.sum() - start.sum()) / 5
        for exit_, neighbour in itertools.pairwise(range(5)):
            amount = goal[exit_] - rise - point[exit_]
            # (t, 0) ~ (0, t) by anonymity; the difference of the two is the transfer
            transfer = np.zeros(5)
            transfer[exit_], transfer[neighbour] = amount, -amount
            swapped = transfer.copy()
            swapped[[exit_, neighbour]] = 0, amount
            np.testing.assert_array_equal(np.sort(transfer + swapped), np.sort(swapped))
            point = point + transfer
        np.testing.assert_allclose(point + rise, goal, atol=1e-12)  # so `start` is better just if rise > 0
        products = aggregators(5)["geometric mean"](np.exp(np.array([start, goal])))
        assert (products[0] < products[1]) == (rise > 0)


# --- draws and bad arguments ---------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_rates_again_and_another_seed_others():
    assert rank_flips(4, pairs=PAIRS) == FLIPS[4]
    assert rank_flips(4, pairs=PAIRS, seed=1) != FLIPS[4]


def test_the_standard_error_is_that_of_a_share():
    assert Flips(0.2, 0.0, 0.0, pairs=400).standard_error(0.2) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("name", "value"), [("num_exits", 1), ("pairs", 0), ("scale_decades", -1.0), ("offset", np.nan), ("offset", np.inf)]
)
def test_bad_arguments_are_named(name, value):
    with pytest.raises(ValueError, match=rf"{name}: expected a finite number of at least \d, found"):
        rank_flips(**{"num_exits": 3, "pairs": 10, name: value})

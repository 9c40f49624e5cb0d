"""Changes of one weighting against another, by hand."""

import math

import numpy as np
import pytest

from anytime_study.analysis.measures import measured
from anytime_study.analysis.selection import MissingRuns, Selection

ADALOSS, CONST, OPT = {"weighting": "adaloss"}, {"weighting": "const"}, {"weighting": "opt"}
PAIR = {"first": ADALOSS, "second": CONST}


@pytest.fixture
def selection(made_up_experiment, made_up_record):
    """Of three seeds: errors at costs 110, 220, 330 (cumulative), and training losses."""

    def make(errors, losses=None, regimes=({},), seeds=(1, 2, 3)):
        records = [
            made_up_record(
                weighting=name,
                seed=seed,
                scores={"test": list(of(seed, regime)), "train": (losses or {}).get(name, [3.0, 2.0, 1.0])},
                **fields,
            )
            for regime, fields in enumerate(regimes)
            for name, of in errors.items()
            for seed in seeds
        ]
        return Selection(made_up_experiment(records, main={"network": "resann(n=3, c=4, s=3)"}))

    return make


def constant(*errors):
    return lambda _seed, _regime: errors


def test_log_changes_are_read_at_a_cost(selection):
    found = selection({"adaloss": constant(0.6, 0.4, 0.2), "const": constant(0.5, 0.4, 0.25)})
    at_the_end = measured(found, {"name": "log_error_change", **PAIR})
    assert at_the_end.to_list() == pytest.approx([100 * math.log(0.2 / 0.25)] * 3)
    assert list(at_the_end.index) == [1, 2, 3]
    # half of 330 lies in the middle between the exits at 110 and 220
    half = measured(found, {"name": "log_error_change", **PAIR, "fraction": 0.5})
    assert half.to_list() == pytest.approx([100 * math.log(0.5 / 0.45)] * 3)
    swapped = measured(found, {"name": "log_error_change", "first": CONST, "second": ADALOSS, "fraction": 0.5})
    assert swapped.to_list() == pytest.approx((-half).to_list())


def test_the_own_objective_is_the_mean_of_logarithms(selection):
    same = constant(0.5, 0.4, 0.3)
    found = selection({"adaloss": same, "const": same}, {"adaloss": [4.0, 2.0, 1.0], "const": [1.0, 1.0, 1.0]})
    change = measured(found, {"name": "own_objective_change", **PAIR})
    assert change.to_list() == pytest.approx([100 * math.log(8) / 3] * 3)
    assert measured(found, {"name": "loss_ratio", "of": ADALOSS}).to_list() == pytest.approx([4.0] * 3)


def test_headroom_is_what_the_last_exit_alone_would_win(selection):
    found = selection(
        {"opt": constant(0.9, 0.9, 0.18), "const": constant(0.5, 0.4, 0.2)}, {"opt": [1, 1, 0.1], "const": [1, 1, 0.4]}
    )
    room = measured(found, {"name": "headroom", "alone": OPT, "const": CONST})
    assert room.to_list() == pytest.approx([10.0] * 3)
    of_losses = measured(found, {"name": "headroom", "alone": OPT, "const": CONST, "train_loss": True})
    assert of_losses.to_list() == pytest.approx([75.0] * 3)


REGIMES = ({"epochs": 2}, {"epochs": 3}, {"epochs": 4})
SLOPE = {"name": "gain_on_headroom", "regimes": list(REGIMES), **PAIR, "alone": OPT}


def test_the_gain_grows_with_the_headroom_by_the_slope(selection):
    """Headroom 5, 10 and 15 per cent; the gain is 2 + (0.3 + 0.1 seed) per point of it."""
    rooms = (5.0, 10.0, 15.0)

    def adaloss(seed, regime):
        return 0.9, 0.9, 0.2 * math.exp(-(2 + (0.3 + 0.1 * seed) * rooms[regime]) / 100)

    def opt(_seed, regime):
        return 0.9, 0.9, 0.2 * (1 - rooms[regime] / 100)

    found = measured(
        selection({"adaloss": adaloss, "opt": opt, "const": constant(0.9, 0.9, 0.2)}, None, REGIMES), SLOPE
    )
    assert found.to_list() == pytest.approx([0.4, 0.5, 0.6])
    assert list(found.index) == [1, 2, 3]


def test_chance_in_const_alone_makes_no_slope(selection):
    """Gain and headroom share CONST's error: with headroom of the same seed its noise would make a slope of 1."""
    noise = np.random.default_rng(0).normal(0, 0.05, (80, 3))
    errors = {
        "adaloss": constant(0.9, 0.9, 0.2),
        "opt": constant(0.9, 0.9, 0.18),
        "const": lambda seed, regime: (0.9, 0.9, 0.2 * math.exp(noise[seed, regime])),
    }
    slopes = measured(selection(errors, None, REGIMES, seeds=range(80)), SLOPE)
    assert abs(slopes.mean()) < 3 * slopes.std() / len(slopes) ** 0.5


def test_a_regime_without_runs_is_missing(selection):
    same = constant(0.3, 0.2, 0.1)
    found = selection({"adaloss": same, "const": same, "opt": same}, None, REGIMES[:2])
    with pytest.raises(MissingRuns, match="epochs 4"):
        measured(found, SLOPE)

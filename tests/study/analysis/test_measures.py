import subprocess
import sys
from math import exp, log

import numpy as np
import pytest

from anytime_core.errors import InputError
from anytime_study.analysis.claims import load_claims
from anytime_study.analysis.measures import MEASURES, measured
from anytime_study.analysis.measures.against_opt import nearest_exits
from anytime_study.analysis.selection import MissingRuns, Selection
from anytime_study.runs.record import EarlyExitScores

NET = "resann(n=1, c=4)"  # three exits
COSTS = {"cumulative": [11, 22, 33], "alone": [10, 20, 30]}


@pytest.fixture
def measure(made_up_experiment):
    """The values by seed, rounded, of a measure on these records; ``protocol`` and ``main`` are keywords."""

    def run(records, *, main=None, protocol="one_rate", **settings):
        selection = Selection(made_up_experiment(records, main=main or {"network": NET}), protocol)
        found = measured(selection, settings)
        assert found.index.name == "seed"
        return found.to_dict()

    return run


def three(make, *, scores, **fields):
    """Records of seeds 0, 1, 2, with scores that may be a function of the seed."""
    by_seed = [scores(seed) if callable(scores) else scores for seed in range(3)]
    return [make(network=NET, seed=seed, scores={**COSTS, **by_seed[seed]}, **fields) for seed in range(3)]


# --- the table -----------------------------------------------------------------------------------------------------


def test_there_is_a_measure_for_each_definition():
    assert set(MEASURES) == set(load_claims().measures)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "increase"}, "bad measure: expected one of increase_over_opt, .*, found increase"),
        ({"name": "increase_over_opt", "weighting": "const"}, "bad settings of increase_over_opt: .*'fraction'"),
        (
            {"name": "error_difference", "first": {}, "second": {}, "third": {}},
            "bad settings of error_difference: .*'third'",
        ),
        ({"name": "error_difference", "first": {}, "second": {}, "cost": 1, "exit": 2}, "expected exit or cost"),
        ({"name": "eann_difference", "first": "linear_ensemble", "second": "const"}, "first: expected its weighting"),
    ],
)
def test_settings_that_do_not_fit_are_refused(made_up_record, made_up_experiment, settings, message):
    with pytest.raises(InputError, match=message):
        measured(Selection(made_up_experiment([made_up_record()])), settings)


def test_pages_load_them_without_torch():
    code = (
        "import sys; from anytime_study.analysis import curves, decisions, ledger, measures, quantities;"
        "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


# --- against OPT ---------------------------------------------------------------------------------------------------


def test_the_nearest_exit_is_found_by_the_cost_of_that_exit_alone(made_up_record):
    record = made_up_record(network=NET, scores=COSTS)
    # of 33: a quarter is 8.25, a half 16.5, three quarters 24.75
    assert [nearest_exits(record, fraction)[0] for fraction in (0.25, 0.5, 0.75, 1)] == [1, 2, 2, 3]
    assert nearest_exits(record, 15 / 33) == [1, 2, 3]  # as near to 10 as to 20: the cheaper one


@pytest.fixture
def weightings(made_up_record):
    """AdaLoss, CONST and OPT at the exits 1 and 3; OPT's errors differ by seed."""
    return [
        *three(made_up_record, weighting="adaloss", scores={"test": [0.6, 0.4, 0.2], "train": [2, 1, 0.6]}),
        *three(made_up_record, weighting="const", scores={"test": [0.5, 0.4, 0.3], "train": [1.5, 1, 0.9]}),
        *three(
            made_up_record,
            weighting="opt",
            scores=lambda s: {"test": [0.9, 0.9, [0.2, 0.25, 0.16][s]], "train": [9, 9, [0.5, 0.4, 0.3][s]]},
        ),
        *three(made_up_record, weighting="opt(exit=1)", scores={"test": [0.4, 0.9, 0.9], "train": [1, 9, 9]}),
    ]


ADALOSS_AT_30 = 0.4 - 0.2 * 8 / 11  # between 0.4 at 22 and 0.2 at 33
CONST_AT_30 = 0.4 - 0.1 * 8 / 11
OPT = [0.2, 0.25, 0.16]


def test_increase_over_opt_by_hand(measure, weightings):
    found = measure(weightings, name="increase_over_opt", weighting="adaloss", fraction=1)
    assert found == pytest.approx({seed: 100 * (ADALOSS_AT_30 / opt - 1) for seed, opt in enumerate(OPT)})
    assert found[0] == pytest.approx(27.2727, abs=1e-4)
    # exit 1 alone costs 10, before the first exit at 11: its error 0.6
    early = measure(weightings, name="increase_over_opt", weighting="adaloss", fraction=0.25)
    assert early == pytest.approx({0: 50, 1: 50, 2: 50})


def test_minus_a_weighting(measure, weightings):
    found = measure(weightings, name="increase_over_opt", weighting="adaloss", fraction=1, minus="const")
    assert found == pytest.approx({s: 100 * (ADALOSS_AT_30 - CONST_AT_30) / opt for s, opt in enumerate(OPT)})


@pytest.mark.parametrize("whole", [1, 1.0])
def test_minus_a_fraction(measure, weightings, whole):
    found = measure(weightings, name="increase_over_opt", weighting="const", fraction=whole, minus=0.25)
    assert found == pytest.approx({s: 100 * (CONST_AT_30 / opt - 1) - 25 for s, opt in enumerate(OPT)})
    turned = measure(weightings, name="increase_over_opt", weighting="const", fraction=0.25, minus=whole)
    assert turned == pytest.approx({seed: -value for seed, value in found.items()})


def test_train_loss_over_opt_is_read_at_the_exit(measure, weightings):
    found = measure(weightings, name="train_loss_over_opt", weighting="adaloss", fraction=1)
    assert found == pytest.approx({0: 20, 1: 50, 2: 100})
    difference = measure(weightings, name="train_loss_over_opt", weighting="const", fraction=1, minus=0.25)
    assert difference == pytest.approx({0: 80 - 50, 1: 125 - 50, 2: 200 - 50})


def test_without_opt_at_the_exit_there_is_no_value(measure, weightings):
    with pytest.raises(MissingRuns, match=r"weighting opt\(exit=2\): in no study of weightings"):
        measure(weightings, name="increase_over_opt", weighting="adaloss", fraction=0.5)
    with pytest.raises(MissingRuns, match="weighting linear: in no study of weightings"):
        measure(weightings, name="increase_over_opt", weighting="linear", fraction=1)


def test_no_error_at_all_is_nothing_to_compare_with(measure, made_up_record):
    records = three(made_up_record, weighting="const", scores={"test": [0.5, 0.4, 0.3]})
    records += three(made_up_record, weighting="opt", scores={"test": [0.5, 0.4, 0.0]})
    with pytest.raises(ValueError, match=r"reference: expected an error or loss above 0 .*, found 0.0"):
        measure(records, name="increase_over_opt", weighting="const", fraction=1)


# --- pairs ---------------------------------------------------------------------------------------------------------

LARGE = "resann(n=2, c=4)"


@pytest.fixture
def small_and_large(made_up_record):
    small = three(made_up_record, weighting="adaloss", scores=lambda s: {"test": [0.6, 0.4, 0.2 + 0.1 * s]})
    cumulative = [10, 20, 30, 40, 50, 66]
    errors = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    large = [
        made_up_record(network=LARGE, weighting="const", seed=s, scores={"test": errors, "cumulative": cumulative})
        for s in range(3)
    ]
    return small + large


SMALL_ADALOSS = {"network": NET, "weighting": "adaloss"}
LARGE_CONST = {"network": LARGE, "weighting": "const"}


def test_curves_are_compared_at_a_cost_or_at_their_ends(measure, small_and_large):
    def at(cost, **settings):
        settings = {"first": SMALL_ADALOSS, "second": LARGE_CONST, "cost": cost, **settings}
        return measure(small_and_large, name="error_difference", **settings)

    # a quarter of 66 is 16.5: small between 11 and 22: 0.5; large between 10 and 20: 0.835. So is half of 33
    assert at(0.25) == pytest.approx(dict.fromkeys(range(3), 100 * (0.5 / 0.835 - 1)))
    assert at(0.5, cost_of="first") == at(0.25)
    # half is 33, the small one's last exit; large: 0.67
    assert at(0.5) == pytest.approx({s: 100 * ((0.2 + 0.1 * s) / 0.67 - 1) for s in range(3)})
    # at its own end the small one keeps its last error; large: 0.4
    assert at(1) == pytest.approx({0: -50, 1: -25, 2: 0})
    assert at(None, first=LARGE_CONST, second=SMALL_ADALOSS) == pytest.approx({0: 100, 1: 100 / 3, 2: 0})


def test_a_network_may_be_named_by_its_kind(measure, made_up_record):
    records = [
        made_up_record(network="denseann(growth=4)", weighting=name, seed=seed, scores={"test": [0.9, error]})
        for name, error in [("adaloss", 0.3), ("const", 0.4)]
        for seed in range(3)
    ]
    first, second = ({"network": "denseann", "weighting": name} for name in ("adaloss", "const"))
    found = measure(records, name="error_difference", first=first, second=second)
    assert found == pytest.approx(dict.fromkeys(range(3), -25))


def test_error_difference_at_an_exit_by_hand(measure, made_up_record):
    records = three(made_up_record, label_smoothing=0.0, scores={"test": [0.4, 0.3, 0.2]})
    records += three(made_up_record, label_smoothing=0.2, scores=lambda s: {"test": [0.4, 0.33 + 0.03 * s, 0.08]})
    first, second = {"label_smoothing": 0.2}, {"label_smoothing": 0.0}
    assert measure(records, name="error_difference", exit=2, first=first, second=second) == pytest.approx(
        {0: 10, 1: 20, 2: 30}
    )
    means = measure(records, name="error_difference", exit="all", first=first, second=second)
    assert means == pytest.approx({0: -10, 1: -100 * 0.06 / 0.9, 2: -100 * 0.03 / 0.9})


def test_spread_difference_by_hand(measure, made_up_record):
    records = three(made_up_record, label_smoothing=0.0, scores={"weights": [0.5, 4, 1]})
    records += three(made_up_record, label_smoothing=0.2, scores=lambda s: {"weights": [1, 2, 4 * 2**s]})
    found = measure(records, name="spread_difference", first={"label_smoothing": 0.2}, second={"label_smoothing": 0.0})
    assert found == pytest.approx({0: -1, 1: 0, 2: 1})


def test_concentration_by_hand(measure, made_up_record):
    # weights 1, 0, 3 over costs 10, 20, 30: 100 / 4 = 25 of 33; equal weights: 20 of 33
    noisy = three(made_up_record, dataset="fashion-mnist", scores={"weights": [1, 0, 3]})
    clean = three(made_up_record, dataset="digits", scores=lambda s: {"weights": [0.5, 0.5, 0.5 + 0.5 * s]})
    found = measure(noisy + clean, name="concentration_difference", first="fashion-mnist", second="digits")
    means = [20, (5 + 10 + 30) / 2, (5 + 10 + 45) / 2.5]
    assert found == pytest.approx({s: 100 * (25 - means[s]) / 33 for s in range(3)})


# --- changes in logarithms, and room for them ----------------------------------------------------------------------

ADALOSS, CONST, ALONE = {"weighting": "adaloss"}, {"weighting": "const"}, {"weighting": "opt"}
PAIR = {"first": ADALOSS, "second": CONST}


def test_log_changes_are_read_at_a_cost(measure, weightings):
    at_the_end = measure(weightings, name="log_error_change", **PAIR)
    assert at_the_end == pytest.approx(dict.fromkeys(range(3), 100 * log(0.2 / 0.3)))
    # half of 33 lies in the middle between the exits at 11 and 22
    half = measure(weightings, name="log_error_change", **PAIR, fraction=0.5)
    assert half == pytest.approx(dict.fromkeys(range(3), 100 * log(0.5 / 0.45)))


def test_the_own_objective_is_the_mean_of_logarithms(measure, weightings):
    change = measure(weightings, name="own_objective_change", **PAIR)
    assert change == pytest.approx(dict.fromkeys(range(3), 100 * log((2 * 1 * 0.6) / (1.5 * 1 * 0.9)) / 3))
    assert measure(weightings, name="loss_ratio", of=ADALOSS) == pytest.approx(dict.fromkeys(range(3), 2 / 0.6))


def test_headroom_is_what_the_last_exit_alone_would_win(measure, weightings):
    room = measure(weightings, name="headroom", alone=ALONE, const=CONST)
    assert room == pytest.approx({s: 100 * (1 - opt / 0.3) for s, opt in enumerate(OPT)})
    of_losses = measure(weightings, name="headroom", alone=ALONE, const=CONST, train_loss=True)
    assert of_losses == pytest.approx({s: 100 * (1 - loss / 0.9) for s, loss in enumerate([0.5, 0.4, 0.3])})


REGIMES = ({"epochs": 2}, {"epochs": 3}, {"epochs": 4})
SLOPE = {"name": "gain_on_headroom", "regimes": list(REGIMES), **PAIR, "alone": ALONE}


def last_errors(make, seeds=range(3), **of):
    """Records of every seed and regime, with the last exit's error of each weighting as a function of both."""
    return [
        make(
            network=NET, weighting=name, seed=seed, scores={**COSTS, "test": [0.9, 0.9, error(seed, regime)]}, **fields
        )
        for regime, fields in enumerate(REGIMES)
        for name, error in of.items()
        for seed in seeds
    ]


def test_the_gain_grows_with_the_headroom_by_the_slope(measure, made_up_record):
    """Headroom 5, 10 and 15 per cent; the gain is 2 + (0.3 + 0.1 seed) per point of it."""
    rooms = (5.0, 10.0, 15.0)
    records = last_errors(
        made_up_record,
        adaloss=lambda seed, regime: 0.2 * exp(-(2 + (0.3 + 0.1 * seed) * rooms[regime]) / 100),
        opt=lambda _, regime: 0.2 * (1 - rooms[regime] / 100),
        const=lambda *_: 0.2,
    )
    assert measure(records, **SLOPE) == pytest.approx({0: 0.3, 1: 0.4, 2: 0.5})
    without = [record for record in records if record.config.epochs != 4]
    with pytest.raises(MissingRuns, match="epochs 4"):
        measure(without, **SLOPE)


def test_chance_in_const_alone_makes_no_slope(measure, made_up_record):
    """Gain and headroom share CONST's error: with headroom of the same seed its noise would make a slope of 1."""
    noise = np.random.default_rng(0).normal(0, 0.05, (80, 3))
    records = last_errors(
        made_up_record,
        range(80),
        adaloss=lambda *_: 0.2,
        opt=lambda *_: 0.18,
        const=lambda seed, regime: 0.2 * exp(noise[seed, regime]),
    )
    slopes = np.array(list(measure(records, **SLOPE).values()))
    assert abs(slopes.mean()) < 3 * slopes.std() / len(slopes) ** 0.5


# --- early exit ----------------------------------------------------------------------------------------------------


def test_early_exit_is_read_from_the_runs_that_measured_it(made_up_record, made_up_experiment):
    def run(seed, **fields):
        return made_up_record(network=NET, seed=seed, **fields)

    scores = EarlyExitScores(
        thresholds=[0.9, None], exit_shares=[0.5, 0, 0.5], error=0.112, last_error=0.11, macs=60.0, last_macs=100
    )
    measured_runs = [
        run(seed, early_exit=True).model_copy(update={"early_exit": scores.model_copy(update={"macs": 60.0 + seed})})
        for seed in range(3)
    ]
    selection = Selection(made_up_experiment([*measured_runs, run(3)], main={"network": NET}))
    excess = measured(selection, {"name": "early_exit_excess", "weighting": "adaloss"})
    saving = measured(selection, {"name": "early_exit_saving", "weighting": "adaloss"})
    assert excess.to_dict() == pytest.approx({0: 0.2, 1: 0.2, 2: 0.2})  # percentage points
    assert saving.to_dict() == pytest.approx({0: 40, 1: 39, 2: 38})  # per cent
    with pytest.raises(MissingRuns):
        measured(selection, {"name": "early_exit_saving", "weighting": "const"})

import subprocess
import sys
from math import floor, log

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
        "import sys; from anytime_study.analysis import curves, ledger, measures, decisions;"
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


def test_increase_over_opt_with_tuned_rates(measure, made_up_record):
    # validation prefers 0.2 for AdaLoss and 0.05 for OPT; test errors at the rate chosen: 0.3 and 0.25
    records = []
    for rate, ada, opt in [(0.05, 0.5, 0.25), (0.1, 0.4, 0.35), (0.2, 0.3, 0.45)]:
        for weighting, error in [("adaloss", ada), ("opt", opt)]:
            records += three(made_up_record, weighting=weighting, learning_rate=rate, scores={"test": [error] * 3})
    settings = {"name": "increase_over_opt", "weighting": "adaloss", "fraction": 1}
    assert measure(records, protocol="tuned_rate", **settings) == pytest.approx(dict.fromkeys(range(3), 20))
    assert measure(records, **settings) == pytest.approx(dict.fromkeys(range(3), 100 * 0.05 / 0.35))


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


def test_curves_are_compared_at_a_cost_of_the_second(measure, small_and_large):
    def at(cost):
        return measure(small_and_large, name="error_difference", first=SMALL_ADALOSS, second=LARGE_CONST, cost=cost)

    # a quarter of 66 is 16.5: small between 11 and 22: 0.5; large between 10 and 20: 0.835
    assert at(0.25) == pytest.approx(dict.fromkeys(range(3), 100 * (0.5 / 0.835 - 1)))
    # half is 33, the small one's last exit; large: 0.67
    assert at(0.5) == pytest.approx({s: 100 * ((0.2 + 0.1 * s) / 0.67 - 1) for s in range(3)})
    # at its own end the small one keeps its last error; large: 0.4
    assert at(1) == pytest.approx({0: -50, 1: -25, 2: 0})


def test_curves_are_compared_at_a_cost_of_the_first(measure, small_and_large):
    settings = {"first": SMALL_ADALOSS, "second": LARGE_CONST, "cost": 0.5, "cost_of": "first"}
    # half of 33 is 16.5, as above
    found = measure(small_and_large, name="error_difference", **settings)
    assert found == pytest.approx(dict.fromkeys(range(3), 100 * (0.5 / 0.835 - 1)))


def test_curves_are_compared_at_their_ends(measure, small_and_large):
    found = measure(small_and_large, name="error_difference", first=LARGE_CONST, second=SMALL_ADALOSS)
    assert found == pytest.approx({0: 100, 1: 100 / 3, 2: 0})


def test_a_network_may_be_named_by_its_kind(measure, made_up_record):
    records = [
        made_up_record(network="denseann(growth=4)", weighting=name, seed=seed, scores={"test": [0.9, error]})
        for name, error in [("adaloss", 0.3), ("const", 0.4)]
        for seed in range(3)
    ]
    first, second = ({"network": "denseann", "weighting": name} for name in ("adaloss", "const"))
    found = measure(records, name="error_difference", first=first, second=second)
    assert found == pytest.approx(dict.fromkeys(range(3), -25))


def test_error_difference_by_hand(measure, made_up_record):
    records = three(made_up_record, weighting="adaloss", scores={"test": [0.9, 0.9, 0.2]})
    records += three(made_up_record, weighting="gls", scores=lambda s: {"test": [0.9, 0.9, 0.2 + 0.01 * s]})
    records += three(made_up_record, batch_size=64, scores={"test": [0.9, 0.9, 0.1]})
    found = measure(records, name="error_difference", first={"weighting": "gls"}, second={"weighting": "adaloss"})
    assert found == pytest.approx({0: 0, 1: 5, 2: 10})
    batch = measure(records, name="error_difference", first={"batch_size": 64}, second={"batch_size": 128})
    assert batch == pytest.approx(dict.fromkeys(range(3), -50))


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


# --- sequences -----------------------------------------------------------------------------------------------------


def sequence_records(make, n, weighting, *, errors, costs, alone=None):
    scores = {"test": errors, "cumulative": costs, "alone": alone or costs}
    return [make(network=f"resann(n={n}, c=4)", weighting=weighting, seed=seed, scores=scores) for seed in range(3)]


@pytest.fixture
def eann(made_up_record):
    """Members n = 1, 2 with exits at 10, 20 and 20, 40: budgets 10 to 60. Separate: n = 1, 2, 3 cost 16, 32, 48."""
    return [
        *sequence_records(made_up_record, 2, "adaloss", errors=[0.30, 0.20], costs=[20, 40]),
        *sequence_records(made_up_record, 1, "adaloss", errors=[0.50, 0.40], costs=[10, 20]),
        *sequence_records(made_up_record, 1, "const", errors=[0.50, 0.45], costs=[10, 20]),
        *sequence_records(made_up_record, 2, "const", errors=[0.48, 0.25], costs=[20, 40]),
        *sequence_records(made_up_record, 1, "opt", errors=[0.01, 0.39], costs=[10, 20], alone=[9, 16]),
        *sequence_records(made_up_record, 2, "opt", errors=[0.01, 0.28], costs=[20, 40], alone=[9, 32]),
        *sequence_records(made_up_record, 3, "opt", errors=[0.01, 0.19], costs=[30, 60], alone=[9, 48]),
    ]


def test_eanns_are_compared_over_the_logarithm_of_the_budget(measure, eann):
    # AdaLoss: 0.5 from 10, 0.4 from 20, 0.3 from 40, 0.2 at 60. CONST: 0.5, 0.45 from 20 on (0.48 is not adopted)
    first = (0.5 * log(2) + 0.4 * log(2) + 0.3 * log(1.5)) / log(6)
    second = (0.5 * log(2) + 0.45 * log(3)) / log(6)
    found = measure(eann, name="eann_difference", first="adaloss", second="const")
    assert found == pytest.approx(dict.fromkeys(range(3), 100 * (first / second - 1)))


def test_a_member_may_be_the_default_network(measure, eann, made_up_record):
    more = eann + sequence_records(made_up_record, 3, "const", errors=[0.24, 0.10], costs=[50, 60])
    assert more[-1].config.network == "resann(c=4)"
    found = measure(more, name="eann_difference", first="const", second="adaloss", at_end=True)
    assert found == pytest.approx(dict.fromkeys(range(3), -50))


def test_eanns_are_compared_at_their_ends(measure, eann):
    found = measure(eann, name="eann_difference", first="adaloss", second="const", at_end=True)
    assert found == pytest.approx(dict.fromkeys(range(3), -20))


def test_an_eann_against_a_linear_ensemble(measure, eann):
    # ends at 16, 48, 96: 0.39 (held from 10 on), 0.28 from 48; 96 lies past the EANN's end
    first = (0.5 * log(2) + 0.4 * log(2) + 0.3 * log(1.5)) / log(6)
    second = (0.39 * log(4.8) + 0.28 * log(60 / 48)) / log(6)
    found = measure(eann, name="eann_difference", first="adaloss", second="linear_ensemble")
    assert found == pytest.approx(dict.fromkeys(range(3), 100 * (first / second - 1)))
    at_end = measure(eann, name="eann_difference", first="adaloss", second="linear_ensemble", at_end=True)
    assert at_end == pytest.approx(dict.fromkeys(range(3), 100 * (0.20 / 0.19 - 1)))


def test_an_eann_against_a_linear_ensemble_once_both_answer(measure, eann):
    # both from 16 on: 0.5 until 20, 0.4 until 40, 0.3 until 60; 0.39 until 48, then 0.28
    first = (0.5 * log(20 / 16) + 0.4 * log(2) + 0.3 * log(1.5)) / log(60 / 16)
    second = (0.39 * log(3) + 0.28 * log(60 / 48)) / log(60 / 16)
    name = "eann_difference_once_both_answer"
    found = measure(eann, name=name, first="adaloss", second="linear_ensemble")
    assert found == pytest.approx(dict.fromkeys(range(3), 100 * (first / second - 1)))
    assert measure(eann, name=name, first="adaloss", second="const") == pytest.approx(
        measure(eann, name="eann_difference", first="adaloss", second="const")
    )


def test_a_linear_ensemble_grows_by_equal_steps(measure, eann, made_up_record):
    without = [record for record in eann if record.config.network != "resann(c=4)"]
    with pytest.raises(MissingRuns, match=r"linear ensemble: expected three or more .* in equal steps, found 1, 2$"):
        measure(without, name="eann_difference", first="adaloss", second="linear_ensemble")
    uneven = without + sequence_records(made_up_record, 4, "opt", errors=[0.1], costs=[64])
    with pytest.raises(MissingRuns, match=r"found 1, 2, 4$"):
        measure(uneven, name="eann_difference", first="adaloss", second="linear_ensemble")


def test_the_inflation_of_an_eann_by_hand(measure, eann):
    # g = 2, bound 3. Networks of the members' depths: 0.39 for 16, 0.28 for 32; the third counts not.
    # 0.5 at up to 20: matches none: C < 20 / 16. 0.4 from 20 (at most 1.05 · 0.39): C < 40 / 32.
    # 0.3 from 40 > 1.05 · 0.28 = 0.294: C < 60 / 32 = 1.875; 0.2 at 60: C = 0
    found = measure(eann, name="eann_inflation", weighting="adaloss", tolerance=0.05)
    last_but_one = 60 / 6 ** (1 / 199)  # the last of 200 budgets before 60 itself
    assert found == pytest.approx(dict.fromkeys(range(3), last_but_one / 32 - 3))
    loose = measure(eann, name="eann_inflation", weighting="adaloss", tolerance=0.10)
    # 0.3 is now as good as 0.28, so the largest C is that of 0.4, just before 40; budgets are 10 · 6^(k/199)
    k = floor(199 * log(4) / log(6))
    assert loose == pytest.approx(dict.fromkeys(range(3), 10 * 6 ** (k / 199) / 32 - 3))


def test_growth_is_the_mean_cost_ratio_of_members(measure, eann, made_up_record):
    # costs 20, 40, 160: g = 3, bound 2.5; the third member and its network are matched at every budget that has it
    more = [
        *eann,
        *sequence_records(made_up_record, 4, "adaloss", errors=[0.19, 0.01], costs=[1, 160]),
        *sequence_records(made_up_record, 4, "opt", errors=[0.19], costs=[100]),
    ]
    found = measure(more, name="eann_inflation", weighting="adaloss", tolerance=0.05)
    budgets = [10 * 22 ** (k / 199) for k in range(200)]
    largest = max(budget for budget in budgets if budget < 60) / 32
    assert found == pytest.approx(dict.fromkeys(range(3), largest - 2.5))


def test_members_and_networks_must_be_in_the_studies(measure, eann, made_up_record):
    without = [r for r in eann if (r.config.network, r.config.weighting) != ("resann(n=2, c=4)", "opt")]
    with pytest.raises(MissingRuns, match=r"separately trained networks \(opt\), n = 2"):
        measure(without, name="eann_inflation", weighting="adaloss", tolerance=0.05)
    with pytest.raises(MissingRuns, match="EANN of linear: expected at least two members in the studies, found none"):
        measure(eann, name="eann_difference", first="linear", second="const")
    twice = eann + sequence_records(made_up_record, "2, s=2", "adaloss", errors=[0.3, 0.2], costs=[20, 40])
    with pytest.raises(InputError, match=r"bad sequence of networks: expected one with n = 2, found .* and "):
        measure(twice, name="eann_difference", first="adaloss", second="const")


def test_only_networks_with_a_depth_make_a_sequence(measure, eann, made_up_record):
    odd = [*eann, made_up_record(network="msdnet", weighting="adaloss")]
    with pytest.raises(InputError, match="bad network msdnet: expected one whose option n tells its depth"):
        measure(odd, name="eann_difference", first="adaloss", second="const")


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

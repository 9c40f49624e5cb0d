"""The sentences on sequences of networks, each branch once."""

import pandas as pd
import pytest

from anytime_study.analysis.selection import Selection
from anytime_study.pages import sequences

COSTS = {1: [10, 20], 3: [20, 50]}  # of the members
ALONE = {1: (0.38, 18), 2: (0.3, 30), 3: (0.18, 45)}  # error and cost of the separately trained ones


@pytest.fixture
def experiment(made_up_record, made_up_experiment):
    def make(seeds=3, *, early=0.45):
        """Errors of AdaLoss and CONST differ at the first exit of the first member and nowhere else."""
        records = []
        for seed in range(seeds):
            aside = 0.001 * seed
            for weighting, first in (("adaloss", early), ("const", 0.5)):
                for n, errors in ((1, [first + aside, 0.4]), (3, [0.45, 0.2])):
                    scores = {"test": errors, "validation": errors, "cumulative": COSTS[n], "alone": COSTS[n]}
                    network = f"resann(n={n}, c=4)"
                    records.append(made_up_record(network=network, weighting=weighting, seed=seed, scores=scores))
            for n, (error, cost) in ALONE.items():
                scores = {"test": [0.9, error], "validation": [0.9, error], "cumulative": [1, cost], "alone": [1, cost]}
                records.append(made_up_record(network=f"resann(n={n}, c=4)", weighting="opt", seed=seed, scores=scores))
        return made_up_experiment(records, name="eann")

    return make


def test_what_was_trained(experiment):
    text = sequences.what_was_trained(experiment())
    assert text.startswith("We trained two ResANNs of growing depth, with AdaLoss and with equal weights.")
    assert text.endswith("Each costs about 2.5 times as much as the one before.")


def test_weightings_are_compared(experiment):
    same = sequences.weightings_compared(Selection(experiment(early=0.5)))
    assert "makes about as many errors (95 % interval 0.0 to 0.0 % fewer, 3 seeds) than with equal weights." in same
    assert "Both intervals contain zero, so we see no difference." in same
    assert "The paper reports 11 % fewer errors at the end" in same
    better = sequences.weightings_compared(Selection(experiment()))
    assert "Only one of the two intervals excludes zero." in better
    assert "Against its largest network alone it makes " in better


def competences(*values, tolerance=5.0):
    """Of networks at the page's tolerance, and all of them 2 at 10 per cent."""
    rows = [{"network": str(n), "weighting": "const", "tolerance": tolerance, "b": b} for n, b in enumerate(values)]
    return pd.DataFrame(rows + [{**row, "tolerance": 10.0, "b": 2.0} for row in rows])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0, 0), "**None of the two networks is competent.** Even their last exits make 6 to 8 % more errors than"),
        ((0, 1.5), "Of the two networks, one is competent. Theory promises nothing for a sequence with a member"),
        ((1.25, 2), "Both networks are competent: they are good only from 50 to 80 % of their cost on."),
    ],
)
def test_competence_is_told(experiment, values, said):
    excesses = pd.DataFrame(
        {"network": ["0", "0", "1"], "weighting": "const", "seed": 0, "exit": [1, 2, 1], "excess": [40, 6, 8]}
    )
    text = sequences.competence_found(experiment(), excesses, competences(*values), 5.0)
    assert said in text
    assert "With a tolerance of 10 %, both are competent: they are good only from 50 % of their cost on. The" in text
    assert "the same exit" not in text  # there is one weighting
    assert "validation images, chance alone moves the error of one seed" in text
    assert ("This is an estimate: the interval of each last exit reaches down to" in text) == (max(values) == 0)


@pytest.mark.parametrize(("other", "same"), [(1.25, True), (0, False)])
def test_weightings_that_become_competent_at_the_same_exits_are_told(experiment, other, same):
    rows = pd.concat([competences(1.25).assign(weighting="adaloss"), competences(other)])
    excesses = pd.DataFrame({"network": ["0"], "weighting": "const", "seed": 0, "exit": [1], "excess": [6]})
    text = sequences.competence_found(experiment(), excesses, rows, 5.0)
    assert ("each network becomes competent at the same exit" in text) == same


def test_inflation_is_told(experiment):
    seen = {
        "adaloss": pd.DataFrame({"seed": [0, 0, 1], "inflation": [1.0, 2.4, 2.6]}),
        "const": pd.DataFrame({"seed": [0], "inflation": [2.0]}),  # one seed has no interval
    }
    text = sequences.inflation_found(Selection(experiment()), seen)
    assert "Its mean is 2.5 (95 % interval 1.2 to 3.8, 2 seeds) with AdaLoss and 2.0 with CONST. Seeds peak" in text
    assert f"bound for this growth is {2 + 1 / 1.5:.1f}; for ordinary networks" in text


def test_three_conventions(experiment):
    text = sequences.conventions(Selection(experiment()))
    assert text.count("\n- ") == 2
    assert "- Count silence as a guess: the EANN makes " in text
    assert text.endswith(("So the choice decides who wins.", "All three agree on who wins."))


def test_without_runs_it_says_so(experiment):
    nothing = experiment(0)
    selection = Selection(nothing)
    empty = pd.DataFrame()
    assert sequences.relative_curves(selection).empty
    told = [
        sequences.what_was_trained(nothing),
        sequences.weightings_compared(selection),
        sequences.competence_found(nothing, empty, empty, 5.0),
        sequences.inflation_found(selection, {}),
        sequences.conventions(selection),
    ]
    assert set(told) == {sequences.NOTHING}

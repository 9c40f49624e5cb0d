"""Explanations in sentences, from a few made-up numbers."""

import math

import pandas as pd
import pytest

from anytime_study.pages.explanations import (
    ADALOSS_BATCH,
    BATCH,
    EQUAL_STEPS,
    FAIR_64,
    FAIR_128,
    SCRIPTS,
    WITH_DECAY,
    batch_in_words,
    batch_table,
    headroom_in_words,
    rates_in_words,
    ratio_in_words,
)

MAIN = {"network": "resann(n=3, c=4, s=3)", "epochs": 2}
ERRORS = {("const", 128): 0.20, ("const", 64): 0.18, ("adaloss", 128): 0.196, ("adaloss", 64): 0.17}


@pytest.fixture
def scripts(made_up_record, made_up_experiment):
    """All combinations of weighting and batch size, of so many seeds."""

    def make(seeds):
        def of(weighting, batch_size, seed, error, **fields):
            scores = {"test": [0.5, 0.4, error + 0.0001 * seed]}
            return made_up_record(weighting=weighting, batch_size=batch_size, seed=seed, scores=scores, **fields)

        records = [of(*kind, seed, error) for kind, error in ERRORS.items() for seed in range(seeds)]
        records += [of("adaloss", 64, seed, 0.165, head_weight_decay="sieve") for seed in range(seeds)]
        records += [of("const", 128, seed, 0.19, epochs=4) for seed in range(seeds)]
        return made_up_experiment(records, main=MAIN)

    return make


def test_every_comparison_finds_its_pairs(scripts):
    table = batch_table(scripts(3))
    means = table.groupby("comparison")["last"].mean()
    assert set(means.index) == {SCRIPTS, WITH_DECAY, BATCH, FAIR_64, FAIR_128, ADALOSS_BATCH, EQUAL_STEPS}
    assert (table.groupby("comparison").size() == 3).all()
    assert means[SCRIPTS] == pytest.approx(means[FAIR_64] + means[BATCH])
    assert means[EQUAL_STEPS] == pytest.approx(100 * math.log(0.18 / 0.19), abs=0.1)


def test_the_batch_takes_its_share(scripts):
    text = batch_in_words(batch_table(scripts(3)), "CIFAR-10")
    assert text.startswith(
        "On CIFAR-10, compared as in the scripts, AdaLoss makes 15 % fewer errors at the last exit ("
    )
    assert "Halving the batch alone gives equal weights 10 % fewer errors (" in text
    assert "At equal batches AdaLoss makes 5.6 % fewer (" in text
    assert "So the batch accounts for 65 % of the scripts' difference, and the weights for the rest. Against" in text
    assert "as many steps, batches of 64 give equal weights 5.3 % fewer errors (" in text


@pytest.mark.parametrize(
    ("at_64", "ends"),
    [
        (0.165, "the batch accounts for all of the scripts' difference."),
        (0.21, "does not explain the scripts' difference."),
    ],
)
def test_the_batch_takes_all_or_nothing(scripts, at_64, ends):
    table = batch_table(scripts(3))
    table.loc[table["comparison"] == BATCH, "last"] = [100 * math.log(at_64 / 0.2) + each for each in (-0.1, 0, 0.1)]
    assert f"{ends} Against batches of 128" in batch_in_words(table, "x")


def test_an_unsure_share_is_said_to_be_unsure(scripts):
    table = batch_table(scripts(3))
    table.loc[table["comparison"] == BATCH, "last"] = [-30.0, 20.0, -5.0]
    assert "but the seeds are too few to be sure." in batch_in_words(table, "x")


def test_one_seed_and_none(scripts):
    assert "(1 seed, so no interval)" in batch_in_words(batch_table(scripts(1)), "x")
    assert batch_in_words(batch_table(scripts(0)), "x").endswith("have not finished yet.")


def test_extremes_are_told():
    table = pd.DataFrame(
        {
            "place": ["a"] * 3 + ["b"] * 3,
            "ratio": [1.25] * 3 + [4.6] * 3,
            "headroom": [4.0] * 3 + [14.4] * 3,
            "first": [1.0] * 3 + [10.0] * 3,
            "last": [0.0, 0.1, 0.2, -3.0, -3.1, -3.2],
        }
    )
    assert ratio_in_words(table) == (
        "Where these losses differ least, by a factor of 1.2 (a), AdaLoss makes 1.0 % more errors at the first exit. "
        "Where they differ most, by a factor of 4.6 (b), it makes 11 % more errors there."
    )
    text = headroom_in_words(table)
    assert text.startswith(
        "Headroom lies between 4.0 % (a) and 14 % (b). At the last exit AdaLoss makes 0.1 % more errors"
    )
    assert text.endswith(" fewer, 3 seeds) where it is largest.")
    assert ratio_in_words(table[:3]) == headroom_in_words(table[:0]) == ""


@pytest.mark.parametrize(
    ("best", "edge", "text"),
    [
        ((0.2, 0.2), (True, True), "choose the same rate for both, 0.2. Both lie at an end of the grid"),
        ((0.1, 0.2), (False, True), "choose 0.1 for equal weights and 0.2 for AdaLoss. One of them lies at an end"),
        ((0.1, 0.1), (False, False), "Validation images choose the same rate for both, 0.1."),
    ],
)
def test_rates(best, edge, text):
    rows = {"weighting": ["const", "adaloss"], "learning_rate": best, "best": True, "at_the_edge": edge}
    assert text in rates_in_words(pd.DataFrame(rows))


def test_rates_that_are_not_there():
    rows = {"weighting": ["const"], "learning_rate": [0.1], "best": [True], "at_the_edge": [False]}
    assert rates_in_words(pd.DataFrame(rows)) == "The runs at other learning rates have not finished yet."

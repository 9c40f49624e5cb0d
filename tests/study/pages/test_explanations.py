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
    batches_in_a_table,
    batches_in_words,
    headroom_in_words,
    moved_in_words,
    price_in_words,
    prices_in_words,
    rates_in_words,
    ratio_in_words,
    room_in_words,
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


def test_runs_of_the_same_setting_in_another_study_are_compared_too(made_up_record, made_up_experiment):
    def runs(batch_size, **rates):
        return [made_up_record(weighting=name, batch_size=batch_size, learning_rate=r) for name, r in rates.items()]

    main = made_up_experiment(runs(128, const=0.2, adaloss=0.4), main=MAIN, own_rates={"const": 0.2, "adaloss": 0.4})
    other = made_up_experiment(runs(64, const=0.2, adaloss=0.4) + runs(64, const=0.1))
    table = batch_table(main, other).set_index("comparison")
    assert set(table.index) == {SCRIPTS, BATCH, FAIR_64, FAIR_128, ADALOSS_BATCH}
    assert table.loc[BATCH, "learning_rate"] == 0.2


def test_the_batch_takes_its_share(scripts):
    table = batch_table(scripts(3))
    text = batch_in_words(table, "CIFAR-10")
    assert text.startswith(
        "On CIFAR-10, compared as in the scripts, AdaLoss makes 17 % fewer errors at the last exit ("
    )
    assert "3 seeds). Halving the batch alone gives equal weights 10 % fewer errors (95 % interval 10 to 10 " in text
    assert "So it accounts for 55 % of that difference (95 % interval 55 to 55 %, 3 seeds). Without the" in text
    assert "decay of the heads, AdaLoss makes 15 % fewer errors (" in text
    assert "At equal batches AdaLoss makes 5.6 % fewer at 64 (95 %" in text
    assert "as many steps, batches of 64 give equal weights 5.3 % fewer errors (95 % interval" in text
    some = table[
        ~table["comparison"].isin([FAIR_64, FAIR_128]) & ((table["comparison"] == BATCH) | (table["seed"] < 2))
    ]
    assert "difference" not in batch_in_words(some, "x")  # only two seeds have both
    assert "At equal batches" not in batch_in_words(some, "x")


def test_without_the_decay_of_the_heads_this_is_said(scripts):
    table = batch_table(scripts(3))
    text = batch_in_words(table[(table["comparison"] != WITH_DECAY) | (table["seed"] == 0)], "x")
    assert "with the scripts' batches but without their decay of the heads, AdaLoss makes 15 % fewer" in text
    assert "accounts for 65 % of that difference" in text


@pytest.mark.parametrize(
    ("batch", "whole", "text"),
    [
        ([-30.0, -20.0, -25.0], [-20.0, -21.0, -22.0], "for all of that difference (119 %, 95 % interval "),
        ([3.0, 4.0, 5.0], [-20.0, -21.0, -22.0], "for none of that difference (−19 %, 95 % interval −"),
        ([-9.0, 1.0, -5.0], [-20.0, -21.0, -22.0], "for 21 % of that difference (95 % interval −"),
        ([-30.0, 20.0, -5.0], [-20.0, -21.0, -22.0], "none of that difference or for all of it: these seeds cannot"),
        ([-5.0, -5.0, -5.0], [-20.0, 11.0, -2.0], ""),  # perhaps there is nothing to share
    ],
)
def test_the_batch_takes_all_a_part_or_nothing(scripts, batch, whole, text):
    table = batch_table(scripts(3))
    for name, values in ((BATCH, batch), (WITH_DECAY, whole)):
        table.loc[table["comparison"] == name, "last"] = values
    told = batch_in_words(table, "x")
    assert text in told
    assert bool(text) == ("difference" in told)


def test_one_seed_and_none(scripts):
    assert "makes 18 % fewer errors at the last exit (1 seed, so no" in batch_in_words(batch_table(scripts(1)), "x")
    none, one = batch_table(scripts(0)), batch_table(scripts(1))
    first, last = batches_in_words({"x": none, "y": one, "z": none}).split("\n\n")
    assert first.startswith("On y, compared ")
    assert last == "On x and z, the runs that tell batch and weighting apart have not finished yet."
    assert batches_in_words({"y": one}) == first


def test_extremes_are_told():
    table = pd.DataFrame(
        {
            "place": ["a"] * 3 + ["b"] * 3,
            "dataset": "Digits",
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
        "On Digits, headroom lies between 4.0 % (a) and 14 % (b). At the last exit AdaLoss makes 0.1 % more errors"
    )
    assert " more, 3 seeds) where it is smallest. Where it is largest, it makes 3.1 % fewer errors (" in text
    assert ratio_in_words(table[:3]) == headroom_in_words(table[:0]) == ""


@pytest.mark.parametrize(
    ("best", "edge", "text"),
    [
        ((0.2, 0.2), (True, True), "the same rate for both, 0.2. It is an end of the range that we tried"),
        ((0.4, 0.4), (True, False), "the same rate for both, 0.4. For one of them it is an end of the range"),
        ((0.1, 0.2), (False, True), "0.1 for equal weights and 0.2 for AdaLoss. One is an end of the range"),
        ((0.05, 0.2), (True, True), "0.2 for AdaLoss. Both are ends of the range that we tried"),
        ((0.1, 0.1), (False, False), "Validation images choose the same rate for both, 0.1."),
    ],
)
def test_rates(best, edge, text):
    rows = pd.DataFrame({"weighting": ["const", "adaloss"], "learning_rate": best, "best": True, "at_the_edge": edge})
    assert text in rates_in_words(rows)
    assert rates_in_words(rows[:1]) == "The runs at other learning rates have not finished yet."


@pytest.mark.parametrize(
    ("places", "text"),
    [
        (
            [-1.0, -1.1, -0.9],
            "move the weight earlier, by 1.0 % of the network's cost (95 % interval 0.8 to 1.2 %, 3 seeds).",
        ),
        ([1.0, 1.1, 0.9], "move the weight later, by 1.0 %"),
        ([-1.0, 1.0, 0.0], "do not visibly move the weight (95 % interval 2.5 % earlier to 2.5 % later, 3 seeds)."),
        (None, "cannot be compared yet"),
    ],
)
def test_where_the_weight_moves(places, text):
    assert moved_in_words(None if places is None else pd.Series(places)).startswith(text)


def test_the_batches_in_a_table(scripts):
    whole, nothing = batch_table(scripts(3)), batch_table(scripts(0))
    table = batches_in_a_table({"here": whole, "there": nothing})
    assert len(table) == 7
    assert set(table["there"]) == {"no runs"}
    assert table["here"][0].startswith("−15 [")


def places(*rows):
    """A row each: data set, x, y; ``ratio`` and ``headroom`` are x, ``first`` and ``last`` are y."""
    table = pd.DataFrame(rows, columns=["dataset", "ratio", "first"])
    return table.assign(place=table.index.map(str), headroom=table["ratio"], last=table["first"])


GROWS = [("Garments", 1, 1), ("Garments", 2, 2), ("Garments", 3, 3)]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (GROWS[:2], "The settings are too few to say"),
        (GROWS, "Within Garments, AdaLoss's price at the first exit grows with the ratio."),
        ([(name, -x, y) for name, x, y in GROWS], "falls with the ratio."),
        ([("Garments", 1, 1), ("Garments", 2, 3), ("Garments", 3, 1)], "does not follow the ratio."),
        (
            [("Photos", 6, 2), *GROWS],
            "the ratio. Photos lies further right and pays less than the dearest setting of Garments.",
        ),
        (
            [("Photos", 6, 9), *GROWS],
            "the ratio. Photos lies further right and pays more than any setting of Garments.",
        ),
        (
            [("Photos", 6, 2), ("Photos", 8, 9), *GROWS],
            "pays more than any setting of Garments in one of two settings.",
        ),
    ],
)
def test_the_price_and_the_ratio(rows, text):
    assert text in price_in_words(places(*rows))


def test_whether_the_headroom_is_used():
    assert room_in_words(places(*GROWS[:2])) == "So far, the settings are too few to tell."
    falls = [("Photos", x, -y) for _, x, y in GROWS]
    assert room_in_words(places(*GROWS, *falls)) == (
        "Within Garments, they do not on average. Within Photos, they do on average."
    )


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (
            {"a": [1, 1.1, 1.2], "b": [2, 2.1, 2.2]},
            "In every row AdaLoss pays at a quarter of the cost on average; in both",
        ),
        ({"a": [1, 1.1, 1.2], "b": [2, -2, 9]}, "on average; in one of two the whole interval lies right of the line."),
        ({"a": [1, 1.1, 1.2], "b": [0.9, 2.0, 3.59]}, "in one of two the whole interval"),
        ({"a": [1, 1.1, 1.2], "b": [-2, -2, -9]}, "In one of two rows AdaLoss pays"),
    ],
)
def test_the_price_at_every_rate(rows, text):
    table = pd.DataFrame([(row, value) for row, values in rows.items() for value in values], columns=["row", "quarter"])
    assert text in prices_in_words(table)

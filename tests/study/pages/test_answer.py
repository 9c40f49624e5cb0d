"""The answer in sentences, with no seed, with some, and with all."""

import itertools
import math
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import get_args

import pandas as pd
import pytest

from anytime_study.pages.answer import (
    CONCLUSIONS,
    advice,
    against_the_paper,
    answer,
    conclusion,
    control_in_short,
    gate_in_words,
    halves,
    landing_caption,
    measured,
    objective,
    power,
    progress,
)
from anytime_study.pages.evidence import Evidence, confirmatory, load_evidence
from anytime_study.pages.found import Found, Side, Sources, side

RELEVANT = {"quarter": 4.88, "last": 3.92}


def found(seeds, quarter=8.0, last=-5.0, *, planned=8, where="CIFAR-10, trained for 20 epochs", effect="", **fields):
    """Changes in per cent, a little apart by seed."""
    apart = [0.3 * (seed % 3 - 1) for seed in range(seeds)]
    logs = {
        name: [100 * math.log(1 + mean / 100) + each for each in apart]
        for name, mean in (("quarter", quarter), ("last", last))
    }
    return Found(where, pd.DataFrame(logs), planned, verdict(effect) if effect else None, 20, **fields)


def verdict(effect, small=(0.02, 0.02), opposite=(0.01, 1.0), *, amended=False):
    """On the trade-off; with p of both halves, the last exit's first."""
    measures = {}, {"fraction": 0.25}
    trials = [
        SimpleNamespace(measure=measure, evidence=SimpleNamespace(small=q, opposite=p))
        for measure, q, p in zip(measures, small, opposite, strict=True)
    ]
    return SimpleNamespace(effect=effect, amended=amended, trials=trials)


def sources(counted, shorter=4, same_rate=None, **changes):
    """Of so many seeds of the main comparison (or what is found there), of the shorter one, and of the control."""
    main = found(counted) if isinstance(counted, int) else counted
    short = found(shorter, where="CIFAR-10, with 10,000 images and 40 epochs", **changes)
    control = same_rate or found(0, where=f"{main.where} at one learning rate")
    return Sources(main, short, control, RELEVANT, (0.2, 0.4))


def sentences(text):
    """That read like sentences: each begins with a capital and none has a hole."""
    parts = re.split(r"(?<=[.]) (?=[A-Z])", text)
    for part in parts:
        assert re.fullmatch(r"[A-Z].*\.", part), part
        assert not re.search(r"\bnan\b|None|  |\b0 of\b|\(\)", part), part
    return parts


@pytest.mark.parametrize("seeds", [0, 1, 2, 4, 8])
def test_the_answer_reads_well_with_any_number_of_seeds(seeds):
    counted = found(seeds, effect="shown as claimed" if seeds == 8 else "")
    text = " ".join(sentences(answer(sources(counted))))
    assert text.startswith("So far, AdaLoss ") == (seeds < 8)
    assert ("10,000 images and 40 epochs, AdaLoss makes 7.9 % more errors" in text) == (
        seeds < 3
    )  # the shorter one speaks
    assert ("This is an estimate" in text) == (seeds < 3)
    assert ("too few to tell" in text) == (seeds in (1, 2))
    assert ("20 of the paper's 300 epochs" in text) == (seeds >= 3)
    assert ("the trade-off is shown" in text) == (seeds == 8)
    assert ("Each weighting has its own learning rate" in text) == (seeds >= 3)
    (short, _) = sentences(advice(sources(counted)))
    assert short.startswith("So far, ") == (seeds < 8)


@pytest.mark.parametrize(
    ("seeds", "late", "explains"),
    [(2, 0.0, False), (3, 0.0, True), (8, -0.5, True), (8, -5.0, False), (8, 4.0, True)],
)
def test_the_control_takes_back_a_gain_that_is_the_learning_rates(seeds, late, explains):
    """Eight pairs at own rates gain 5 %; the control has equal weights at AdaLoss's rate."""
    there = sources(found(8, effect="shown as claimed"), same_rate=found(seeds, last=late))
    text = " ".join(sentences(answer(there)))
    assert there.rate_explains == explains == text.startswith("At one learning rate, 0.4, AdaLoss ")
    assert ("that gain comes from the rate" in text) == explains
    assert ("so the rate may explain" in text) == (seeds < 3)
    assert ("With AdaLoss's rate for both, it makes" in text) == (seeds >= 3 and not explains)
    assert "the trade-off is shown" in text  # by its rule, whatever the control says
    assert ("a reason to change" in advice(there)) == explains
    published = {"quarter": 15.0, "last": -14.0}
    assert landing_caption(there, published).endswith("at one learning rate.") == explains
    assert bool(control_in_short(there)) == explains


@pytest.mark.parametrize(("late", "part"), [(0.0, "nearly all of that gain"), (-2.0, "most of that gain")])
def test_the_share_of_the_rate_is_told(late, part):
    wide = found(8, last=late)
    wide.changes["last"] += [6.0, -6.0] * 4  # an open end, or it would be a gain of the weighting
    assert part in answer(sources(found(8, last=-9.0, effect="shown as claimed"), same_rate=wide))


def test_a_control_that_shows_no_gain_by_the_rate_takes_nothing_back():
    """The late change is open at one rate, but so is what the rate changes."""
    wide = found(3)
    wide.changes["last"] += [-9.0, 9.0, 4.0]
    there = sources(found(8), same_rate=wide)
    assert not there.rate_explains
    finding, *_, unsure = sentences(answer(there))
    assert finding.endswith("late accuracy, each weighting at its own learning rate.")
    assert unsure == "So at one rate the gain is not confirmed."
    assert advice(there).endswith("late accuracy counts more, and beside equal weights at the same learning rate.")
    assert control_in_short(there)


def test_without_seeds_the_answer_is_how_far_the_runs_are():
    nothing = sources(found(0, planned=0), 2)
    assert answer(nothing) == "The main comparison, on CIFAR-10, trained for 20 epochs, has not begun."
    assert advice(nothing).startswith("Keep equal weights for the exits: ")


@pytest.mark.parametrize(
    ("early", "late", "text"),
    [
        (
            8.0,
            -1.5,
            "little back at the end. Keep equal weights for the exits: nothing that we measured is a reason",
        ),
        (8.0, 3.0, "Keep equal weights for the exits: nothing that we measured is a reason to change."),
        (8.0, -6.0, "AdaLoss trades early accuracy for late accuracy. Try it only where late accuracy counts more."),
        (
            2.0,
            -6.0,
            "AdaLoss trades a little early accuracy for late accuracy. Try it only where late accuracy counts more.",
        ),
        (-6.0, 2.0, "and costs a little late accuracy. Try it only where early accuracy counts more."),
        (0.0, -6.0, "at no early price that matters. It is worth a try."),
    ],
)
def test_the_advice_follows_from_the_answer(early, late, text):
    assert text in advice(sources(found(4, early, late)))
    assert text in advice(sources(0, quarter=early, last=late))


@pytest.mark.parametrize(("columns", "word"), [(("quarter", "last"), "late"), (("last", "quarter"), "early")])
def test_an_open_price_is_not_called_none(columns, word):
    values = dict(zip(columns, ([9.0, 8.0, -0.3, 4.0, 10.0, -1.5], [-6.0, -8.0, -12.4, -9.0, -5.0, -7.0]), strict=True))
    text = advice(sources(Found("CIFAR-10", pd.DataFrame(values), 6)))
    assert text.endswith(f"is still open. Try it only where {word} accuracy counts more.")


@pytest.mark.parametrize(
    ("late", "text"), [(-1.5, " and gives little back at the end."), (1.5, ", and a little late accuracy, too.")]
)
def test_a_small_change_is_called_small(late, text):
    told = answer(sources(found(4, last=late)))
    assert f"AdaLoss costs early accuracy{text}" in told
    assert "Little means less than is relevant: 4 % at the end, 5 % early." in told
    assert "Little means" not in answer(sources(found(4, last=-6.0)))


def test_captions_say_what_the_curves_do():
    paper = {"quarter": 15.0, "last": -15.0}
    theirs = "From 16 % more errors to 14 % fewer in the paper; "
    assert landing_caption(sources(0), paper) == f"{theirs}from 7.9 % more errors to 5.1 % fewer here."
    tables = [found(4).changes, found(2).changes]
    assert against_the_paper(tables, paper).startswith("Every seed gains less")
    assert against_the_paper(tables, {"last": -1.0}).startswith("None of the six seeds gain less")
    assert against_the_paper(tables, {"last": found(3).changes["last"].mean()}).startswith(
        "One of six seeds gains less"
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-6.0, -5.0, -5.5], "fewer"),
        ([-1.0, -1.2, -1.1], "slightly fewer"),
        ([-1.0, 1.0, 0.1], "same"),
        ([-9.0, 9.0, 1.0], "open"),
        ([1.0, 1.2, 1.1], "slightly more"),
        ([5.0, 5.2, 5.1], "more"),
        ([1.0, 2.0, 4.0], "open"),
        ([3.0, 3.9, 4.0], "more"),
    ],
)
def test_sides(values, expected):
    assert side(values, 3.92) == expected


def test_there_is_a_conclusion_for_every_pair_of_sides():
    early, sides = ("more", "fewer", "same", "open"), get_args(Side)
    assert set(CONCLUSIONS) == set(itertools.product(early, sides))
    assert len(set(CONCLUSIONS.values())) == len(CONCLUSIONS)
    assert conclusion(found(4, 2.0, -5.0), RELEVANT) == "AdaLoss trades a little early accuracy for late accuracy"
    assert conclusion(found(4, -1.0, -5.0), RELEVANT) == "AdaLoss is better than equal weights, early and late"
    assert conclusion(found(4, 8.0, -5.0), RELEVANT) == "AdaLoss trades early accuracy for late accuracy"


@pytest.mark.parametrize(
    ("seeds", "planned", "effect", "text"),
    [
        (0, 6, "not tested", "trained for 20 epochs, has no finished pair of runs yet."),
        (0, 0, "not tested", "The main comparison, on CIFAR-10, trained for 20 epochs, has not begun."),
        (1, 6, "not tested", "One of six planned pairs of runs has finished; the claim is judged when all have."),
        (2, 6, "not tested", "Two of six planned pairs of runs have finished; the claim is judged when all have."),
        (6, 6, "undecided", "By the rule that was written before the runs, the claim stays undecided."),
        (6, 6, "shown opposite", "the trade-off is shown to go the other way at the last exit."),
        (6, 6, "no effect as large as δ", "too small to matter at the last exit and at a quarter of the cost."),
    ],
)
def test_progress(seeds, planned, effect, text):
    assert text in progress(found(seeds, planned=planned, effect=effect))


def test_progress_with_an_amended_rule_or_a_run_that_diverged():
    amended = replace(found(6, planned=6), verdict=verdict("undecided", amended=True))
    assert progress(amended) == "By a rule that we amended after some of the runs, the claim stays undecided."
    lost = found(5, planned=6, diverged=1)
    assert progress(lost).endswith("finished. One diverged, so the claim cannot be judged: its rule needs all.")
    assert not answer(sources(lost)).startswith("So far")
    assert answer(sources(found(4, planned=6, diverged=1))).startswith("So far")


@pytest.mark.parametrize(("small", "half"), [((0.02, 0.9), "the last exit"), ((0.03, 0.001), "a quarter of the cost")])
def test_the_half_that_decides_is_named(small, half):
    one = replace(found(6, planned=6), verdict=verdict("no effect as large as δ", small))
    assert progress(one).endswith(f"the trade-off is too small to matter at {half}.")


def test_what_was_measured():
    assert measured(found(1, 8.3, -5.2)).endswith("equal weights. This is one seed, so there is no interval.")
    assert measured(found(2)).endswith("equal weights. These are two seeds, too few for an interval.")
    assert "8.0 % more errors at a quarter of the cost and 5.0 % fewer at the last exit" in measured(found(3))
    assert "The 95 % intervals over three seeds are 7.2 to 8.8 % more, and 4.3 to 5.7 % fewer." in measured(found(3))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ([(5, -1)], "the only seed pays early and gains a little at the end"),
        ([(5, 1)], "no seed both pays early and gains at the end"),
        ([(5, -1), (4, -2), (3, -1)], "all three seeds pay early and gain a little at the end"),
        ([(5, -1), (4, 2), (-3, -1)], "one of three seeds pays early and gains a little at the end"),
        ([(5, -1), (4, -5), (-3, -1)], "two of three seeds pay early and gain at the end"),
    ],
)
def test_seeds_one_by_one(changes, text):
    one = Found("CIFAR-10", pd.DataFrame(changes, columns=["quarter", "last"]))
    assert halves(one, RELEVANT, "In the main comparison") == f"In the main comparison, {text}."


def test_power_from_four_seeds_on():
    assert power(found(3), RELEVANT) == ""
    sure = power(found(4), RELEVANT)
    assert (
        "These four seeds would find a true change of 4 % at the last exit with a chance of more than 99 % and one of 5"
        in sure
    )
    assert sure.endswith("at most with the smaller of these chances; to bring each to 80 % takes two seeds.")
    reviewed = {"quarter": [8.5, 7.7, 0.5, 4.0, 7.0, 3.5], "last": [-6.8, -8.1, -12.4, -9.2, -5.5, -7.0]}
    text = power(Found("CIFAR-10", pd.DataFrame(reviewed)), RELEVANT)
    assert (
        "4 % at the last exit with a chance of 88 % and one of 5 % at a quarter of the cost with a chance of 87" in text
    )


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([], []),
        ([[1.0]], ["In the only row {} higher on average, but no interval lies wholly right of the line."]),
        ([[-1.0, -1.1, -1.2]], ["In the only row {} lower on average, with the whole interval left of the line."]),
        (
            [[1.0], [1.0, 1.1, 1.2]],
            ["In both rows {} higher on average, one with the whole interval right of the line."],
        ),
        (
            [[2.0, 2.1, 2.2], [-2.0, -2.1, -2.2], [1.0, 1.1, 1.2]],
            [
                "In two of three rows {} higher on average, with the whole interval right of the line.",
                "In the other row it ends lower on average, with the whole interval left of the line.",
            ],
        ),
    ],
)
def test_the_objective_in_all_rows(values, texts):
    rows = [(str(place), value) for place, of_place in enumerate(values) for value in of_place]
    text = objective(pd.DataFrame(rows, columns=["place", "objective"]), found(0))
    assert text == " ".join(texts).replace("{}", "AdaLoss's objective ends")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([-3.8, -3.8, -3.8], "3.7 % lower (95 % interval 3.7 to 3.7 % lower, 3 seeds)."),
        ([3.0], "3.0 % higher (1 seed, so no interval)."),
        ([-1.0, 1.0], "about as high (2 seeds, so no interval)."),
    ],
)
def test_the_objective_in_the_main_comparison_comes_first(values, text):
    table = pd.DataFrame({"place": "a", "objective": values})
    first, row = sentences(objective(table, Found("CIFAR-10", table)))
    assert first == f"In the main comparison AdaLoss ends with its own objective {text}"
    assert row.startswith("In the only row")


@pytest.mark.parametrize(
    ("opt", "text"),
    [
        ((14.0, None), "no regime can be judged yet"),
        ((14.0, 15.0), "if that is at least 8 %. So the main comparison trains on b."),
        ((4.0, 5.0), "So the main comparison needs another regime."),
    ],
)
def test_the_gate(opt, text):
    assert text in gate_in_words(pd.DataFrame({"regime": ["a", "b"], "opt": opt, "half_end": 1.0}))


# --- from records ---------------------------------------------------------------------------------------------------

STUDY = """
title: Trade-off
tier: cifar
committed: true
experiment: {name}
common: {{dataset: cifar10, epochs: 2, network: "resann(n=3, c=4, s=3)"}}
{grids}
"""
OWN_RATES = "own_rates: {const: 0.2, adaloss: 0.4}\ngrids: [{seed: [1, 2, 3, 4], weighting: [const, adaloss]}]"
SMALLER_BATCH = "own_rates: {const: 0.2, adaloss: 0.4}\ngrids: [{batch_size: 64, seed: 1, weighting: [const, adaloss]}]"
EXCHANGED = """
grids:
  - {seed: [1, 2, 3], weighting: const, learning_rate: 0.4}
  - {seed: [1, 2, 3], weighting: adaloss, learning_rate: 0.2}
"""


@pytest.fixture
def evidence(tmp_path, made_up_record, made_up_divergence):
    """Of a study of four pairs on CIFAR-10 of which the first few are made, and of runs with their rates exchanged.

    The first exit errs 8 % more with AdaLoss and 3 % more at the rate 0.4, the last one 5 % less and 2 % more.
    """
    studies, records = tmp_path / "studies" / "cifar", tmp_path / "records" / "cifar"
    studies.mkdir(parents=True)
    records.mkdir(parents=True)

    def save(seed, weighting, rate, make=made_up_record, **fields):
        early, late = (1.08, 0.95) if weighting == "adaloss" else (1 + 0.001 * seed, 1)
        early, late = (1.03 * early, 1.02 * late) if rate == 0.4 else (early, late)
        fields["scores"] = {"test": [0.5 * early, 0.3, 0.2 * late]}
        fields |= {"dataset": "cifar10", "weighting": weighting, "learning_rate": rate, "seed": seed}
        make(**fields).save(records)

    def load(pairs, exchanged=(), smaller_batch=False, diverged=False):
        (studies / "trade_off.yaml").write_text(STUDY.format(name="trade_off", grids=OWN_RATES))
        (studies / "common_rates.yaml").write_text(STUDY.format(name="common_rates", grids=EXCHANGED))
        for seed in range(1, pairs + 1):
            save(seed, "const", 0.2)
            save(seed, "adaloss", 0.4, made_up_divergence if diverged and seed == pairs else made_up_record)
        for weighting, rate, seeds in exchanged:
            for seed in range(1, seeds + 1):
                save(seed, weighting, rate)
        if smaller_batch:
            (studies / "batches.yaml").write_text(STUDY.format(name="trade_off", grids=SMALLER_BATCH))
            save(1, "const", 0.2, batch_size=64)
            save(1, "adaloss", 0.4, batch_size=64)
        return load_evidence(tmp_path / "records", studies=tmp_path / "studies")

    return load


@pytest.mark.parametrize("made", [0, 1, 4])
def test_records_become_the_answer(evidence, made):
    there: Evidence = evidence(made)
    counted = there.counted
    assert (counted.seeds, counted.planned, counted.epochs) == (made, 4, 2)
    assert there.relevant == RELEVANT
    text = " ".join(sentences(answer(there.sources)))
    assert ("on CIFAR-10, trained for 2 epochs" in text.replace("On", "on")) == (made != 1)
    assert ("By a rule that we amended after some of the runs, the trade-off is shown" in text) == (made == 4)
    (primary, *others) = confirmatory(there)["where it stands"]
    assert primary == ("shown as claimed" if made == 4 else f"{2 * made} of 8 runs made; judged when all are")
    assert others[:2] == ["not started"] * 2


def test_batches_of_another_size_are_no_seeds_of_the_main_comparison(evidence):
    counted = evidence(3, smaller_batch=True).counted
    assert (counted.seeds, counted.planned, [*counted.changes.index]) == (3, 4, [1, 2, 3])


def test_a_seed_that_diverged_does_not_come(evidence):
    there = evidence(4, diverged=True)
    assert progress(there.counted).startswith("Three of four planned pairs of runs have finished. One diverged, so")
    assert confirmatory(there)["where it stands"][0] == "8 of 8 runs made; cannot be judged: one diverged"


@pytest.mark.parametrize(
    ("pairs", "exchanged", "begins"),
    [
        (0, [], []),
        (4, [], []),
        (0, [("const", 0.4, 3)], []),
        (1, [("const", 0.4, 1)], ["With a learning rate of 0.4 for both", "The rate alone, 0.4 instead of 0.2"]),
        (3, [("adaloss", 0.2, 3)], ["With a learning rate of 0.2 for both, AdaLoss makes"]),
    ],
)
def test_control_runs_at_common_rates_are_told_as_they_come(evidence, pairs, exchanged, begins):
    text = evidence(pairs, exchanged).at_common_rates()
    told = sentences(text) if text else []
    assert len(told) == len(begins)
    assert all(sentence.startswith(begin) for sentence, begin in zip(told, begins, strict=True))


def test_the_weighting_and_the_rate_are_told_apart(evidence):
    weights, rate, at_low = sentences(evidence(4, [("const", 0.4, 3), ("adaloss", 0.2, 3)]).at_common_rates())
    assert "0.4 for both, AdaLoss makes 7.8 % more errors at a quarter of the network's cost (95 % interval" in weights
    assert weights.endswith(
        "over three seeds: 7.5 to 8.1 % more) and 5.0 % fewer at the last exit (5.0 to 5.0 % fewer)."
    )
    assert "equal weights 3.0 % more errors early (" in rate
    assert at_low.endswith(
        "0.2 for both, AdaLoss makes 7.8 % more errors early (7.5 to 8.1 % more) and 5.0 % fewer at the "
        "last exit (5.0 to 5.0 % fewer)."
    )

"""The answer in sentences, with no seed, with some, and with all."""

import itertools
import math
import re

import pandas as pd
import pytest

from anytime_study.pages.answer import (
    CONCLUSIONS,
    Found,
    Sources,
    advice,
    against_the_paper,
    answer,
    answer_short,
    conclusion,
    gate_in_words,
    halves,
    landing_caption,
    measured,
    objective,
    power,
    progress,
    side,
)
from anytime_study.pages.evidence import Evidence, confirmatory, load_evidence

RELEVANT = {"quarter": 4.88, "last": 3.92}


def found(seeds, quarter=8.0, last=-5.0, *, planned=8, effect="not tested", where="CIFAR-10, trained for 20 epochs"):
    """Changes in per cent, a little apart by seed."""
    apart = [0.3 * (seed % 3 - 1) for seed in range(seeds)]
    logs = {
        name: [100 * math.log(1 + mean / 100) + each for each in apart]
        for name, mean in (("quarter", quarter), ("last", last))
    }
    return Found(where, pd.DataFrame(logs), planned, effect, 20)


def sources(counted, shorter=4, **changes):
    """Of so many seeds of the main comparison (or what is found there), and of the shorter one."""
    main = found(counted) if isinstance(counted, int) else counted
    return Sources(main, found(shorter, where="CIFAR-10, with 10,000 images and 40 epochs", **changes), RELEVANT)


def sentences(text):
    """That read like sentences: each begins with a capital and none has a hole."""
    parts = re.split(r"(?<=[.]) (?=[A-Z])", text)
    for part in parts:
        assert re.fullmatch(r"[A-Z].*\.", part), part
        assert not re.search(r"\bnan\b|None|  |\b0 of\b|\(\)", part), part
    return parts


@pytest.mark.parametrize("seeds", [0, 1, 2, 4, 8])
def test_the_answer_reads_well_with_any_number_of_seeds(seeds):
    counted = found(seeds, effect="shown as claimed" if seeds == 8 else "not tested")
    text = " ".join(sentences(answer(sources(counted))))
    assert text.startswith("So far, AdaLoss ") == (seeds < 8)
    assert ("10,000 images and 40 epochs, it makes 7.9 % more errors" in text) == (seeds < 3)  # the shorter one speaks
    assert ("This is an estimate" in text) == (seeds < 3)
    assert ("too few to tell" in text) == (seeds in (1, 2))
    assert ("20 of the paper's 300 epochs" in text) == (seeds >= 3)
    assert ("the trade-off is shown" in text) == (seeds == 8)
    sentences(answer_short(sources(counted)))


def test_without_seeds_the_answer_is_how_far_the_runs_are():
    nothing = sources(found(0, planned=0), 2)
    assert answer(nothing) == "The main comparison, on CIFAR-10, trained for 20 epochs, has not begun."
    assert advice(nothing).startswith("Nothing that we measured")


@pytest.mark.parametrize(
    ("early", "late", "text"),
    [
        (8.0, -1.5, "Nothing that we measured between exits is a reason to replace them with AdaLoss."),
        (8.0, 3.0, "Nothing that we measured between exits is a reason to replace them with AdaLoss."),
        (8.0, -6.0, "What AdaLoss offers in our runs is a trade, not an improvement."),
        (0.0, -6.0, "so it is worth a try."),
    ],
)
def test_the_advice_follows_from_the_answer(early, late, text):
    assert advice(sources(found(4, early, late))).endswith(text)
    assert advice(sources(0, quarter=early, last=late)).endswith(text)


def test_a_small_gain_is_called_small():
    text = answer(sources(found(4, last=-1.5)))
    assert "AdaLoss costs early accuracy and gives little back at the end: less than the 4 % that we call" in text


def test_captions_say_what_the_curves_do():
    paper = {"quarter": 15.0, "last": -15.0}
    text = landing_caption(sources(0), paper)
    assert (
        text
        == "The paper's curve goes from 16 % more errors to 14 % fewer; ours from 7.9 % more errors to 5.1 % fewer."
    )
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
        ([-1.0, -1.2, -1.1], "slightly"),
        ([-1.0, 1.0, 0.1], "same"),
        ([-9.0, 9.0, 1.0], "open"),
        ([1.0, 1.2, 1.1], "more"),
    ],
)
def test_sides(values, expected):
    assert side(values, 3.92) == expected


def test_there_is_a_conclusion_for_every_pair_of_sides():
    early, late = ("more", "fewer", "same", "open"), ("more", "fewer", "slightly", "same", "open")
    assert set(CONCLUSIONS) == set(itertools.product(early, late))
    assert len(set(CONCLUSIONS.values())) == len(CONCLUSIONS)
    assert conclusion(found(4, -1.0, -5.0), RELEVANT) == "AdaLoss is better than equal weights, early and late"


@pytest.mark.parametrize(
    ("seeds", "planned", "effect", "text"),
    [
        (0, 6, "not tested", "trained for 20 epochs, has no finished pair of runs yet."),
        (0, 0, "not tested", "The main comparison, on CIFAR-10, trained for 20 epochs, has not begun."),
        (1, 6, "not tested", "One of six planned pairs of runs has finished; the claim is judged when all have."),
        (2, 6, "not tested", "Two of six planned pairs of runs have finished; the claim is judged when all have."),
        (1, 0, "not tested", "One pair of runs has finished; the claim is not judged yet."),
        (6, 6, "not tested", "Six pairs of runs have finished; the claim is not judged yet."),
        (6, 6, "undecided", "By the rule that was written before the runs, the claim stays undecided."),
        (6, 6, "shown opposite", "at least one half of the claimed trade-off is refuted"),
        (6, 6, "no effect as large as δ", "at least one half of the claimed trade-off is too small to matter."),
    ],
)
def test_progress(seeds, planned, effect, text):
    assert text in progress(found(seeds, planned=planned, effect=effect))


def test_what_was_measured():
    assert measured(found(1, 8.3, -5.2)).endswith("equal weights. This is one seed, so there is no interval.")
    assert measured(found(2)).endswith("equal weights. These are two seeds, too few for an interval.")
    assert "8.0 % more errors at a quarter of the cost and 5.0 % fewer at the last exit" in measured(found(3))
    assert "The 95 % intervals over three seeds are 7.2 to 8.8 % more, and 4.3 to 5.7 % fewer." in measured(found(3))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ([(5, -1)], "the only seed so far pays early and gains a little at the end"),
        ([(5, 1)], "no seed so far both pays early and gains at the end"),
        ([(5, -1), (4, -2), (3, -1)], "all three seeds pay early and gain a little at the end"),
        ([(5, -1), (4, 2), (-3, -1)], "one of three seeds pays early and gains a little at the end"),
        ([(5, -1), (4, -5), (-3, -1)], "two of three seeds pay early and gain at the end"),
    ],
)
def test_seeds_one_by_one(changes, text):
    assert text in halves(Found("CIFAR-10", pd.DataFrame(changes, columns=["quarter", "last"])), RELEVANT)


def test_power_from_four_seeds_on():
    assert power(found(3), RELEVANT) == ""
    assert power(found(4), RELEVANT).endswith(
        "at the last exit with a chance of more than 99 %; for 80 % it takes two."
    )
    assert "These eight seeds would find a true change of 4 % at" in power(found(8), RELEVANT)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], ""),
        (
            [[1.0]],
            "In the only row so far AdaLoss ends with a higher value of its own objective on average. In none of",
        ),
        (
            [[1.0], [1.0, 1.1, 1.2]],
            "In both rows AdaLoss ends with a higher value of its own objective on average. In o",
        ),
        ([[1.0], [1.0, 1.1, 1.2]], "In one of them the whole interval lies right of the line."),
        (
            [[-1.0, -1.1, -1.2]] * 2,
            "a lower value of its own objective on average. In all of them the whole interval lies l",
        ),
        ([[1.0], [-2.0], [1.0]], "In two of three rows AdaLoss ends with a higher value of its own objective"),
    ],
)
def test_the_objective(values, text):
    rows = [(str(place), value) for place, of_place in enumerate(values) for value in of_place]
    assert text in objective(pd.DataFrame(rows, columns=["place", "objective"]))


@pytest.mark.parametrize(
    ("opt", "text"),
    [
        ((14.0, None), "no regime can be judged yet"),
        ((14.0, 15.0), "if that is at least 8 %. So the main comparison will train on b."),
        ((4.0, 5.0), "So the main comparison will need another regime."),
    ],
)
def test_the_gate(opt, text):
    assert text in gate_in_words(pd.DataFrame({"regime": ["a", "b"], "opt": opt, "half_end": 1.0}))


# --- from records ---------------------------------------------------------------------------------------------------

STUDY = """
title: Trade-off
tier: cifar
committed: true
experiment: trade_off
common: {dataset: cifar10, epochs: 2, network: "resann(n=3, c=4, s=3)"}
grids: [{seed: [1, 2, 3, 4], weighting: [const, adaloss]}]
"""


@pytest.fixture
def evidence(tmp_path, made_up_record):
    """Of a study of four pairs on CIFAR-10 of which the first few are made."""

    def make(pairs):
        (tmp_path / "studies" / "cifar").mkdir(parents=True)
        (tmp_path / "studies" / "cifar" / "trade_off.yaml").write_text(STUDY)
        (tmp_path / "records" / "cifar").mkdir(parents=True)
        for seed in range(1, pairs + 1):
            for weighting, last in (("const", 0.2), ("adaloss", 0.19 - 0.001 * seed)):
                errors = [0.5 + 0.04 * (weighting == "adaloss"), 0.3, last]
                fields = {"dataset": "cifar10", "weighting": weighting, "seed": seed, "scores": {"test": errors}}
                made_up_record(**fields).save(tmp_path / "records" / "cifar")
        return load_evidence(tmp_path / "records", studies=tmp_path / "studies")

    return make


@pytest.mark.parametrize("made", [0, 1, 4])
def test_records_become_the_answer(evidence, made):
    there: Evidence = evidence(made)
    counted = there.counted
    assert (counted.seeds, counted.planned, counted.epochs) == (made, 4, 2)
    assert there.relevant == RELEVANT
    text = " ".join(sentences(answer(there.sources)))
    assert ("on CIFAR-10, trained for 2 epochs" in text.replace("On", "on")) == (made != 1)
    assert ("the trade-off is shown" in text) == (made == 4)
    (primary, *others) = confirmatory(there)["where it stands"]
    assert primary == ("shown as claimed" if made == 4 else f"{2 * made} of 8 runs made; judged when all are")
    assert others[:2] == ["not started"] * 2

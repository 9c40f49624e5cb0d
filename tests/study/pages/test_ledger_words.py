"""The ledger in sentences."""

import pytest

from anytime_study.analysis.claims import load_claims
from anytime_study.analysis.ledger import of_weights_alone, strongest
from anytime_study.pages import ledger_words as said

from .test_result_pages import verdict

CLAIMS = {claim.id: claim for claim in load_claims().claims}
ALONE = "adaloss-above-const-at-1-4"
PAIR = "small-adaloss-below-large-const-at-half"
WAITING = {"evidence": None, "untested": ("tuned_rate",)}


def test_nothing_but_the_weights():
    alone = {name for name, claim in CLAIMS.items() if of_weights_alone(claim) and not claim.of_this_study}
    assert {ALONE, "adaloss-below-const-msdnet", "adaloss-train-loss-below-const-at-1"} <= alone
    assert not alone & {PAIR, "adaloss-near-opt-at-1", "adaloss-below-linear-at-1", "eann-adaloss-below-const"}


def test_the_strongest_tier_with_runs_speaks():
    here, there, nowhere = verdict(), verdict("shown opposite"), verdict("not tested")
    assert strongest({"laptop": [here, here, nowhere], "cifar": [there, nowhere, nowhere]}) == [there, here, nowhere]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([verdict()], "The papers' only claim is shown as claimed. All were tested on other data"),
        (
            [verdict(), verdict("undecided"), verdict("undecided"), verdict(where="this study")],
            "Of three claims of the papers, one is shown as claimed and two are undecided.",
        ),
        ([verdict(flag="x"), verdict()], "For one of those shown, a control without AdaLoss shows the same, so"),
        ([verdict(flag="x")] * 2, "For two of those shown, a control without AdaLoss shows the same, so"),
        (
            [verdict()] * 7 + [verdict("undecided")] * 20,
            "Of 27 claims of the papers, 7 are shown as claimed and 20 are",
        ),
        ([verdict(scope="replicated"), verdict("not tested")], "and one is not tested."),
    ],
)
def test_of_the_papers(found, text):
    assert text in said.of_the_papers(found)
    assert said.of_the_papers([verdict(scope="replicated")]).endswith("shown as claimed.")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            [verdict(claim=PAIR)],
            "in one network has been tested yet.",
        ),
        ([verdict(claim=ALONE)], "One compares AdaLoss with equal weights in one network. One is shown: “A holds.”"),
        (
            [verdict("undecided", claim=ALONE)] * 2,
            "Two compare AdaLoss with equal weights in one network. All are undecided.",
        ),
        ([verdict("undecided", claim=ALONE)], "in one network. It is undecided."),
        (
            [verdict(claim=ALONE)] * 2 + [verdict("undecided", claim=ALONE)],
            "Two are shown: “A holds.” “A holds.” One is un",
        ),
        ([verdict(claim=ALONE), *[verdict("undecided", claim=ALONE)] * 2], "Two are undecided."),
        ([verdict("shown opposite", claim=ALONE)] * 2, "Of two, the opposite is shown: “A holds.” “A holds.”"),
        ([verdict("no effect as large as δ", claim=ALONE)], "One is too small to matter: “A holds.”"),
        ([verdict("shown opposite", claim=ALONE)], "Of one, the opposite is shown: “A holds.”"),
    ],
)
def test_of_the_weights(found, text):
    assert text in said.of_the_weights(found, CLAIMS)


def test_what_limits_all_is_said_once():
    found = [verdict(amended=True), verdict(amended=True, flag="x"), verdict("not tested")]
    assert said.common_limits(found) == {"other data", "rule amended"}
    assert said.common_limits([verdict("not tested")]) == {"rule amended"}  # which is told in words


@pytest.mark.parametrize(
    ("amended", "text"),
    [
        ([], ""),
        ([False, False], "No rule was amended after its runs."),
        ([True, True], "All rules were amended after the runs."),
        ([True, False], "1 of 2 rules was amended after the runs; the exception is “A holds.”"),
        (
            [True, True, False, False],
            "2 of 4 rules were amended after the runs; the exceptions are “A holds.” “A holds.”",
        ),
        ([True, *[False] * 4], "1 of 5 rules was amended after the runs."),
    ],
)
def test_of_amended_rules(amended, text):
    found = said.of_amended_rules([verdict(amended=each) for each in amended])
    assert found.startswith(text) if text else found == ""


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([verdict()], ""),
        ([verdict("not tested")], "One claim has no runs yet, so it has no number."),
        ([verdict("not tested")] * 3, "Three claims have no runs yet, so they have no numbers."),
        ([verdict(**WAITING)], "One waits for the rest of theirs."),
        (
            [verdict("not tested"), verdict(**WAITING)],
            "One claim has no runs yet, and one waits for the rest of theirs.",
        ),
    ],
)
def test_of_missing_runs(found, text):
    assert said.of_missing_runs(found).startswith(text)
    assert text or said.of_missing_runs(found) == ""

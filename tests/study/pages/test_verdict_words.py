"""Verdicts as tables and sentences."""

from dataclasses import replace

import pandas as pd
import pytest

from anytime_study.analysis.claims import load_claims
from anytime_study.analysis.decisions import Evidence
from anytime_study.analysis.ledger import of_weights_alone, strongest
from anytime_study.analysis.verdicts import CONTROLLED, Trial, Verdict
from anytime_study.pages import verdict_words as said

CLAIMS = {claim.id: claim for claim in load_claims().claims}
ALONE = "adaloss-above-const-at-1-4"
PAIR = "small-adaloss-below-large-const-at-half"
EFFECTS = ("shown as claimed", "shown opposite", "no effect as large as δ")


def verdict(effect="shown as claimed", values=(-3.0, -1.0, -2.0), **fields):
    """With the evidence of this effect, on other data; ``not tested``: without a trial."""
    found = Evidence(*(0.01 if name == effect else 1.0 for name in EFFECTS))
    tested = effect != "not tested"
    trial = Trial("one_rate", {"name": "error_difference"}, pd.Series(values), found)
    given = {
        **{"claim": "a", "says": "A holds.", "where": "Table 1", "published": -2.5, "role": "estimate"},
        **{"experiment": "e", "untested": (), "flag": ""},
        **{"stopped_by": None, "amended": False, "note": "", "trials": (trial,) if tested else ()},
        **{"evidence": found if tested else None, "scope": "other data" if tested else None},
    }
    return Verdict(**{**given, **fields})


def told(*verdicts):
    """The table's column ``found``."""
    return said.verdict_table(list(verdicts))["found"].tolist()


WAITING = verdict(evidence=None, untested=("tuned_rate",))
CONTROL, UNCLEAR, OPPOSITE = verdict(flag=CONTROLLED), verdict("undecided"), verdict("shown opposite")
AMENDED, UNTESTED = verdict("undecided", amended=True), verdict("not tested")


# --- as a table ------------------------------------------------------------------------------------------------------


def test_verdicts_as_a_table():
    table = said.verdict_table([verdict(), verdict("not tested", published=None, amended=True)])
    assert table["here"].tolist() == ["−2.0 [−4.5,\N{NO-BREAK SPACE}0.5] %", ""]
    assert table["the paper"].tolist() == ["Table 1: −2.5 %", "Table 1"]
    assert table["found"].tolist() == ["shown as claimed (other data)", "not tested (rule amended)"]


def test_what_limits_a_finding_is_told_once():
    small = verdict("no effect as large as δ", amended=True, flag="not attributable to AdaLoss")
    assert told(small) == ["smaller than matters (other data; not attributable to AdaLoss; rule amended)"]
    assert told(WAITING, verdict("not tested", untested=("one_rate",))) == [
        "undecided (other data; waits for runs with each at its best rate)",
        "not tested",
    ]
    found = [verdict(amended=True), verdict(amended=True, flag="x"), UNTESTED]
    assert said.common_limits(found) == {"other data", "rule amended"}
    assert said.common_limits([UNTESTED]) == {"rule amended"}  # which is told in words
    assert said.verdict_table(found, unsaid={"other data", "rule amended"})["found"][1] == "shown as claimed (x)"


@pytest.mark.parametrize(
    ("measure", "text"),
    [
        ({"name": "increase_over_opt"}, "−2.0 [−4.5, 0.5] %"),
        ({"name": "increase_over_opt", "minus": "const"}, "−2.0 [−4.5, 0.5] points"),
        ({"name": "spread_difference"}, "−2.0 [−4.5, 0.5] doublings"),
        ({"name": "log_error_change"}, "−2.0 [−4.4, 0.5] %"),
    ],
)
def test_numbers_have_units(measure, text):
    of = verdict()
    (ours,) = said.verdict_table([replace(of, trials=(replace(of.trials[0], measure=measure),))])["here"]
    assert ours.replace("\N{NO-BREAK SPACE}", " ") == text


def test_an_unfair_comparison_is_withdrawn_and_its_number_stays():
    unfair = verdict("shown opposite", claim="geometric-loss-as-adaloss")
    (row,) = said.verdict_table([unfair]).to_dict("records")
    assert row["found"] == "withdrawn: at one learning rate the two take steps of different length"
    assert row["here"]
    assert said.judged([unfair]).endswith("The only claim is withdrawn.")


# --- as sentences ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([verdict()], "The only claim is shown as claimed."),
        ([UNCLEAR] * 2, "Both claims are undecided."),
        ([OPPOSITE] * 3, "All three claims are shown to go the other way."),
        ([verdict(), UNCLEAR], "Of two claims, one is shown as claimed, and one is undecided."),
        (
            [UNCLEAR, UNCLEAR, verdict(), OPPOSITE],
            "Of four claims, one is shown as claimed, two are undecided, and of one the opposite is shown.",
        ),
        ([CONTROL, UNTESTED], "The same for that one, so AdaLoss is not its cause."),
        ([CONTROL] * 3, "The same for all three, so AdaLoss is not their cause."),
        ([CONTROL, verdict()], "The same for one of two, so AdaLoss is not the cause."),
    ],
)
def test_what_became_of_claims(found, text):
    text = text.replace("The same", "A control without AdaLoss shows the same")
    assert said.judged(found).startswith("We wrote the rules before the runs and have not changed them since. ")
    assert said.judged(found).endswith(text)


def test_claims_without_runs():
    assert said.judged([UNTESTED]).endswith("The only claim is not tested yet.")
    assert said.judged([UNTESTED] * 3).endswith("None of the three claims has been tested yet.")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([AMENDED, AMENDED, UNTESTED], "We wrote the rules before the runs and amended them afterwards."),
        ([AMENDED, UNCLEAR], "We wrote the rules before the runs and amended one of two afterwards."),
        ([UNTESTED], "We write the rules before the runs."),
    ],
)
def test_it_says_when_the_rules_were_written(found, text):
    assert said.judged(found).startswith(f"{text} ")


def test_nothing_but_the_weights():
    alone = {name for name, claim in CLAIMS.items() if of_weights_alone(claim) and claim.where != "this study"}
    assert {ALONE, "adaloss-below-const-msdnet", "adaloss-train-loss-below-const-at-1"} <= alone
    assert not alone & {PAIR, "adaloss-near-opt-at-1", "adaloss-below-linear-at-1", "eann-adaloss-below-const"}


def test_the_strongest_tier_with_runs_speaks():
    here, there = verdict(), OPPOSITE
    found = strongest({"laptop": [here, here, UNTESTED], "cifar": [there, UNTESTED, UNTESTED]})
    assert found == [there, here, UNTESTED]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            [verdict(), UNCLEAR, UNCLEAR, verdict(where="this study")],
            "Of 3 claims of the papers, 1 is shown as claimed and 2 are undecided. All were tested on other data",
        ),
        ([verdict(flag="x"), verdict()], "For one of those shown, a control without AdaLoss shows the same, so"),
        ([verdict(scope="replicated"), OPPOSITE, UNTESTED], "claimed, 1 is shown to go the other way and 1 is not"),
    ],
)
def test_of_the_papers(found, text):
    assert text in said.of_the_papers(found)
    assert said.of_the_papers([verdict(scope="replicated")]).endswith("shown as claimed.")


def test_of_the_primary():
    primary = verdict(role="primary", amended=True)
    assert said.of_the_primary([UNCLEAR, primary]) == (
        "This study's primary claim is shown as claimed (other data): “A holds.”"
    )
    assert said.of_the_primary([UNCLEAR, replace(primary, trials=())]) == ""


def alone(effect="shown as claimed"):
    return verdict(effect, claim=ALONE)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([verdict(claim=PAIR)], "in one network has been tested yet."),
        ([alone()], "One compares AdaLoss with equal weights in one network. One is shown: “A holds.”"),
        ([alone("undecided")] * 2, "Two compare AdaLoss with equal weights in one network. All are undecided."),
        ([*[alone()] * 2, alone("undecided")], "Two are shown: “A holds.” “A holds.” One is undecided."),
        ([alone("shown opposite")], "Of one, the opposite is shown: “A holds.”"),
        ([alone("no effect as large as δ")], "One is too small to matter: “A holds.”"),
    ],
)
def test_of_the_weights(found, text):
    assert text in said.of_the_weights(found, CLAIMS)


@pytest.mark.parametrize(
    ("amended", "text"),
    [
        ([True, True], "2 of 2 rules were amended after the runs."),
        ([True, False], "1 of 2 rules was amended after the runs. This one is unchanged: “A holds.”"),
        ([True, False, False], "1 of 3 rules was amended after the runs. These are unchanged: “A holds.” “A holds.”"),
        ([True, *[False] * 4], "1 of 5 rules was amended after the runs."),
    ],
)
def test_of_amended_rules(amended, text):
    assert said.of_amended_rules([verdict(amended=each) for each in amended]) == text


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([verdict()], ""),
        ([UNTESTED, WAITING], "One claim has no runs yet, so it has no number. One waits for the rest of theirs."),
        ([UNTESTED] * 3, "Three claims have no runs yet, so they have no numbers."),
    ],
)
def test_of_missing_runs(found, text):
    assert said.of_missing_runs(found) == text


def test_a_claim_whose_turn_did_not_come_says_so():
    stopped, queued = verdict(stopped_by="b"), verdict(stopped_by="b", queued=True)
    assert told(stopped, queued) == [
        "undecided (other data; a claim before it was not shown)",
        "undecided (other data; waits for a claim before it)",
    ]


def test_losses_that_hardly_differ_explain_why_nothing_changes():
    ratio = Trial("one_rate", {"name": "loss_ratio"}, pd.Series([1.06, 1.07, 1.08]), OPPOSITE.evidence)
    alike = verdict("shown opposite", trials=(ratio,))
    assert said.little_to_weigh(alike).endswith(" is 1.07 (95 % interval 1.05 to 1.09, 3 seeds).")
    assert said.verdict_table([alike])["here"].tolist() == ["1.07 [1.05,\N{NO-BREAK SPACE}1.09] times"]
    assert said.little_to_weigh(verdict()) == ""

import re
from dataclasses import replace

import pandas as pd
import pytest

from anytime_core.errors import InputError
from anytime_study.analysis.claims import Decision
from anytime_study.analysis.decisions import Evidence
from anytime_study.analysis.statistics import mean_interval
from anytime_study.analysis.verdicts import CONTROLLED, Trial, Verdict
from anytime_study.pages.publishing import ORIGIN_BEGINS, ORIGIN_ENDS
from anytime_study.pages.result_pages import (
    collect,
    found_text,
    header,
    interval_text,
    judged,
    ours_text,
    published,
    require_runs,
    verdict_table,
)
from anytime_study.studies.experiments import Experiment

EFFECTS = ("shown as claimed", "shown opposite", "no effect as large as δ")


def verdict(effect="shown as claimed", values=(-3.0, -1.0, -2.0), **fields):
    """With the evidence of this effect, on other data; ``not tested``: without a trial."""
    series = pd.Series(values)
    found = Evidence(*(0.01 if name == effect else 1.0 for name in EFFECTS))
    decision = Decision(kind="below")
    tested = effect != "not tested"
    trial = Trial("one_rate", {"name": "error_difference"}, decision, series, mean_interval(series), found)
    given = {
        "claim": "a",
        "says": "A holds.",
        "where": "Table 1",
        "published": -2.5,
        "role": "estimate",
        "experiment": "e",
        "decision": decision,
        "tier": "laptop",
        "trials": (trial,) if tested else (),
        "untested": (),
        "evidence": found if tested else None,
        "scope": "other data" if tested else None,
        "flag": "",
        "stopped_by": None,
        "amended": False,
        "note": "",
    }
    return Verdict(**{**given, **fields})


def test_the_header_counts_what_was_made(made_up_record, made_up_divergence, made_up_experiment):
    made = [made_up_record(seed=seed, batch_size=size) for seed, size in [(0, 64), (2, 128)]]
    text = header(made_up_experiment([*made, made_up_divergence(seed=1)], unmade=[made_up_record(seed=3)]), "laptop")
    said, _, folded = text.partition(ORIGIN_BEGINS)
    assert said.strip() == (
        "Drawn from 3 of 4 planned training runs so far ([tier](../glossary.html#term-tier) *laptop*): "
        "Optical digits, 1,257 training images, 2 epochs, two seeds. "
        "One of them diverged: the loss became NaN or infinite."
    )
    rows = dict(re.findall(r"^\| (.*?) \| (.*?) \|$", folded, re.MULTILINE))
    assert rows["seeds (the same for all that is compared)"] == "0, 2"
    assert rows["batch size"] == "64, 128"
    assert rows["networks"] == "`resann(n=3, c=4, s=3)`, 3 exits, 0.0 million MACs"
    assert rows["hardware"] == "none, 1 thread"
    assert rows["commits"] == made[0].provenance.commit[:7]
    assert folded.endswith(ORIGIN_ENDS)


def test_the_header_of_nothing():
    assert header(Experiment("e", {}, {}, {}), "cifar") == (
        "No run has finished yet ([tier](../glossary.html#term-tier) *cifar*). There is nothing to show."
    )


def test_a_page_that_needs_runs_is_refused_without(made_up_record, made_up_divergence, made_up_experiment):
    require_runs(made_up_experiment([made_up_record()]), "cifar")
    lost = made_up_experiment([made_up_divergence()], unmade=[made_up_record(seed=3)])
    with pytest.raises(
        InputError, match=r"weightings in tier cifar, found none of 2; anytime study workflow/studies/cifar/w"
    ):
        require_runs(lost, "cifar")


def test_measures_without_runs_are_left_out(made_up_record, made_up_experiment):
    records = [made_up_record(seed=seed, weighting=name) for seed in range(3) for name in ("const", "linear")]
    ratio = {"name": "error_difference", "second": {"weighting": "const"}}
    wanted = [({"what": name}, {**ratio, "first": {"weighting": name}}) for name in ("linear", "sieve")]
    experiment = made_up_experiment(records, main={"network": "resann(n=3, c=4, s=3)"})
    table = collect(experiment, wanted)
    assert table.to_dict("list") == {"what": ["linear"] * 3, "seed": [0, 1, 2], "value": [0.0] * 3}
    assert list(collect(experiment, wanted[1:])) == ["what", "seed", "value"]


def test_intervals_as_text():
    assert interval_text([]) == ""
    assert interval_text([-1.25], digits=2) == "−1.25"
    assert interval_text([-0.04]) == "0.0"
    assert interval_text([1.0, 2.0, 3.0], digits=2) == "2.00 [−0.48,\N{NO-BREAK SPACE}4.48]"  # 4.3027 / √3 on each side


def test_verdicts_as_a_table():
    table = verdict_table([verdict(), verdict("not tested", published=None, amended=True)])
    assert table["here"].tolist() == [f"{interval_text([-3.0, -1.0, -2.0])} %", ""]
    assert table["the paper"].tolist() == ["Table 1: −2.5 %", "Table 1"]
    assert table["found"].tolist() == ["shown as claimed (other data)", "not tested (rule amended)"]


KEPT = "We wrote the rules before the runs and have not changed them since. "
CONTROL, UNCLEAR, OPPOSITE = verdict(flag=CONTROLLED), verdict("undecided"), verdict("shown opposite")
AMENDED, UNTESTED = verdict("undecided", amended=True), verdict("not tested")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([verdict()], "The only claim is shown as claimed."),
        ([OPPOSITE], "Of the only claim, the opposite is shown."),
        ([OPPOSITE] * 2, "Of both claims, the opposite is shown."),
        ([OPPOSITE] * 3, "Of all three claims, the opposite is shown."),
        ([UNCLEAR] * 2, "Both claims are undecided."),
        ([UNCLEAR] * 3, "All three claims are undecided."),
        ([verdict(), UNCLEAR], "Of two claims, one is shown as claimed, and one is undecided."),
        (
            [UNCLEAR, UNCLEAR, verdict(), OPPOSITE],
            "Of four claims, one is shown as claimed, two are undecided, and of one the opposite is shown.",
        ),
        (
            [CONTROL, UNTESTED],
            "Of two claims, one is shown as claimed, and one is not tested yet. A control without AdaLoss shows the "
            "same for that one, so AdaLoss is not its cause.",
        ),
        (
            [CONTROL] * 2,
            "Both claims are shown as claimed. A control without AdaLoss shows the same for both, so AdaLoss is not "
            "their cause.",
        ),
        (
            [CONTROL] * 3,
            "All three claims are shown as claimed. A control without AdaLoss shows the same for all three, so AdaLoss "
            "is not their cause.",
        ),
        (
            [CONTROL, verdict()],
            "Both claims are shown as claimed. For one of those shown, a control without AdaLoss shows the same, so "
            "AdaLoss is not the cause.",
        ),
    ],
)
def test_verdicts_as_a_sentence(found, text):
    assert judged(found) == KEPT + text


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([AMENDED, AMENDED, UNTESTED], "We wrote the rules before the runs and amended them afterwards."),
        ([AMENDED, UNCLEAR], "We wrote the rules before the runs and amended one of two afterwards."),
        ([UNTESTED], "We write the rules before the runs."),
    ],
)
def test_it_says_when_the_rules_were_written(found, text):
    assert judged(found).startswith(f"{text} ")


def test_a_verdict_that_waits_for_runs_says_so():
    waiting, without = verdict(evidence=None, untested=("tuned_rate",)), verdict("not tested", untested=("one_rate",))
    assert (waiting.waits, without.waits) == (True, False)
    assert verdict_table([waiting, without])["found"].tolist() == [
        "undecided (other data; waits for runs with each at its best rate)",
        "not tested",
    ]


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
    told = ours_text(replace(of, trials=(replace(of.trials[0], measure=measure),)))
    assert told.replace("\N{NO-BREAK SPACE}", " ") == text


def test_an_unfair_comparison_is_withdrawn_and_its_number_stays():
    unfair = verdict("shown opposite", claim="geometric-loss-as-adaloss")
    (row,) = verdict_table([unfair]).to_dict("records")
    assert row["found"] == "withdrawn: at one learning rate the two take steps of different length"
    assert row["here"]
    assert judged([unfair]).endswith("The only claim is withdrawn.")


def test_what_limits_a_finding_is_told():
    small = verdict("no effect as large as δ", amended=True, flag="not attributable to AdaLoss")
    assert found_text(small) == "smaller than matters (other data; not attributable to AdaLoss; rule amended)"


def test_published_numbers_come_from_the_paper():
    assert published("table3a").query("scheme == 'AdaLoss' and cost_fraction == 1")[
        "relative_error_increase_percent"
    ].tolist() == [2.73]

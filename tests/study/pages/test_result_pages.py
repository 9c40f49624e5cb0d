import pandas as pd
import pytest

from anytime_core.errors import InputError
from anytime_study.analysis.claims import Decision
from anytime_study.analysis.statistics import mean_interval
from anytime_study.analysis.verdicts import Trial, Verdict
from anytime_study.pages.result_pages import (
    collect,
    counted,
    decided_alone,
    distance,
    header,
    interval_text,
    published,
    require_runs,
    signature,
    verdict_scores,
    verdict_table,
)
from anytime_study.studies.experiments import Experiment


def verdict(word="same direction on ours", values=(-3.0, -1.0, -2.0), decision=None, **fields):
    series = pd.Series(values)
    trial = Trial("one_rate", series, mean_interval(series), claimed=True, p=0.01, adjusted_p=0.02)
    common = {
        "claim": "a",
        "says": "A holds.",
        "where": "Table 1",
        "published": -2.5,
        "experiment": "e",
        "tier": "laptop",
    }
    given = {
        "decision": decision or Decision(kind="below"),
        "trials": (trial,),
        "untested": (),
        "amended": False,
        "note": "",
    }
    return Verdict(**{**common, **given, "verdict": word, **fields})


def test_the_header_counts_what_was_made(made_up_record, made_up_divergence, made_up_experiment):
    made = [made_up_record(seed=seed, batch_size=size) for seed, size in [(0, 64), (2, 128)]]
    text = header(made_up_experiment([*made, made_up_divergence(seed=1)], unmade=[made_up_record(seed=3)]), "laptop")
    assert "3 of 4 planned runs have been made, 1 of them diverged" in text
    assert "seeds 0, 2," in text
    assert "batch: 64, 128" in text
    assert "Network: `resann(n=3, c=4, s=3)`, 3 exits, 0.0 million MACs. Training images" in text
    assert "none, 1 thread(s)" in text


def test_the_signature_names_tier_seeds_and_hardware(made_up_record, made_up_experiment):
    records = [made_up_record(seed=seed) for seed in (1, 0)]
    text = signature(made_up_experiment(records), "laptop")
    commit = records[0].provenance.commit[:7]
    assert text == f"tier laptop · seeds 0, 1 · none · commits {commit}"


def test_the_header_of_nothing():
    assert header(Experiment("e", {}, {}, {}), "cifar") == (
        "**Tier *cifar*:** 0 of 0 planned runs have been made. There is nothing to show yet."
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
    ratio = {"name": "error_ratio", "second": {"weighting": "const"}}
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
    table = verdict_table([verdict(), verdict("not tested", trials=(), published=None, amended=True)])
    assert table["ours"].tolist() == [interval_text([-3.0, -1.0, -2.0]), ""]
    assert table["source"].tolist() == ["Table 1: −2.5", "Table 1"]
    assert table["verdict"].tolist() == ["same direction on ours", "not tested, amended"]
    assert counted([verdict(), verdict(), verdict("opposite")]) == "2 same direction on ours, 1 opposite"


def test_a_verdict_that_waits_for_runs_says_so():
    waiting, without = (
        verdict("inconclusive", untested=("tuned_rate",)),
        verdict("not tested", trials=(), untested=("one_rate",)),
    )
    assert (waiting.waits, without.waits) == (True, False)
    assert verdict_table([waiting, without])["verdict"].tolist() == [
        "inconclusive (runs with tuned rate are missing)",
        "not tested",
    ]


def test_what_would_be_decided_alone_is_told():
    text = decided_alone(
        [
            verdict("inconclusive", says="It falls."),
            verdict("inconclusive", says="It waits.", untested=("tuned_rate",)),
            verdict("inconclusive", says="It only refutes.", decision=Decision(kind="below", can_only="refute")),
            verdict(says="It is decided."),
            verdict("not tested", says="It has no runs.", trials=()),
        ]
    )
    assert text.endswith(f"\n\n- supported: It falls. *{interval_text([-3.0, -1.0, -2.0])}*")
    assert decided_alone([verdict("same direction on ours")]) == ""


@pytest.mark.parametrize(
    ("decision", "mean", "expected"),
    [
        (Decision(kind="below", threshold=1.0), -2.0, 3.0),
        (Decision(kind="above", threshold=1.0), -2.0, -3.0),
        (Decision(kind="within", margin=5.0), -2.0, 3.0),
        (Decision(kind="within", margin=5.0), 7.0, -2.0),
    ],
)
def test_distance_is_positive_on_the_claimed_side(decision, mean, expected):
    assert distance(decision, mean) == expected


def test_scores_are_distances_in_half_widths():
    (row,) = verdict_scores([verdict(), verdict(values=(1.0, 1.0, 1.0))]).to_dict("records")  # no width, no score
    interval = mean_interval([-3.0, -1.0, -2.0])
    assert row["score"] == pytest.approx(2 / ((interval.high - interval.low) / 2))


def test_published_numbers_come_from_the_paper():
    assert published("table3a").query("scheme == 'AdaLoss' and cost_fraction == 1")[
        "relative_error_increase_percent"
    ].tolist() == [2.73]

"""A report is kept whole, refused if damaged, and told in tables, sentences and pictures."""

import re

import numpy as np
import pytest

from anytime_core.errors import InputError
from anytime_study.analysis.curves import Steps
from benchmarks import figures, page
from benchmarks.__main__ import RESULTS
from benchmarks.report import Bin, Trial, load_report

COMMITTED = sorted(RESULTS.glob("*.json"))


@pytest.fixture(scope="module")
def report():
    return load_report(RESULTS / "amd-epyc-2-cores.json")


def trial(late=(0, 3), by_step=1):
    bins = [
        Bin(low_s=0.001, high_s=0.002, late=late[0], correct=30, exits=[20, 20]),
        Bin(low_s=0.002, high_s=0.003, late=late[1], correct=45, exits=[0, 60]),
    ]
    times = {"full_s": 0.002, "step_s": 0.001}
    return Trial(network="made up", load="idle", table=True, late_by_step=by_step, bins=bins, **times)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_reports_are_whole(path, tmp_path):
    found = load_report(path)
    assert path.stem == found.device.slug
    assert not found.quick
    found.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda text: text[: len(text) // 2], "expected JSON"),
        (lambda text: text.replace('"quick"', '"quik"'), "quick"),
        (lambda text: text.replace('"unit": "ms"', '"unit": 3', 1), "unit"),
        (lambda text: text.replace('"late_by_step": ', '"late_by_step": -', 1), "late_by_step"),
        (lambda text: text.replace('"baseline": "const"', '"baseline": "adaloss"', 1), "baseline"),
        (lambda _: "[]", "report"),
    ],
    ids=["cut", "renamed", "type", "negative", "two baselines", "no object"],
)
def test_a_damaged_report_is_refused_with_its_name(tmp_path, change, named):
    path = tmp_path / "r.json"
    path.write_text(change(COMMITTED[0].read_text()))
    with pytest.raises(InputError, match=named) as caught:
        load_report(path)
    assert str(path) in str(caught.value)


def test_a_missing_report_or_row_is_named(report, tmp_path):
    with pytest.raises(InputError, match=r"no\.json"):
        load_report(tmp_path / "no.json")
    with pytest.raises(InputError, match="expected nothing"):
        report["nothing"]


def test_tables_have_a_row_for_each_thing_measured(report):
    compared = report["weightings"].comparisons["losses"]
    table = page.comparison_table(compared)
    assert table["measured"].tolist()[0] == "CONST"
    assert table["ratio to CONST"].tolist()[0] == "1"
    assert len(page.stopping_table(report["stopping"])) == 9
    assert page.origin(report, ["exits", "stopping"]).count("\n| ") == 2 + 2


def test_sentences_tell_the_numbers_of_the_report(report):
    assert re.search(r"AdaLoss.* 2 %", page.weighting_sentence(report["weightings"]))
    assert "% multiply-adds" in page.exits_sentence(report["exits"])
    assert page.stopping_sentence(report["stopping"]).count("% longer") == 2
    assert f"{report['confidence'].facts['images']:,.0f} test images" in page.changes_sentence(report["confidence"])
    told = page.speed_sentence(report["confidence"])
    assert "With 20 % fewer multiply-adds than if all images went to the last exit, it took 0.95 times as long" in told
    assert "the last exit's by" in page.calibration_sentence(report["confidence"])
    assert "mean nothing" in page.header(report.model_copy(update={"quick": True}))


def test_the_hardware_is_a_sentence(report):
    assert page.header(report) == "Measured on **AMD EPYC** with two cores (avx512_bf16)."
    one = report.device.model_copy(update={"cores": 1, "features": []})
    assert page.header(report.model_copy(update={"device": one})) == "Measured on **AMD EPYC** with one core."
    gpu = report.device.model_copy(update={"kind": "cuda", "name": "Some GPU", "features": ["80 GiB"]})
    assert page.header(report.model_copy(update={"device": gpu})) == (
        "Measured on **Some GPU**, beside AMD EPYC (80 GiB)."
    )


def with_ratios(row, key, ratios):
    """The row with other ratios of a comparison, by contender."""
    compared = row.comparisons[key]
    contenders = [
        each.model_copy(update={"ratio": each.ratio.model_copy(update=ratios[each.name])})
        if each.name in ratios
        else each
        for each in compared.contenders
    ]
    comparisons = {**row.comparisons, key: compared.model_copy(update={"contenders": contenders})}
    return row.model_copy(update={"comparisons": comparisons})


def test_a_weighting_is_judged_by_its_whole_interval(report):
    within, beyond, open_ = {"low": 0.9, "high": 1.01}, {"low": 1.03, "high": 1.04}, {"low": 1.01, "high": 1.03}
    ends = {"adaloss": within, "opt": within, "linear": beyond, "half_end": beyond, "sieve": open_}
    row = with_ratios(report["weightings"], "losses", {**ends, "exponential": open_})
    assert page.weighting_sentence(row).startswith(
        "OPT of the last exit and AdaLoss add less than 2 %; LINEAR and HALF-END add more than 2 %; "
        "for SIEVE and EXPONENTIAL the interval"
    )


def test_trials_are_told_with_their_intervals():
    row = page.trial_table({"one": trial()}).iloc[0]
    assert row["late (%)"].startswith("3 [")
    assert row["late by more than a step (%)"].startswith("1 [")
    text = page.late_sentences({"table, idle": trial(late=(0, 0)), "table, one core busy": trial(by_step=50)})
    assert "0 % were (95 % interval 0 to 3.7 %). We cannot tell" in text  # none of 100 says little
    assert "50 % were (95 % interval 40 to 60 %). This did not hold." in text
    assert page.percent(3, 100) == "3 [1,\N{NO-BREAK SPACE}8.5]"  # Wilson 1927, by hand
    assert page.kept(0, 10_000, 0.01) == "This held."


def test_expected_errors_weigh_each_exit_by_its_answers():
    steps = {seed: Steps(np.array([1, 2]), np.array([0.4, 0.1 * seed])) for seed in (1, 2)}
    table = page.expected_errors(trial(), steps, [1, 2])
    assert table["deadline_ms"].tolist() == pytest.approx([1.5, 2.5, 1.5, 2.5])
    assert table["error"].tolist() == pytest.approx([0.25, 0.1, 0.3, 0.2])  # half of the first bin is exit 1's


def test_pictures_show_everything_that_was_compared(report):
    compared = report["weightings"].comparisons["losses"]
    axes = figures.ratios_figure(compared, page.WEIGHTING_LIMIT).axes[0]
    assert len(axes.get_yticklabels()) == len(compared.contenders) - 1
    top, bottom = figures.accuracy_figure(trial()).axes
    assert top.lines[0].get_ydata().tolist() == pytest.approx([75, 75])
    assert len(bottom.collections) == 2  # an area per exit

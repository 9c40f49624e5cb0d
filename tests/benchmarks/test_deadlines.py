"""Deadlines on real hardware: what is counted, kept and told. Times themselves are not tested."""

import json
import os

import numpy as np
import psutil
import pytest
import torch

from anytime_core import ResANN
from anytime_core.errors import InputError
from anytime_study.analysis.curves import Steps
from benchmarks.deadlines import page, page_figures
from benchmarks.deadlines.exits import PREDICT, REFINE, compare_exits
from benchmarks.deadlines.load import before_others, busy_processes
from benchmarks.deadlines.report import Bin, DeadlineReport, Exits, Trial, Trials, load_deadline_report
from benchmarks.deadlines.trials import make_subject, run_trial
from tests.benchmarks.made_up import DEVICE, MADE


def trial(late=(0, 3), by_step=1, correct=(30, 45), exits=((20, 20), (0, 60)), **fields):
    bins = [
        Bin(low_s=0.001 * (k + 1), high_s=0.001 * (k + 2), late=late[k], correct=correct[k], exits=list(exits[k]))
        for k in range(2)
    ]
    found = {
        "network": "made up",
        "load": "idle",
        "table": True,
        "first_s": 0.001,
        "full_s": 0.002,
        "step_s": 0.001,
        "late_by_step": by_step,
        "lateness_s": (0.0001, 0.0002, 0.0015),
        "bins": bins,
    }
    return Trial(**{**found, **fields})


@pytest.fixture(scope="module")
def subject():
    torch.manual_seed(0)
    net = ResANN(n=1, c=4, in_channels=1).eval()
    images = torch.randn(40, 1, 8, 8)
    with torch.no_grad():
        labels = net(images)[-1].argmax(1)  # so the last exit is always right
    return make_subject("tiny", net, images, labels, rounds=100)


# --- measuring -----------------------------------------------------------------------------------------------------


def test_a_trial_counts_every_call_once(subject):
    found = run_trial(subject, 300, ends=(1e-4, 5e-2))
    assert found.count == 300
    assert all(low.high_s <= high.low_s + 1e-12 for low, high in zip(found.bins, found.bins[1:], strict=False))
    assert all(len(part.exits) == subject.net.num_exits for part in found.bins)
    assert (found.lateness_s is None) == (found.late == 0)
    assert found.late_by_step <= found.late
    assert (found.table, found.load) == (True, "idle")


def test_answers_of_the_last_exit_are_counted_as_right(subject):
    found = run_trial(subject, 50, ends=(20.0, 30.0))  # seconds: every answer is the last exit's
    assert sum(part.exits[-1] for part in found.bins) == 50
    assert sum(part.correct for part in found.bins) == 50
    assert found.late == 0


def test_without_labels_nothing_is_right_or_wrong(subject):
    unlabelled = make_subject("tiny", subject.net, subject.images, None, rounds=100)
    assert all(part.correct is None for part in run_trial(unlabelled, 20, ends=(20.0, 30.0)).bins)


def test_load_is_there_inside_and_gone_outside():
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with busy_processes(1):
        (child,) = [c for c in psutil.Process().children(recursive=True) if c.pid not in before and is_worker(c)]
        child.cpu_percent()
        assert child.cpu_percent(interval=1.0) > 10  # of one core, on a machine with other work too
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may raise a priority")
def test_the_priority_comes_back():
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with before_others():
        assert os.getpriority(os.PRIO_PROCESS, 0) == -20
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def is_worker(process):
    return "spawn_main" in " ".join(process.cmdline())


def test_each_exit_is_compared_with_a_cut_network(subject):
    found = compare_exits(subject.net, subject.images[:1], rounds=3, number=2)
    assert [each.name for each in found] == [f"exit {k}" for k in range(1, subject.net.num_exits + 1)]
    assert all([c.name for c in each.contenders][1:] == [PREDICT, REFINE] for each in found)
    last = found[-1]
    assert last[REFINE].value.median > 0
    assert last[PREDICT].ratio is not None


# --- keeping -------------------------------------------------------------------------------------------------------


def test_a_report_comes_back_as_it_was_written(tmp_path):
    report = DeadlineReport(device=DEVICE, model="m", quick=True, trials=Trials(made=MADE, trials={"one": trial()}))
    report.save(tmp_path / "r.json")
    assert load_deadline_report(tmp_path / "r.json") == report
    assert report.exits is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-40], "expected JSON"),
        (lambda text: text.replace('"late_by_step": 1', '"late_by_step": -1'), "late_by_step"),
        (lambda text: text.replace('"late_by_step"', '"late_by_steps"'), "late_by_step"),
        (lambda _: json.dumps([1]), "DeadlineReport|object|dictionary|model"),
    ],
    ids=["cut", "negative", "renamed", "no object"],
)
def test_a_damaged_report_is_refused_with_its_name(tmp_path, change, message):
    path = tmp_path / "r.json"
    report = DeadlineReport(device=DEVICE, model="m", quick=True, trials=Trials(made=MADE, trials={"one": trial()}))
    report.save(path)
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=message) as caught:
        load_deadline_report(path)
    assert str(path) in str(caught.value)


def test_bins_with_different_exits_are_refused():
    uneven = trial(exits=((20, 20), (0, 30, 30)))
    with pytest.raises(ValueError, match="equally many exits"):
        DeadlineReport(device=DEVICE, model="m", quick=True, trials=Trials(made=MADE, trials={"one": uneven}))


# --- telling -------------------------------------------------------------------------------------------------------


def test_shares_have_wilson_intervals():
    assert page.percent(3, 100) == "3.00 [1.03, 8.45]"  # Wilson 1927, by hand
    assert page.percent(0, 10_000) == "0.00 [0.00, 0.04]"


@pytest.mark.parametrize(
    ("count", "total", "told"), [(0, 10_000, "kept"), (300, 10_000, "not kept"), (100, 10_000, "neither")]
)
def test_a_limit_is_judged_by_the_whole_interval(count, total, told):
    assert page.kept(count, total, 0.01).startswith(told)


def test_the_table_of_trials():
    row = page.trial_table({"one": trial()}).iloc[0]
    assert row["calls"] == 100
    assert row["deadlines (ms)"] == "1.00 to 3.00"
    assert row["late (%)"].startswith("3.00 [")
    assert row["late by more than a step (%)"].startswith("1.00 [")
    assert row["late by: median / 90 % / most (ms)"] == "0.10 / 0.20 / 1.50"
    assert page.trial_table({"one": trial(lateness_s=None)}).iloc[0, -1] == ""


def test_accuracy_by_bin():
    table = page.accuracy_table(trial())
    assert table["deadline_ms"].tolist() == pytest.approx([1.5, 2.5])
    assert table["accuracy"].tolist() == [0.75, 0.75]
    assert table["mean_exit"].tolist() == [1.5, 2]
    assert ((table["low"] < 0.75) & (table["high"] > 0.75)).all()
    with pytest.raises(ValueError, match="trained"):
        page.accuracy_table(trial(correct=(None, None)))


def test_expected_errors_take_the_times_of_one_network_and_the_errors_of_others():
    steps = {0: Steps(np.array([10, 20]), np.array([0.4, 0.2])), 1: Steps(np.array([10]), np.array([0.3]))}
    table = page.expected_errors(trial(), steps, [10, 20])
    # half of the first bin's answers are exit 1's, all of the second bin's are exit 2's, which seed 1 has not adopted
    assert table["error"].tolist() == pytest.approx([0.3, 0.2, 0.3, 0.3])
    mean = page.mean_curve(table)
    assert mean["error"].tolist() == pytest.approx([0.3, 0.25])
    assert (mean["low"] <= mean["error"]).all()


def test_sentences_judge_what_was_measured(subject):
    trials = {"table, idle": trial(late=(0, 0), by_step=0), "table, one core busy": trial(by_step=50)}
    text = page.late_sentences(trials)
    assert "late: neither" in text  # none of 100 says little about one in a hundred
    assert "were: not kept" in text
    trials["table, one core busy, first"] = trial(first=True, late=(0, 0), by_step=0)
    assert page.late_sentences(trials).startswith(text)
    assert "a priority above all other work" in page.late_sentences(trials)
    assert page.trial_table(trials)["other work"].iloc[-1] == "idle, the predictor goes first"
    exits = Exits(made=MADE, comparisons=compare_exits(subject.net, subject.images[:1], rounds=3, number=2))
    assert page.exits_sentences(exits).count("times as long") == 2
    assert len(page.exits_table(exits)) == subject.net.num_exits


def test_pictures_show_every_trial():
    figure = page_figures.accuracy_figure({"idle": trial(), "busy": trial(late=(5, 5))})
    top, bottom = figure.axes
    assert [text.get_text() for text in top.get_legend().get_texts()] == ["idle", "busy"]
    assert len(bottom.collections) == 2  # an area per exit
    curves = page.expected_errors(trial(), {s: Steps(np.array([1]), np.array([0.1 * s])) for s in (1, 2)}, [1, 2])
    assert len(page_figures.deadline_error_figure({"EANN": curves}).axes[0].lines) == 1

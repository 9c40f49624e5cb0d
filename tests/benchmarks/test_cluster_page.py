import math

import pytest

from anytime_study.studies.cost import training_macs
from benchmarks.cluster import page
from benchmarks.cluster.report import Command, Execution, SlurmTrial, StudySize
from benchmarks.header import made


@pytest.fixture
def trial():
    local = Execution(side_by_side=2, seconds=60, training_s=[4, 6, 5, 5])
    slurm = Execution(
        side_by_side=2, seconds=90, training_s=[4, 6, 5, 5], job_s=[20, 22, 18, 20], wait_s=[1, 1, 1, 1], cpus_per_job=1
    )
    return SlurmTrial(
        made=made(threads=1, load=None, seconds=1.0, setting=""),
        slurm="22.05",
        first_check_s=5,
        same_records=4,
        executions={"here": local, "slurm": slurm},
    )


@pytest.fixture
def sizes():
    """The list grows in proportion to the number of runs, the plan faster; the largest plan took too long."""
    return [
        StudySize(
            runs=runs,
            plan=None if runs == 10_000 else Command(seconds=[runs**2 / 100, runs**2 / 100, 1e6], peak_mb=runs),
            listing=Command(seconds=[runs / 10], peak_mb=100),
        )
        for runs in (10, 1_000, 10_000)
    ]


def test_overhead_is_what_a_place_is_taken_for_beyond_training(trial):
    table = page.execution_table(trial).set_index("runs made by")
    assert table.loc["here", "a place, per run (s)"] == 30  # 60 s, two places, four runs
    assert table.loc["here", "overhead, per run (s)"] == 25
    assert table.loc["slurm", "overhead, per run (s)"] == 15
    assert table.loc["slurm", "training, per run (s)"] == 5


def test_overhead_adds_up(trial):
    table = page.overhead_table(trial, [720]).set_index("runs made by")
    assert table.loc["here", "720 runs (h)"] == 5


def test_what_was_not_measured_is_continued_and_says_so(sizes):
    table = page.planning_table(sizes, [100_000]).set_index("runs")
    assert table.loc["1,000", "workflow (s)"] == "10,000.0"
    assert table.loc["10,000", "workflow (s)"] == "about 100,900, continued"  # 10,000 + 9,000 · 9,999 / 990
    assert table.loc["100,000", "listing (s)"] == "about 10,000, continued"
    assert table.loc["100,000", "listing (MB)"] == "about 100, continued"
    assert page.planning_per_run(sizes) == pytest.approx(1000 * 9_999 / 990)


def test_one_point_gives_no_line(sizes):
    assert page.planning_table(sizes[:1], [1000]).loc[1, "workflow (s)"] == "not measured"
    assert math.isnan(page.planning_per_run(sizes[:1]))


def test_hours_follow_from_the_rate_of_records(made_up_record, tmp_path):
    record = made_up_record()
    rates = page.throughput([record, record])
    rate = training_macs(record.config) / record.timing.seconds
    assert rates.iloc[0].tolist() == [record.provenance.device, 2, pytest.approx(rate)]
    study = tmp_path / "two.yaml"
    study.write_text(
        "title: Two\ntier: quick\ncommitted: false\n"
        "common: {network: 'resann(n=3, c=4, s=3)', epochs: 2}\ngrids: [{seed: [0, 1]}]\n"
    )
    table = page.tier_table([study, study], rates)
    hours = table.iloc[:, -1].tolist()
    each = training_macs(record.config) / rate / 3600
    assert hours == pytest.approx([2 * each, 0, 2 * each])  # what two studies share counts once
    assert table["runs"].tolist() == [2, 0, 2]


def test_the_sentence_tells_of_all_executions(trial):
    assert page.slurm_sentence(trial).startswith("4 of 4 runs gave the same results to the last bit in all executions.")

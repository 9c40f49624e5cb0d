"""What running many runs costs: how it is counted, kept and told. Times themselves are not tested."""

import os
import sys
import time

import psutil
import pytest

from anytime_core.errors import InputError
from benchmarks.cluster.commands import environment, run
from benchmarks.cluster.report import (
    ClusterReport,
    Command,
    Execution,
    Sizes,
    SlurmTrial,
    StudySize,
    keep,
    load_cluster_report,
)
from tests.benchmarks.made_up import DEVICE, MADE

LOCAL = Execution(side_by_side=2, seconds=30.0, training_s=[1.0, 2.0, 3.0], notebook_s=[8.0, 9.0, 10.0])
SLURM = Execution(
    side_by_side=2,
    seconds=90.0,
    training_s=[1.0, 2.0, 3.0],
    notebook_s=[8.0, 9.0, 10.0],
    job_s=[20.0, 25.0],
    wait_s=[0.0, 1.0],
    cpus_per_job=2,
)
TRIAL = SlurmTrial(made=MADE, slurm="0", first_check_s=5, same_records=3, executions={"local": LOCAL, "slurm": SLURM})
SIZES = Sizes(
    made=MADE,
    limit_s=60.0,
    studies=[StudySize(runs=10, plan=Command(seconds=[1.0, 2.0], peak_mb=500.0), listing=None)],
)


def test_the_place_of_a_run_is_taken_longer_than_it_trains():
    """By hand: 30 s of 2 places for 3 runs; jobs of 45 s with 2 processors each for 3 runs; 2 s of training each."""
    assert LOCAL.seconds_per_run == pytest.approx(20.0)
    assert LOCAL.overhead_s == pytest.approx(18.0)
    assert SLURM.seconds_per_run == pytest.approx(30.0)
    assert SLURM.overhead_s == pytest.approx(28.0)
    alone = Execution(side_by_side=4, seconds=9.0, training_s=[2.0], notebook_s=[8.0])
    assert alone.seconds_per_run == 9.0  # three of the four places stay empty, and cost nothing


def test_parts_are_kept_beside_each_other(tmp_path):
    path = keep(tmp_path, DEVICE, {"slurm": TRIAL})
    assert keep(tmp_path, DEVICE, {"sizes": SIZES}) == path == tmp_path / "made-up-2-cores.json"
    assert load_cluster_report(path) == ClusterReport(device=DEVICE, slurm=TRIAL, sizes=SIZES)


def test_a_file_of_another_device_is_not_overwritten(tmp_path):
    path = keep(tmp_path, DEVICE, {"slurm": TRIAL})
    other = DEVICE.model_copy(update={"features": ["avx512_bf16"]})  # the same name
    with pytest.raises(InputError, match="expected one of made up, found one of made up"):
        keep(tmp_path, other, {"sizes": SIZES})
    assert load_cluster_report(path).sizes is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected JSON"),
        ('{"format": 2}', "format"),
        (None, "No such file"),
    ],
)
def test_a_damaged_report_is_refused(tmp_path, content, message):
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        load_cluster_report(path)


def test_a_command_is_measured_with_what_it_waits_for(tmp_path):
    grown = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray(300_000_000)']); sys.exit(3)"
    env = environment(tmp_path / "cache")
    ended = run([sys.executable, "-c", grown], folder=tmp_path, env=env, log=tmp_path / "log")
    assert ended.status == 3
    assert 300 < ended.peak_mb < 600
    assert 0 < ended.seconds < 60


def test_a_command_beyond_its_limit_is_ended_with_its_children(tmp_path):
    start = time.monotonic()
    command = ["sh", "-c", "sleep 600 & echo $!; wait"]
    assert run(command, folder=tmp_path, env=dict(os.environ), log=tmp_path / "log", limit_s=1.0) is None
    assert time.monotonic() - start < 30
    child = int((tmp_path / "log").read_text())
    end = time.monotonic() + 10  # a process that was killed takes a moment to end
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_modules_stay_compiled_whatever_this_process_does(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    env = environment(tmp_path, PYTHONPATH="x")
    assert "PYTHONDONTWRITEBYTECODE" not in env
    assert (env["PYTHONPYCACHEPREFIX"], env["PYTHONPATH"]) == (str(tmp_path), "x")

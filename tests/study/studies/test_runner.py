import os
import signal
import subprocess
import sys
import time
from multiprocessing.context import SpawnProcess
from types import SimpleNamespace

import pytest
import yaml

from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import load_outcome
from anytime_study.studies.runner import run_study
from anytime_study.training.loop import train

pytestmark = pytest.mark.slow


def rounded(record, folder):
    """The record's results as a file holds them: floats with nine digits."""
    return load_outcome(record.save(folder)).results()


FAULTY = """import torch
from anytime_core import LossWeighting

class Mine(LossWeighting):
    def __init__(self, num_exits):
        super().__init__(torch.ones(num_exits))
    def update(self, losses):
        self.weights[0] = 1 / 0
"""


def test_runs_side_by_side_give_the_records_of_runs_alone(tiny_config, tmp_path, monkeypatch):
    """Good runs, one that diverges, one that cannot begin and one with a fault of one's own: each has its own end."""
    good = [tiny_config(seed=seed) for seed in (0, 1, 2)]
    diverging = tiny_config(learning_rate=1e30, warmup_epochs=0.0)
    monkeypatch.setenv("ANYTIME_DATA", str(tmp_path / "nothing"))
    unable = RunConfig(dataset="ilsvrc", network="resann_imagenet(depth=14)")  # nobody can download it
    (tmp_path / "faulty.py").write_text(FAULTY)
    monkeypatch.syspath_prepend(tmp_path)
    faulty = tiny_config(weighting="faulty.Mine")
    order = [unable, good[0], diverging, faulty, good[1], good[2]]
    done = {end.config: end for end in run_study(order, tmp_path, jobs=2)}
    assert done.keys() == set(order)
    ends = ["failed", "finished", "diverged", "failed", "finished", "finished"]
    assert [done[config].outcome for config in order] == ends
    assert done[faulty].message == f"{tmp_path}/faulty.py:8: ZeroDivisionError: division by zero"
    assert done[unable].message.startswith("DatasetError: ")
    assert "diverged in epoch 1 at exit" in done[diverging].message
    assert "test error of the last exit" in done[good[0]].message
    for config in good:
        alone = rounded(train(config, progress=False), tmp_path / "alone")
        assert load_outcome(tmp_path / f"{config.name}.json").results() == alone
    assert sorted(path.name for path in tmp_path.glob("*.json")) == sorted(
        f"{config.name}.json" for config in (*good, diverging)
    )
    assert not (tmp_path / ".checkpoints").exists()


def test_a_killed_process_costs_its_run_alone(tiny_config, tmp_path, monkeypatch):
    long, short = tiny_config(epochs=10_000), tiny_config()
    started = []
    original = SpawnProcess.start

    def noted(process):
        original(process)
        started.append(process)

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", noted)
    ends = run_study([long, short], tmp_path, jobs=2)
    first = next(ends)
    assert (first.config, first.outcome) == (short, "finished")
    os.kill(started[0].pid, signal.SIGKILL)
    (second,) = ends
    assert (second.config, second.outcome) == (long, "failed")
    assert second.message == "its process ended with status -9"


def study_of_two(folder, *options):
    """The command that makes two runs of a study, with their records in ``folder``/records."""
    common = {"train_size": 128, "batch_size": 32, "epochs": 150, "network": "resann(n=1, c=4)"}
    study = {"title": "Two runs", "tier": "quick", "committed": False, "common": common, "grids": [{"seed": [0, 1]}]}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    given = [str(folder / "study.yaml"), "--records-dir", str(folder / "records"), *options]
    return [sys.executable, "-m", "anytime_study.cli", "study", *given]


def test_a_study_that_is_asked_to_stop_goes_on_with_the_next_call(tiny_config, tmp_path):
    command = study_of_two(tmp_path, "--jobs", "2")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    folder = tmp_path / "records" / ".checkpoints"
    for _ in range(3000):
        if folder.exists():  # a run has begun
            break
        time.sleep(0.02)
    time.sleep(1)
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert "Traceback" not in err
    assert out.count("interrupted ") == 2
    assert not list((tmp_path / "records").glob("*.json"))
    config = tiny_config(epochs=150)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "2 finished" in done.stdout
    alone = rounded(train(config, progress=False), tmp_path / "alone")
    assert load_outcome(tmp_path / "records" / f"{config.name}.json").results() == alone


def test_when_the_time_is_over_runs_keep_their_state_and_no_other_begins(tiny_config, tmp_path, monkeypatch):
    long, next_one = tiny_config(epochs=10_000), tiny_config(seed=1)
    folder = tmp_path / ".checkpoints"

    def clock():
        """The time is over once the run has surely begun, however long its process takes to start."""
        begun = folder.exists() and time.time() - folder.stat().st_mtime > 5
        return 100.0 if begun else 0.0

    monkeypatch.setattr("anytime_study.studies.runner.time", SimpleNamespace(monotonic=clock))
    ends = list(run_study([long, next_one], tmp_path, jobs=1, seconds=50))
    assert [(end.config, end.outcome) for end in ends] == [(long, "interrupted")]
    assert "the state is kept" in ends[0].message
    assert [path.stem for path in folder.glob("*.pt")] == [long.name]
    assert not list(tmp_path.glob("*.json"))


def test_a_piece_of_a_study_says_that_there_is_more(tmp_path):
    """Less time than a process needs to start: nothing is made, and the status says "again"."""
    done = subprocess.run(
        study_of_two(tmp_path, "--jobs", "1", "--minutes", "0.0001"), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 75, done.stderr
    assert done.stdout.splitlines()[-1].startswith(("1 interrupted, 1 not begun; ", "2 not begun; "))
    assert not list((tmp_path / "records").glob("*.json"))

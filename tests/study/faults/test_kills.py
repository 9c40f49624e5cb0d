"""Kills at random moments, of runs and of whole studies: `make torture` runs these, `make test` does not."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
import yaml

from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import load_outcome
from anytime_study.training.kept_run import run_to_record
from anytime_study.training.loop import TrainingRun, train

pytestmark = pytest.mark.torture

TRIALS = 20
TRIALS_OF_STUDIES = 5  # of each kind; half a minute each
PATIENCE = 3600.0  # seconds, on a machine that has other work
CONFIG = RunConfig(
    train_size=128,
    batch_size=16,
    epochs=40,
    network="denseann(n=2, growth=4, dropout=0.2)",
    weighting="adaloss_formula",
)


def run(folder):
    """The run, keeping a state after every step, so that kills fall into writes too."""
    fit = TrainingRun.fit
    TrainingRun.fit = lambda run, **given: fit(run, **given, checkpoint_seconds=0.0)
    torch.set_num_threads(1)
    run_to_record(CONFIG, folder)


@pytest.fixture
def started(fresh_process):
    def start(folder):
        process = fresh_process(target=run, args=(folder,))
        process.start()
        return process

    return start


def test_kills_at_random_moments_change_nothing(tmp_path, started, tally):
    """Each trial is killed up to three times, at moments spread over the run, and goes on to its end."""
    whole = load_outcome(train(CONFIG, progress=False).save(tmp_path / "whole")).results()
    begin = time.perf_counter()
    process = started(tmp_path / "timed")
    process.join()
    duration = time.perf_counter() - begin
    moments = random.Random(0)
    kills = writes_cut = 0
    outcomes = tally("kill", "a run killed (SIGKILL) up to three times, then started again")
    for trial in range(TRIALS):
        folder = tmp_path / f"trial{trial}"
        for _ in range(3):
            process = started(folder)
            process.join(moments.uniform(0, duration / 2))
            if process.is_alive():
                process.kill()
                kills += 1
            process.join()
            writes_cut += len(list(folder.glob(".checkpoints/*.tmp")))
        process = started(folder)
        process.join()
        assert process.exitcode == 0
        assert load_outcome(folder / f"{CONFIG.name}.json").results() == whole, f"trial {trial}"
        outcomes["went on to the record of a run without kills, bit for bit"] += 1
    moments_met = tally("kill", "each of these kills alone")
    moments_met["came within the write of a state"] = writes_cut
    moments_met["came between two writes"] = kills - writes_cut
    assert kills >= TRIALS


# --- studies -------------------------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[3]
STUDY = {
    "title": "A study that is killed",
    "tier": "quick",
    "committed": False,
    "common": {"train_size": 128, "batch_size": 32, "epochs": 60, "network": "resann(n=1, c=4)"},
    "grids": [{"seed": [0, 1, 2]}],
}


@pytest.fixture
def checkout(tmp_path):
    """A copy of what a clone has, with one small study."""
    for folder in ("anytime_core", "anytime_study", "notebooks", "workflow"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "data").mkdir()
    for file in ("Makefile", "README.md", "_config.yml", "_toc.yml", "data/claims.yaml"):
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / "book").mkdir()
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return tmp_path


def begun(checkout, command):
    """The command in this checkout, with its output in a file."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PATH": path}
    log = (checkout / "log.txt").open("w")
    return subprocess.Popen(command, cwd=checkout, env=environment, stdout=log, stderr=subprocess.STDOUT)


def until(condition, process):
    """Wait for a condition; the command may not end before."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.1)


def kill(process, *, children):
    """SIGKILL to a process or also to all that it has started."""
    family = [*(process.children(recursive=True) if children else []), process]
    for member in family:
        member.send_signal(signal.SIGKILL)


def at_work(checkout):
    """Processes that a workflow in this checkout has started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(checkout) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until_idle(checkout):
    end = time.monotonic() + PATIENCE
    while at_work(checkout):
        assert time.monotonic() < end
        time.sleep(0.1)


WORKFLOW = ["make", "-o", "install", "study", "STUDY=study.yaml", "JOBS=2"]
ALONE = [sys.executable, "-m", "anytime_study.cli", "study", "study.yaml", "--jobs", "2"]


@pytest.mark.parametrize("command", [WORKFLOW, ALONE], ids=["make study", "anytime study"])
@pytest.mark.parametrize("children", [True, False], ids=["with its children", "alone"])
def test_a_study_that_is_killed_goes_on_with_the_same_command(checkout, command, children, tally):
    """Killed once at least one run has ended; then the documented command, and nothing else."""
    name = "make study" if command is WORKFLOW else "anytime study"
    outcomes = tally("kill", f"`{name}` killed (SIGKILL) {'with its children' if children else 'alone'} mid-study")
    folder = checkout / "data" / "records" / "quick"
    moments = random.Random(1)
    for _ in range(3 * TRIALS_OF_STUDIES):  # a kill may come too late
        shutil.rmtree(folder, ignore_errors=True)
        process = begun(checkout, command)
        ended = "Finished jobid" if command is WORKFLOW else "] finished "
        until(lambda ended=ended: ended in (checkout / "log.txt").read_text(), process)
        time.sleep(moments.uniform(0, 3))
        before = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
        assert before
        if len(before) == 3:  # all is made: this is no trial
            process.wait()
            continue
        workflow = psutil.Process(process.pid)
        if command is WORKFLOW:  # make's child
            workflow = next(child for child in workflow.children(recursive=True) if "snakemake" in child.name())
        kill(workflow, children=children)
        process.wait()
        told = (checkout / "log.txt").read_text().count(ended)
        if command is WORKFLOW:  # Snakemake's lock outlives a killed process
            subprocess.run([sys.executable, "-m", "snakemake", "--unlock"], cwd=checkout, check=True)
        again = begun(checkout, command)
        assert again.wait(timeout=PATIENCE) == 0, (checkout / "log.txt").read_text()
        log = (checkout / "log.txt").read_text()
        assert "Traceback" not in log
        after = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
        assert len(after) == 3
        remade = sum(after[path] != time_ns for path, time_ns in before.items())
        assert remade <= len(before) - told  # a record is there a moment before its run counts as finished
        assert not (folder / ".checkpoints").exists()
        wait_until_idle(checkout)  # a killed workflow leaves its runs at work: they end by themselves
        assert all(load_outcome(path).outcome == "finished" for path in after)
        also = "; so was a run whose record was written but which was not over" if remade else ""
        outcomes[f"only what was unfinished was made{also}; nothing is left at work"] += 1
        if outcomes.total() == TRIALS_OF_STUDIES:
            break
    assert outcomes.total() == TRIALS_OF_STUDIES

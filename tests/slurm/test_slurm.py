"""The Slurm profile on a real Slurm: a cluster of one node, this machine. `make slurm-test` runs it; it needs root."""

import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import yaml

from anytime_study.runs.record import load_outcome
from anytime_study.studies.study import load_study
from anytime_study.training.checkpoints import Checkpoints
from anytime_study.training.loop import train
from tests.slurm.node import slurm_node, why_not

pytestmark = [pytest.mark.slurm, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

ROOT = Path(__file__).parents[2]
PROFILE = "workflow/profiles/slurm"
FIRST_CHECK_S = 5
LIMIT_S = 1800  # of one call of Snakemake, on a machine that has other work
SIX = {
    "title": "Six small runs",
    "tier": "quick",
    "committed": False,
    "common": {"dataset": "digits", "train_size": 256, "network": "resann(n=1, c=4)", "epochs": 3, "batch_size": 32},
    "grids": [{"weighting": ["const", "adaloss"], "seed": [0, 1, 2]}],
}
LONG = {
    **SIX,
    "common": {**SIX["common"], "epochs": 600},
    "grids": [{}],
}  # trains longer than the 15 s before its cancel


@pytest.fixture(scope="module")
def node():
    with slurm_node() as node:
        yield node


@pytest.fixture(scope="module")
def tools():
    """The environment of all commands: the programs of this Python."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**env, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', '')}"}


@pytest.fixture
def checkout(tmp_path):
    """Make a clone of this checkout, with what is changed in it."""

    def make(name):
        clone = tmp_path / name
        subprocess.run(["git", "clone", "--quiet", "--no-checkout", ROOT, clone], check=True)
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for file in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
            if file and (ROOT / file).is_file():
                (clone / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / file, clone / file)
        subprocess.run(["git", "reset", "--quiet"], cwd=clone, check=True)
        return clone

    return make


def study_file(folder, content):
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content))
    return path, load_study(path)[1]


def run(command, folder, env):
    """Run a command to its end; whatever it wrote is shown if it fails."""
    env = {**env, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]


def make_records(clone, study, env, *arguments):
    run(["snakemake", "study", "--config", f"study={study}", *arguments], clone, env)


def through_slurm(clone, study, env, node):
    slurm = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", str(FIRST_CHECK_S))
    both = {**env, **{key: value for key, value in node.env.items() if key in ("SLURM_CONF", "PATH")}}
    both["PATH"] = f"{node.folder}/bin{os.pathsep}{env['PATH']}{os.pathsep}{node.env['PATH']}"
    make_records(clone, study, both, "--workflow-profile", PROFILE, *slurm)


def in_one_job(clone, study, env, node):
    """The runner of studies in a job of its own: its processes stay for many runs, and no notebook is executed."""
    call = f"anytime study {study} --jobs {node.cpus}"
    sizes = ["--ntasks=1", f"--cpus-per-task={node.cpus}", "--mem=8000", f"--output={clone}/job.log"]
    run(["sbatch", "--wait", *sizes, "--wrap", call], clone, {**env, "SLURM_CONF": node.env["SLURM_CONF"]})


def test_six_runs_have_the_same_records_locally_and_through_slurm(checkout, node, tools, tmp_path):
    """Bit for bit; so too with all six in one job."""
    study, runs = study_file(tmp_path, SIX)
    assert len(runs) == 6
    clones = {}
    for name, count in {"local": 0, "slurm": 6, "one-job": 1}.items():
        clones[name] = clone = checkout(name)
        before = {job["JobId"] for job in node.jobs()}
        if name == "local":
            make_records(clone, study, tools, "--cores", str(node.cpus))
        elif name == "slurm":
            through_slurm(clone, study, tools, node)
        else:
            in_one_job(clone, study, tools, node)
        jobs = [job for job in node.jobs() if job["JobId"] not in before]
        assert [job["JobState"] for job in jobs] == ["COMPLETED"] * count
    for config in runs:
        local, *others = (
            load_outcome(clone / "data/records/quick" / f"{config.name}.json") for clone in clones.values()
        )
        for other in others:
            assert other.results() == local.results()
            assert other.provenance == local.provenance  # commit, versions, device, threads
        assert local.config == config
        assert local.provenance.commit is not None
    assert len({record.stem for record in (clones["slurm"] / "data/records/quick").glob("*.json")}) == 6


def kernel_seconds(clone):
    """Processor seconds of the notebook's kernel that is at work in a clone; 0 if there is none."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.cwd() == str(clone) and "ipykernel_launcher" in " ".join(process.cmdline()):
                return process.cpu_times().user
    return 0.0


def test_a_cancelled_job_goes_on_from_its_state(checkout, node, tools, tmp_path):
    """As after pre-emption or the time limit: Slurm stops the job, Snakemake tries again, the record is the same."""
    study, (config,) = study_file(tmp_path, LONG)
    clone = checkout("cancelled")
    kept = {}

    def cancel():
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end and kernel_seconds(clone) < 15:  # loading PyTorch takes 5: it trains
            time.sleep(0.2)
        (job,) = node.ask("squeue", "--noheader", "--states=RUNNING", "--format=%A").split()
        node.ask("scancel", job)
        while time.monotonic() < end and node.ask("squeue", "--noheader", f"--jobs={job}", "--format=%T") != "":
            time.sleep(0.1)
        state = Checkpoints(clone / "data/records/quick/.checkpoints" / f"{config.name}.pt").path
        kept.update(job=job, size=state.stat().st_size if state.exists() else 0)

    canceller = threading.Thread(target=cancel, daemon=True)
    canceller.start()
    before = {job["JobId"] for job in node.jobs()}
    through_slurm(clone, study, tools, node)
    canceller.join(timeout=60)
    jobs = {job["JobId"]: job["JobState"] for job in node.jobs() if job["JobId"] not in before}
    assert len(jobs) == 2
    assert jobs.pop(kept["job"]) == "CANCELLED"
    assert list(jobs.values()) == ["COMPLETED"]
    assert kept["size"] > 0  # the state was there when the job was gone, and is not after the record
    assert not (clone / "data/records/quick/.checkpoints").exists()
    alone = load_outcome(train(config, progress=False).save(tmp_path / "alone"))
    assert load_outcome(clone / "data/records/quick" / f"{config.name}.json").results() == alone.results()

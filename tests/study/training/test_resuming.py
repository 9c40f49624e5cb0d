"""A run that was interrupted ends as if it had not been: same weights, same record, bit for bit."""

import os
import signal
import sys
import threading
import time
from contextlib import nullcontext

import pytest
import torch

from anytime_study.cli import main
from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import load_outcome
from anytime_study.studies.study import ROOT
from anytime_study.training.checkpoints import Checkpoints
from anytime_study.training.interruption import AGAIN, Interrupted, stop_requests
from anytime_study.training.loop import TrainingRun, train

# Between them: every kind of state that a weighting keeps, learned weights, dropout, and an ensemble.
VARIED = [
    {"weighting": "adaloss(refresh_period=3)"},
    {"weighting": "adaloss_formula"},
    {"weighting": "adaloss(floor_kind='start', refresh_period=2)"},
    {"weighting": "sampled"},
    {"weighting": "uw"},
    {"weighting": "dwa"},
    {"weighting": "const", "network": "denseann(n=2, growth=4, dropout=0.2)"},
    {"weighting": "const", "network": "eann(n=(1, 2), c=4)"},
    {
        "weighting": "uw",
        "dataset": f"text:{ROOT / 'book' / 'cookbook.md'}?context=16",
        "network": "gpt(width=8, blocks=2, heads=2)",
        "optimiser": "adamw",
    },
]


def stop_after(monkeypatch, steps):
    """Runs are asked to stop after so many steps."""
    original, request, done = TrainingRun._train_step, threading.Event(), []

    def counted(run, *batch):
        original(run, *batch)
        done.append(batch)
        if len(done) == steps:
            request.set()

    monkeypatch.setattr(TrainingRun, "_train_step", counted)
    monkeypatch.setattr("anytime_study.training.loop.stop_requests", lambda: nullcontext(request))


def fitted(config, checkpoints=None):
    run = TrainingRun(config)
    run.fit(progress=False, checkpoints=checkpoints)
    return run


@pytest.mark.parametrize("fields", VARIED, ids=lambda fields: ", ".join(fields.values()))
@pytest.mark.parametrize("step", [3, 4])  # within an epoch of four steps, and at its end
def test_a_run_goes_on_to_the_same_bits(tiny_config, tmp_path, monkeypatch, fields, step):
    config = tiny_config(**fields)
    whole = fitted(config)
    checkpoints = Checkpoints(tmp_path / "run.pt")
    with monkeypatch.context() as patch:
        stop_after(patch, step)
        with pytest.raises(Interrupted, match=rf"^{config.name}: asked to stop in epoch \d"):
            fitted(config, checkpoints)
    resumed = fitted(config, checkpoints)
    assert resumed.seconds > 0
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[key]), key
    assert resumed.record().results() == whole.record().results()


def test_the_interrupted_run_had_really_stopped_half_way(tiny_config, tmp_path, monkeypatch):
    config = tiny_config()
    checkpoints = Checkpoints(tmp_path / "run.pt")
    stop_after(monkeypatch, 3)
    with pytest.raises(Interrupted):
        train(config, progress=False, checkpoints=checkpoints)
    state = checkpoints.load(TrainingRun(config)._made_by())
    assert (state["step"], state["epoch_losses"]) == (3, [])


def test_a_state_of_another_config_is_not_taken(tiny_config, tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path / "run.pt")
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(Interrupted):
            train(tiny_config(seed=1), progress=False, checkpoints=checkpoints)
    whole = train(tiny_config(), progress=False)
    assert train(tiny_config(), progress=False, checkpoints=checkpoints).results() == whole.results()


def test_states_are_kept_now_and_then(tiny_config, tmp_path):
    config, path = tiny_config(), tmp_path / "run.pt"
    run = TrainingRun(config)
    run.fit(progress=False, checkpoints=Checkpoints(path), checkpoint_seconds=0.0)
    assert Checkpoints(path).load(run._made_by())["epoch_losses"] == run.epoch_losses
    again = train(config, progress=False, checkpoints=Checkpoints(path))  # nothing is left to train
    assert again.results() == run.record().results()


# --- signals -------------------------------------------------------------------------------------------------------


def test_signals_become_requests_and_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    for number in (signal.SIGTERM, signal.SIGINT):
        with stop_requests() as request:
            assert not request.is_set()
            os.kill(os.getpid(), number)
            assert request.is_set()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


LONG = {
    "train_size": 128,
    "batch_size": 16,
    "epochs": 40,
    "network": "resann(n=1, c=4)",
    "weighting": "adaloss_formula",
}


@pytest.fixture(scope="module")
def uninterrupted():
    return train(RunConfig(**LONG), progress=False)


def anytime_train(folder):
    """`anytime train`, keeping a state after every step; what it tells goes to a file."""
    folder.mkdir(exist_ok=True)
    with (folder / "told.txt").open("w") as told:
        os.dup2(told.fileno(), sys.stderr.fileno())
    fit = TrainingRun.fit
    TrainingRun.fit = lambda run, **given: fit(run, **given, checkpoint_seconds=0.0)
    options = [f"--{key.replace('_', '-')}={value}" for key, value in LONG.items()]
    sys.argv = ["anytime", "train", *options, f"--records-dir={folder}"]
    torch.set_num_threads(1)
    main()


@pytest.fixture
def started(fresh_process, tmp_path):
    def start():
        process = fresh_process(target=anytime_train, args=(tmp_path,))
        process.start()
        return process

    return start


def wait_for_a_new_state(path, process):
    before = path.stat().st_mtime_ns if path.exists() else 0
    while not path.exists() or path.stat().st_mtime_ns == before:
        assert process.is_alive(), f"it ended with status {process.exitcode}"
        time.sleep(0.001)


def test_killed_at_any_moment_it_ends_as_if_nothing_had_happened(tmp_path, started, uninterrupted):
    """While states are being written all the time."""
    record = tmp_path / f"{uninterrupted.name}.json"
    checkpoint = tmp_path / ".checkpoints" / f"{uninterrupted.name}.pt"
    for milliseconds in (0, 2, 7, 20):
        process = started()
        wait_for_a_new_state(checkpoint, process)
        time.sleep(milliseconds / 1000)
        process.kill()
        process.join()
        assert process.exitcode == -9
        assert not record.exists()
    process = started()
    process.join()
    assert process.exitcode == 0
    assert load_outcome(record).results() == rounded(uninterrupted, tmp_path)
    assert not checkpoint.parent.exists()


def test_asked_to_stop_it_keeps_its_state_and_ends_with_the_status_for_again(tmp_path, started, uninterrupted):
    record = tmp_path / f"{uninterrupted.name}.json"
    checkpoint = tmp_path / ".checkpoints" / f"{uninterrupted.name}.pt"
    process = started()
    wait_for_a_new_state(checkpoint, process)
    process.terminate()
    process.join()
    assert process.exitcode == AGAIN == 75
    told = (tmp_path / "told.txt").read_text()
    assert "asked to stop in epoch" in told
    assert "Traceback" not in told
    assert checkpoint.exists()
    assert not record.exists()
    process = started()
    process.join()
    assert process.exitcode == 0
    assert load_outcome(record).results() == rounded(uninterrupted, tmp_path)


def rounded(record, folder):
    """The record's results as a file holds them: floats with nine digits."""
    return load_outcome(record.save(folder / "whole")).results()

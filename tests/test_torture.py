"""Many kills at random moments: `make torture` runs these, `make test` does not."""

import multiprocessing
import random
import time

import pytest

from anytime_core import RunConfig, train
from anytime_core.records import load_outcome
from anytime_core.runs import run_to_record
from anytime_core.training import TrainingRun

pytestmark = pytest.mark.torture

TRIALS = 20
CONFIG = RunConfig(
    train_size=128,
    batch_size=16,
    epochs=40,
    network="denseann(n=2, growth=4, dropout=0.2)",
    weighting="adaloss_formula",
)


def started(folder, monkeypatch):
    """A run in a process of its own that keeps a state after every step, so that kills fall into writes too."""
    fit = TrainingRun.fit
    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "fit", lambda run, **given: fit(run, **given, checkpoint_seconds=0.0))
        process = multiprocessing.get_context("fork").Process(target=run_to_record, args=(CONFIG, folder))
        process.start()
    return process


def test_kills_at_random_moments_change_nothing(tmp_path, monkeypatch):
    """Each trial is killed up to three times, at moments spread over the run, and goes on to its end."""
    whole = load_outcome(train(CONFIG, progress=False).save(tmp_path / "whole")).results()
    begin = time.perf_counter()
    process = started(tmp_path / "timed", monkeypatch)
    process.join()
    duration = time.perf_counter() - begin
    moments = random.Random(0)
    kills = writes_cut = 0
    for trial in range(TRIALS):
        folder = tmp_path / f"trial{trial}"
        for _ in range(3):
            process = started(folder, monkeypatch)
            process.join(moments.uniform(0, duration / 2))
            if process.is_alive():
                process.kill()
                kills += 1
            process.join()
            writes_cut += len(list(folder.glob(".checkpoints/*.tmp")))
        process = started(folder, monkeypatch)
        process.join()
        assert process.exitcode == 0
        assert load_outcome(folder / f"{CONFIG.name}.json").results() == whole, f"trial {trial}"
    print(f"{TRIALS} trials, {kills} kills, {writes_cut} of them within a write: {TRIALS} identical endings")  # noqa: T201  (what `make torture` is run for)
    assert kills >= TRIALS

import os

os.environ.setdefault("MPLBACKEND", "Agg")  # before anything imports pyplot

import hashlib
import multiprocessing
from functools import partial

import pytest
import torch
from hypothesis import settings

from anytime_study import cli
from anytime_study.runs.config import PROTOCOL, RunConfig
from anytime_study.runs.record import DivergedRecord, RunRecord
from anytime_study.studies.experiments import Experiment

settings.register_profile("anytime", deadline=None, derandomize=True)  # a shared machine is slow at times
settings.load_profile("anytime")

TINY = {"dataset": "digits", "train_size": 128, "batch_size": 32, "epochs": 2, "network": "resann(n=1, c=4)"}


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Workers of pytest-xdist share the cores: each one computes on a single thread."""
    torch.set_num_threads(1)


@pytest.fixture
def run_main(monkeypatch, capsys):
    """Run a command with arguments; gives exit status, standard output and standard error."""

    def run(main, *arguments):
        monkeypatch.setattr("sys.argv", list(map(str, arguments)))
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def anytime(run_main):
    """``anytime`` with arguments, see ``run_main``."""
    return partial(run_main, cli.main, "anytime")


@pytest.fixture(scope="session")
def fresh_process():
    """Make a process, not yet started, that calls a test module's function and shares nothing with this one.

    Not a fork of this process: where an earlier test has let PyTorch start its autograd threads, a fork cannot train.
    Not a fresh Python either, which takes ten seconds to load PyTorch: a server loads it once and forks.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["anytime_study.cli", "anytime_study.training.checkpointed_run", "pytest", "sklearn.datasets"]
    )
    return context.Process


@pytest.fixture(scope="session")
def tiny_config():
    """Make the config of a run that trains in a tenth of a second; keywords replace its fields."""
    return lambda **fields: RunConfig(**{**TINY, **fields})


@pytest.fixture(scope="session")
def tiny_record(tiny_config):
    """The record of one real run."""
    from anytime_study.training.loop import train

    return train(tiny_config(), progress=False)


@pytest.fixture(scope="session")
def made_up_record():
    """Make a record of numbers that are written down here, without training; keywords are fields of the config.

    Exit k of seed s has test error 0.1 k + 0.01 s, cost 100 k (fixed) and 110 k (cumulative), and in epoch e the
    training loss k / e. Weights are 1, or 1 at the last exit alone under ``opt``.

    Early exit, where the config asks for it, errs as the last exit does and saves half of its cost.

    Or it has what ``scores`` says: lists of K numbers by the names test, validation (errors), train (losses),
    cumulative, alone (MACs) and weights (the last epoch's); and ``rules`` by claim.
    """

    def early_exit(error, macs, exits):
        return {
            "thresholds": [0.9] * (exits - 1),
            "exit_shares": [1 / exits] * exits,
            "error": error,
            "last_error": error,
            "macs": macs / 2,
            "last_macs": macs,
        }

    def make(exits=3, epochs=2, scores=None, rules=None, **fields):
        said = scores or {}
        exits = len(next(iter(said.values()))) if said else exits
        config = RunConfig(**{"network": f"resann(n={exits}, c=4, s=3)", "epochs": epochs, **fields})
        numbers = range(1, exits + 1)
        losses = [1.0 * k for k in numbers]
        errors = [min(1.0, round(0.1 * k + 0.01 * config.seed, 6)) for k in numbers]
        weights = [float(k == exits or not config.weighting.startswith("opt")) for k in numbers]
        return RunRecord(
            name=config.name,
            protocol=PROTOCOL,
            config=config,
            num_exits=exits,
            epoch_losses=[[k / epoch for k in numbers] for epoch in range(1, epochs + 1)],
            epoch_weights=[weights] * (epochs - 1) + [said.get("weights", weights)],
            rules=rules or {},
            train={"loss": said.get("train", losses), "error": errors},
            validation={"loss": losses, "error": said.get("validation", said.get("test", errors))},
            test={"loss": losses, "error": said.get("test", errors)},
            costs={
                "macs_cumulative": said.get("cumulative", [110 * k for k in numbers]),
                "macs_fixed": said.get("alone", [100 * k for k in numbers]),
                "parameters_cumulative": [11 * k for k in numbers],
                "parameters_fixed": [10 * k for k in numbers],
            },
            early_exit=early_exit(said.get("test", errors)[-1], said.get("alone", [100 * exits])[-1], exits)
            if config.early_exit
            else None,
            timing={"seconds": 1.5, "images_per_second": 100.0},
            provenance={
                "package": "0.0.0",
                "commit": hashlib.sha1(b"no commit").hexdigest(),
                "dirty": False,
                "torch": "0",
                "python": "0",
                "platform": "nowhere",
                "device": "none",
                "threads": 1,
            },
        )

    return make


@pytest.fixture(scope="session")
def made_up_divergence(made_up_record):
    """Make the record of a run that diverged in its first epoch; keywords as for ``made_up_record``."""

    def make(**fields):
        record = made_up_record(**fields)
        shared = {
            name: getattr(record, name) for name in type(record).model_fields.keys() & DivergedRecord.model_fields
        }
        fields = {**shared, "outcome": "diverged", "epoch_losses": [], "epoch_weights": []}
        return DivergedRecord(**fields, epoch=1, exit=2, reason="the loss is NaN")

    return make


@pytest.fixture(scope="session")
def made_up_experiment():
    """Make an experiment whose studies plan the runs of these records, and the ``unmade`` ones as well."""

    def make(records, *, main=None, unmade=(), name="weightings", own_rates=None):
        outcomes = {record.name: record for record in records}
        planned = {record.name: record.config for record in [*records, *unmade]}
        return Experiment(name, {"epochs": 2, **(main or {})}, planned, outcomes, own_rates or {})

    return make

"""Rates of runs on this machine, against real runs where that is possible."""

import time

import pytest

from anytime_study.datasets import DATASETS
from anytime_study.runs.config import RunConfig
from anytime_study.studies import rates
from anytime_study.studies.multiply_adds import training_macs
from anytime_study.studies.rates import Rates, kind_of, measure
from anytime_study.training.loop import TrainingRun


@pytest.fixture
def short(monkeypatch):
    """Time as little as possible."""
    monkeypatch.setattr(rates, "STEPS", 2)
    monkeypatch.setattr(rates, "SECONDS", 0.05)
    monkeypatch.setattr(rates, "CPU_STEP_MACS", 5e9)


def test_runs_that_take_the_same_time_are_timed_once(tiny_config):
    first = kind_of(tiny_config())
    assert kind_of(tiny_config(seed=3, weighting="opt(exit=3)", epochs=9, learning_rate=0.2, train_size=64)) == first
    for other in (
        {"network": "resann(n=2, c=4)"},
        {"batch_size": 16},
        {"precision": "bf16"},
        {"weighting": "adaloss(order=1)"},
        {"weighting": "opt(exit=1)"},
        {"threads": 2},
    ):
        assert kind_of(tiny_config(**other)) != first


def test_absent_data_sets_of_one_shape_are_timed_once(monkeypatch, tmp_path):
    monkeypatch.setenv("ANYTIME_DATA", str(tmp_path))  # where nothing is
    fields = {"network": "resann(n=1, c=4)", "weighting": "const"}
    kinds = {kind_of(RunConfig(dataset=name, **fields)) for name in ("cifar10", "cifar100", "svhn")}
    assert {kind.dataset for kind in kinds} == {"cifar10"}
    assert kind_of(RunConfig(dataset="ilsvrc", **fields)).dataset == "ilsvrc"


def test_rates_are_those_of_a_run(tiny_config):
    config = tiny_config(train_size=None, epochs=4)
    found = measure(kind_of(config))
    assert not found.on_random_images
    run = TrainingRun(config)
    start = time.perf_counter()
    run.fit(progress=False)
    trained = time.perf_counter() - start
    rate = config.epochs * config.steps_per_epoch * config.batch_size / trained
    assert rate / 4 < found.training < 4 * rate  # a shared machine is slow at times; a wrong unit would be far off
    assert found.evaluation > found.training
    assert 0 < found.startup < 30


@pytest.mark.parametrize("dataset", ["cifar10", "ilsvrc"])
def test_an_absent_data_set_has_rates_of_random_images_and_nothing_is_fetched(monkeypatch, tmp_path, dataset, short):
    monkeypatch.setenv("ANYTIME_DATA", str(tmp_path))
    monkeypatch.setattr("anytime_study.datasets.cache._install", lambda *_: pytest.fail("downloads"))
    network = "resann_imagenet(depth=14)" if dataset == "ilsvrc" else "resann(n=1, c=4)"
    before = dict(DATASETS)
    found = measure(kind_of(RunConfig(dataset=dataset, network=network, batch_size=16)))
    assert found.on_random_images
    assert found.training > 0
    assert before == DATASETS
    assert list(tmp_path.iterdir()) == []


def test_random_pairs_have_a_label_for_each_task(monkeypatch, tmp_path, short):
    monkeypatch.setattr(rates, "on_this_machine", lambda _: False)
    config = RunConfig(dataset="multi-fashion", network="two_heads", batch_size=8)
    monkeypatch.setattr(rates, "stand_in", lambda name: name)
    assert measure(kind_of(config)).on_random_images


def test_batches_of_a_large_network_are_cut_on_a_cpu(monkeypatch, tmp_path):
    monkeypatch.setenv("ANYTIME_DATA", str(tmp_path))
    kind = kind_of(RunConfig(dataset="cifar10", network="resann(n=9, c=128)", batch_size=64, device="cpu"))
    with rates._runnable(kind) as config:
        step = training_macs(config) / config.epochs / config.steps_per_epoch
        assert 1 <= config.batch_size < 64
        assert step <= rates.CPU_STEP_MACS
    small = kind_of(RunConfig(dataset="cifar10", network="resann(n=1, c=4)", batch_size=64, device="cpu"))
    with rates._runnable(small) as config:
        assert config.batch_size == 64


def test_seconds_of_a_run_are_start_steps_and_scores(tiny_config):
    found = Rates(training=10.0, evaluation=100.0, startup=3.0, on_random_images=False)
    config = tiny_config(train_size=100, batch_size=32, epochs=5)
    assert found.seconds(config) == pytest.approx(3 + 5 * 96 / 10 + (100 + 180 + 360) / 100)

"""What a study costs: counts against PyTorch's own counter, hours against real runs where that is possible."""

import re
import sys
import time

import pytest
import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from anytime_core import RunConfig, cli, exit_costs
from anytime_core.datasets import DATASETS
from anytime_core.studies import cost as study_cost
from anytime_core.studies import study
from anytime_core.studies.cost import Estimate, Rates, Row, estimate, images_scored, kind_of, measure, training_macs
from anytime_core.training.loop import TrainingRun


@pytest.fixture
def short(monkeypatch):
    """Time as little as possible."""
    monkeypatch.setattr(study_cost, "STEPS", 2)
    monkeypatch.setattr(study_cost, "SECONDS", 0.05)
    monkeypatch.setattr(study_cost, "CPU_STEP_MACS", 5e9)


# --- multiply-adds -------------------------------------------------------------------------------------------------


def test_a_run_is_three_forward_passes_per_image_and_step(tiny_config):
    config = tiny_config(train_size=100, batch_size=32, epochs=5)  # 3 steps an epoch, 4 images are left out
    forward = exit_costs(config.build_network(), (1, 8, 8)).macs_cumulative[-1]
    assert training_macs(config) == 3 * forward * 5 * 3 * 32


@pytest.mark.parametrize("weighting", ["const", "opt(exit=1)", "adaloss", "uw", "adaloss(order=1)"])
def test_the_rule_is_what_a_real_step_computes(tiny_config, weighting):
    config = tiny_config(weighting=weighting, train_size=32, epochs=1, network="resann(n=1, c=16)")
    run = TrainingRun(config)
    with FlopCounterMode(display=False) as counter:
        next(run._steps())
    # the rule is a little above: images need no gradient, so one product of the first convolution is not computed
    assert counter.get_total_flops() / 2 == pytest.approx(training_macs(config), rel=0.05)
    assert counter.get_total_flops() / 2 < training_macs(config)


def test_gradient_norms_cost_two_forward_passes_for_each_exit(tiny_config):
    config = tiny_config(network="resann(n=2, c=4)")
    first_order = config.model_copy(update={"weighting": "adaloss(order=1)"})
    assert training_macs(first_order) == training_macs(config) * (3 + 2 * 6) / 3


def test_all_members_of_an_ensemble_are_paid(tiny_config):
    members = [tiny_config(network=f"resann(n={n}, c=4)") for n in (1, 2)]
    assert training_macs(tiny_config(network="eann(n=(1, 2), c=4)")) == sum(training_macs(each) for each in members)


def test_all_three_splits_are_scored(tiny_config):
    assert images_scored(tiny_config(train_size=100)) == 100 + 180 + 360


# --- rates ---------------------------------------------------------------------------------------------------------


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
    monkeypatch.setattr("anytime_core.datasets.cache._install", lambda *_: pytest.fail("downloads"))
    network = "resann_imagenet(depth=14)" if dataset == "ilsvrc" else "resann(n=1, c=4)"
    before = dict(DATASETS)
    found = measure(kind_of(RunConfig(dataset=dataset, network=network, batch_size=16)))
    assert found.on_random_images
    assert found.training > 0
    assert before == DATASETS
    assert list(tmp_path.iterdir()) == []


def test_random_pairs_have_a_label_for_each_task(monkeypatch, tmp_path, short):
    monkeypatch.setattr(study_cost, "on_this_machine", lambda _: False)
    config = RunConfig(dataset="multi-fashion", network="two_heads", batch_size=8)
    monkeypatch.setattr(study_cost, "_stand_in", lambda name: name)
    assert measure(kind_of(config)).on_random_images


def test_batches_of_a_large_network_are_cut_on_a_cpu(monkeypatch, tmp_path):
    monkeypatch.setenv("ANYTIME_DATA", str(tmp_path))
    kind = kind_of(RunConfig(dataset="cifar10", network="resann(n=9, c=128)", batch_size=64, device="cpu"))
    with study_cost._runnable(kind) as config:
        step = training_macs(config) / config.epochs / config.steps_per_epoch
        assert 1 <= config.batch_size < 64
        assert step <= study_cost.CPU_STEP_MACS
    small = kind_of(RunConfig(dataset="cifar10", network="resann(n=1, c=4)", batch_size=64, device="cpu"))
    with study_cost._runnable(small) as config:
        assert config.batch_size == 64


# --- the estimate --------------------------------------------------------------------------------------------------


def test_seconds_of_a_run_are_start_steps_and_scores(tiny_config):
    rates = Rates(training=10.0, evaluation=100.0, startup=3.0, on_random_images=False)
    config = tiny_config(train_size=100, batch_size=32, epochs=5)
    assert rates.seconds(config) == pytest.approx(3 + 5 * 96 / 10 + (100 + 180 + 360) / 100)


def test_rows_add_up_and_records_count(tiny_config, monkeypatch):
    monkeypatch.setattr(study_cost, "measure", lambda _: Rates(100.0, 1000.0, 1.0, on_random_images=True))
    monkeypatch.setattr(study_cost, "slow_down", lambda *_: 1.5)
    runs = [
        (tiny_config(seed=seed, weighting=weighting), seed == 0) for seed in (0, 1, 2) for weighting in ("const", "opt")
    ]
    found = estimate(runs)
    assert [(row.weighting, row.runs, row.made) for row in found.rows] == [("const", 3, 1), ("opt", 3, 1)]
    one = (1 + 2 * 128 / 100 + (128 + 180 + 360) / 1000) / 3600
    assert [row.hours for row in found.rows] == pytest.approx([3 * one] * 2)
    assert [row.hours_left for row in found.rows] == pytest.approx([2 * one] * 2)
    assert found.rows[0].macs == 3 * training_macs(runs[0][0])
    assert found.two_jobs(8.0) == 6.0


def test_the_table_says_what_its_rates_rest_on():
    row = Row("cifar10", "resann", "const", 2, 1, 3 * 10**15, 4.0, 2.0, on_random_images=True)
    text = str(Estimate((row,), 1.2))
    assert "cifar10*" in text
    assert "all runs: 4.00 h with 1 job, 2.40 h of two cores with 2 jobs" in text
    assert "without a record: 2.00 h with 1 job, 1.20 h of two cores with 2 jobs" in text
    assert "rate of random images" in text
    assert "3.00e+15" in text
    here = Row("digits", "resann", "const", 2, 1, 1, 4.0, 2.0, on_random_images=False)
    assert "*" not in str(Estimate((here,), 1.2))


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def anytime(monkeypatch, capsys):
    """Run the command with arguments; gives exit status, standard output and standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["anytime", *map(str, arguments)])
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
        return status, *capsys.readouterr()

    return run


def test_the_command_counts_shared_runs_once(anytime, made_up_record, monkeypatch, tmp_path, short):
    monkeypatch.setattr(study, "RECORDS", tmp_path / "records")
    head = {"title": "Mine", "tier": "quick", "committed": False}
    common = {"network": "resann(n=3, c=4, s=3)", "epochs": 2}
    made_up_record(seed=1).save(tmp_path / "records" / "quick")
    for name, seeds in {"a": [0, 1], "b": [1, 2]}.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({**head, "common": common, "grids": [{"seed": seeds}]}))
    status, out, err = anytime("study-cost", tmp_path / "a.yaml", tmp_path / "b.yaml", "--device", "cpu")
    assert status == 0, err
    assert re.search(r"digits +resann\(c=4, s=3\) +adaloss +3 +1 ", out)
    assert re.search(r"all runs: \d+\.\d\d h with 1 job", out)
    assert torch.get_num_threads() == 1
    assert "timing resann(c=4, s=3) on digits" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "files"),
        (["nothing.yaml"], "bad study nothing.yaml: No such file or directory"),
        (["workflow/studies/quick.yaml", "--device", "tpu"], "tpu"),
    ],
)
def test_what_cannot_be_estimated_is_told_without_a_traceback(anytime, arguments, message):
    status, out, err = anytime("study-cost", *arguments)
    assert status != 0
    assert message in err + out
    assert "Traceback" not in err

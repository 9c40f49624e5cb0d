"""What a study costs: the rule against PyTorch's own counter, the table, the command."""

import re

import pytest
import yaml
from torch.utils.flop_counter import FlopCounterMode

from anytime_core import exit_costs
from anytime_study.studies import study
from anytime_study.studies.cost import cost_table, run_macs, training_macs
from anytime_study.training.loop import TrainingRun


def test_a_run_is_three_forward_passes_per_image_and_step(tiny_config):
    config = tiny_config(train_size=100, batch_size=32, epochs=5)  # 3 steps an epoch, 4 images are left out
    forward = exit_costs(config.build_network(), (1, 8, 8)).macs_cumulative[-1]
    assert training_macs(config) == 3 * forward * 5 * 3 * 32
    assert run_macs(config) == training_macs(config) + forward * (100 + 180 + 360)


@pytest.mark.parametrize("weighting", ["const", "opt(exit=1)", "adaloss", "uw", "adaloss(order=1)"])
def test_the_rule_is_what_a_real_step_computes(tiny_config, weighting):
    config = tiny_config(weighting=weighting, train_size=32, epochs=1, network="resann(n=1, c=16)")
    run = TrainingRun(config)
    with FlopCounterMode(display=False) as counter:
        next(run.steps())
    # the rule is a little above: images need no gradient, so one product of the first convolution is not computed
    assert counter.get_total_flops() / 2 == pytest.approx(training_macs(config), rel=0.05)
    assert counter.get_total_flops() / 2 < training_macs(config)


def test_gradient_norms_cost_two_forward_passes_for_each_exit(tiny_config):
    config = tiny_config(network="resann(n=2, c=4)")
    first_order = config.model_copy(update={"weighting": "adaloss(order=1)"})
    assert training_macs(first_order) == training_macs(config) * (3 + 2 * 6) / 3


def test_rows_add_up_and_records_count(tiny_config):
    runs = [(tiny_config(seed=seed, weighting=name), seed == 0) for seed in (0, 1, 2) for name in ("const", "opt")]
    table = cost_table(runs, rate=1e6)
    assert table[["weighting", "runs", "made"]].values.tolist() == [["const", 3, 1], ["opt", 3, 1]]
    hours = run_macs(runs[0][0]) / 1e6 / 3600
    assert table["hours"].tolist() == pytest.approx([3 * hours] * 2)
    assert table["hours left"].tolist() == pytest.approx([2 * hours] * 2)
    assert table["training MACs"][0] == 3 * training_macs(runs[0][0])


def test_the_command_counts_shared_runs_once(anytime, made_up_record, monkeypatch, tmp_path):
    monkeypatch.setattr(study, "RECORDS", tmp_path / "records")
    common = {"network": "resann(n=3, c=4, s=3)", "epochs": 2}
    head = {"title": "Mine", "tier": "quick", "committed": False, "common": common}
    made_up_record(seed=1).save(tmp_path / "records" / "quick")
    for name, seeds in {"a": [0, 1], "b": [1, 2]}.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({**head, "grids": [{"seed": seeds}]}))
    status, out, err = anytime("study-cost", tmp_path / "a.yaml", tmp_path / "b.yaml", "--rate", "1e9")
    assert (status, err) == (0, "")
    assert re.search(r"digits +resann\(c=4, s=3\) +adaloss +3 +1 ", out)
    assert re.search(r"all runs: \d\.\d{2}e\+\d+ MACs, [\d.]+ s one after the other; without a record: [\d.]+ s", out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "files"),
        (["workflow/studies/quick.yaml", "--device", "tpu"], "tpu"),
        (["workflow/studies/quick.yaml", "--rate", "0"], "rate: expected above 0, found 0"),
    ],
)
def test_what_cannot_be_estimated_is_told_without_a_traceback(anytime, arguments, message):
    status, out, err = anytime("study-cost", *arguments)
    assert status != 0
    assert message in err + out
    assert "Traceback" not in err

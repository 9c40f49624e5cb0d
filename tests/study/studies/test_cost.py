"""What a study costs: rows that add up, the table, the command."""

import re

import pytest
import torch
import yaml

from anytime_study.studies import cost, rates, study
from anytime_study.studies.cost import Estimate, Row, estimate
from anytime_study.studies.multiply_adds import training_macs
from anytime_study.studies.rates import Rates

# --- the estimate --------------------------------------------------------------------------------------------------


def test_rows_add_up_and_records_count(tiny_config, monkeypatch):
    monkeypatch.setattr(cost, "measure", lambda _: Rates(100.0, 1000.0, 1.0, on_random_images=True))
    monkeypatch.setattr(cost, "slow_down", lambda *_: 1.5)
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


def test_the_command_counts_shared_runs_once(anytime, made_up_record, monkeypatch, tmp_path):
    for name, least in {"STEPS": 2, "SECONDS": 0.05, "CPU_STEP_MACS": 5e9}.items():  # time as little as possible
        monkeypatch.setattr(rates, name, least)
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

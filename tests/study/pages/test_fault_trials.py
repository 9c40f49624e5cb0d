import json

import pytest
import torch

from anytime_core.errors import InputError
from anytime_study.foundations.provenance import provenance
from anytime_study.pages.fault_trials import FaultTrials, TortureReport, faults_table, load_torture_report

FULL = FaultTrials(group="machine", fault="disk full", trials=3, outcomes={"refused": 1, "old file whole": 2})
KILL = FaultTrials(group="kill", fault="a kill", trials=1, outcomes={"goes on": 1})


@pytest.fixture
def file(tmp_path):
    report = TortureReport(seconds=2.5, faults=(FULL, KILL), provenance=provenance(torch.device("cpu")))
    report.save(tmp_path / "results.json")
    return tmp_path / "results.json"


def test_a_report_comes_back(file):
    report = load_torture_report(file)
    assert report.faults == (FULL, KILL)
    assert report.of("kill") == [KILL]
    assert report.of("bad input") == []


def test_a_table_has_a_row_for_each_outcome_and_says_the_fault_once():
    assert faults_table([FULL, KILL]).to_numpy().tolist() == [
        ["disk full", 3, "old file whole", 2],
        ["", "", "refused", 1],
        ["a kill", 1, "goes on", 1],
    ]


def test_every_trial_has_one_outcome(file):
    content = json.loads(file.read_text())
    content["faults"][0]["trials"] = 4
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"bad results .*results.json: faults.0: outcomes: expected 4 in all, found 3"):
        load_torture_report(file)


def test_missing_results_say_how_they_are_made(tmp_path):
    with pytest.raises(InputError, match="No such file or directory; `make torture` makes them"):
        load_torture_report(tmp_path / "results.json")

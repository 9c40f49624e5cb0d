"""Records of many machines: what is wrong with them."""

from pathlib import Path

import pandas as pd
import pytest

from anytime_core.errors import InputError
from anytime_study.runs.folders import check_records


@pytest.fixture
def shifted(made_up_record):
    """Make a record whose test errors are larger."""

    def make(**fields):
        record = made_up_record(**fields)
        error = [value + 0.1 for value in record.test.error]
        return record.model_copy(update={"test": record.test.model_copy(update={"error": error})})

    return make


@pytest.fixture
def machines(tmp_path, made_up_record, made_up_divergence):
    """Two folders: seeds 0 and 1, and seed 2 and a run that diverged."""
    first, second = tmp_path / "first", tmp_path / "second" / "laptop"
    made_up_record(seed=0).save(first)
    made_up_record(seed=1).save(first)
    made_up_record(seed=2).save(second)
    made_up_divergence(seed=9).save(second)
    return [first, second.parent]


def test_good_records_are_no_problem(machines, made_up_record):
    (machines[0] / ".checkpoints").mkdir()
    (machines[0] / ".checkpoints" / "x.json").write_text("{}")  # no record
    made_up_record(seed=0).save(machines[1])  # the same run twice, with the same results
    assert check_records(machines) == ([], ["5 records of 4 runs, 0 problems", "  5 on none, torch 0"])


def test_what_is_wrong_is_told_with_the_file(machines, made_up_record, shifted):
    first = machines[0]
    (first / "broken.json").write_text('{"name": 3}')
    path = made_up_record(seed=4).save(first)
    path.rename(first / "other.json")
    unknown = made_up_record().provenance.model_copy(update={"commit": None, "dirty": True})
    made_up_record(seed=5).model_copy(update={"provenance": unknown}).save(first)
    made_up_record(seed=6).model_copy(update={"protocol": 0}).save(first)
    shifted(seed=0).save(machines[1])
    problems, _ = check_records(machines)
    assert len(problems) == 6
    told = "\n".join(problems)
    for part in (
        f"bad record {first}/broken.json",
        f"other.json: expected the file of a record to have its name, {path.name}",
        "provenance.commit: ",
        "provenance.dirty: ",
        "stale: protocol 0",
        f"expected the results of {first / made_up_record(seed=0).name}.json, which is the same run, found others",
    ):
        assert part in told


def test_folders_must_be_there_and_hold_records(tmp_path):
    with pytest.raises(InputError, match="expected a folder of records, found none"):
        check_records([tmp_path / "no"])
    with pytest.raises(InputError, match=r"expected records, files named \.json, found none"):
        check_records([tmp_path])


def test_the_command(machines, anytime, tmp_path):
    status, out, _ = anytime("record", "check", *machines)
    assert (status, "4 records of 4 runs, 0 problems" in out) == (0, True)
    assert anytime("record", "table", *machines, "--out", tmp_path / "all.csv")[0] == 0
    assert len(pd.read_csv(tmp_path / "all.csv")) == 10
    for wrong in ([], ["--out", tmp_path / "all.xlsx"]):
        assert "out: expected where to write" in anytime("record", "table", *machines, *wrong)[2]
    (machines[0] / "broken.json").write_text("")
    assert anytime("record", "check", *machines)[0] == 1


def test_committed_records_are_in_order():
    assert check_records([Path(__file__).parents[3] / "data" / "records"])[0] == []

"""Records of many machines: what is wrong with them, all in one folder, all in one table."""

import pandas as pd
import pytest

from anytime_core.errors import InputError
from anytime_study.runs.folders import check_records, merge_records, records_table
from anytime_study.runs.record import DivergedRecord, load_outcome


@pytest.fixture
def clean(made_up_record):
    """Make a record that a commit has made; ``results`` of the same run differ by ``shift``."""

    def make(shift=0.0, **fields):
        record = made_up_record(**fields)
        made = record.provenance.model_copy(update={"commit": "c0ffee", "dirty": False})
        error = [value + shift for value in record.test.error]
        return record.model_copy(update={"provenance": made, "test": record.test.model_copy(update={"error": error})})

    return make


@pytest.fixture
def diverged(clean):
    record = clean(seed=9)
    fields = {name: getattr(record, name) for name in DivergedRecord.model_fields if hasattr(record, name)}
    return DivergedRecord(**{**fields, "outcome": "diverged", "epoch": 3, "exit": 2, "reason": "too fast"})


@pytest.fixture
def machines(tmp_path, clean, diverged):
    """Two folders: seeds 0 and 1, and seed 2 and a run that diverged."""
    first, second = tmp_path / "first", tmp_path / "second" / "laptop"
    for folder, records in {first: [clean(seed=0), clean(seed=1)], second: [clean(seed=2), diverged]}.items():
        for record in records:
            record.save(folder)
    return [first, second.parent]


def test_good_records_are_no_problem(machines):
    found = check_records(machines)
    assert (found.files, found.runs, found.problems) == (4, 4, [])
    assert found.hardware.total() == 4


def test_states_of_runs_are_no_records(machines):
    (machines[0] / ".checkpoints").mkdir()
    (machines[0] / ".checkpoints" / "x.json").write_text("{}")
    assert check_records(machines).files == 4


def test_what_is_wrong_is_told_with_the_file(machines, clean, made_up_record):
    first = machines[0]
    (first / "broken.json").write_text('{"name": 3}')
    path = clean(seed=4).save(first)
    path.rename(first / "other.json")
    made_up_record(seed=5).model_copy(
        update={"provenance": clean().provenance.model_copy(update={"commit": None, "dirty": True})}
    ).save(first)
    clean(seed=6).model_copy(update={"protocol": 0}).save(first)
    clean(seed=0, shift=0.1).save(machines[1])
    problems = check_records(machines).problems
    assert len(problems) == 6
    told = "\n".join(problems)
    assert f"bad record {first}/broken.json" in told
    assert f"other.json: expected the file of a record to have its name, {path.name}" in told
    assert "provenance.commit: expected the commit that made the record, found none" in told
    assert "provenance.dirty: expected the code of commit None, found changes" in told
    assert "stale: protocol 0" in told
    assert f"expected the results of {first / clean(seed=0).name}.json, which is the same run, found others" in told


def test_the_same_run_twice_is_no_problem_where_it_gave_the_same(machines, clean):
    clean(seed=0).save(machines[1])
    found = check_records(machines)
    assert (found.files, found.runs, found.problems) == (5, 4, [])


def test_merged_by_file(machines, tmp_path, clean):
    into = tmp_path / "all"
    assert merge_records(machines, into) == (4, [])
    assert merge_records(machines, into) == (0, [])
    assert check_records([into]).runs == 4
    other = clean(seed=0, shift=0.1).save(tmp_path / "third")
    before = (into / other.name).read_bytes()
    assert merge_records([tmp_path / "third"], into) == (0, [other])
    assert (into / other.name).read_bytes() == before


def test_a_bad_file_stops_the_merge_before_anything_is_copied(machines, tmp_path):
    (machines[1] / "broken.json").write_text("[]")
    with pytest.raises(InputError, match=r"broken\.json"):
        merge_records(machines, tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_one_row_per_run_and_exit(machines, clean):
    table = records_table(machines)
    assert len(table) == 3 * 3 + 1
    row = table[(table["seed"] == 1) & (table["exit"] == 2)].iloc[0]
    record = clean(seed=1)
    assert row["test_error"] == record.test.error[1]
    assert row["macs_fixed"] == record.costs.macs_fixed[1]
    assert (row["run"], row["network"], row["made_commit"]) == (record.name, record.config.network, "c0ffee")
    (other,) = table[table["outcome"] == "diverged"].to_dict("records")
    assert other["seed"] == 9
    assert pd.isna(other["exit"])


@pytest.mark.parametrize("call", [check_records, records_table])
def test_folders_must_be_there_and_hold_records(call, tmp_path):
    with pytest.raises(InputError, match="expected a folder of records, found none"):
        call([tmp_path / "no"])
    with pytest.raises(InputError, match=r"expected records, files named \.json, found none"):
        call([tmp_path])


# --- the command ---------------------------------------------------------------------------------------------------


def test_check_ends_with_status_1_where_something_is_wrong(machines, anytime):
    status, out, _ = anytime("record", "check", *machines)
    assert status == 0
    assert "4 records of 4 runs, 0 problems" in out
    (machines[0] / "broken.json").write_text("")
    assert anytime("record", "check", *machines)[0] == 1


def test_table_writes_parquet(machines, anytime, tmp_path):
    assert anytime("record", "table", *machines, "--out", tmp_path / "all.parquet")[0] == 0
    assert len(pd.read_parquet(tmp_path / "all.parquet")) == 10


def test_merge_says_what_it_left(machines, anytime, tmp_path, clean):
    assert anytime("record", "merge", *machines, "--out", tmp_path / "all")[0] == 0
    clean(seed=0, shift=0.1).save(tmp_path / "third")
    status, _, err = anytime("record", "merge", tmp_path / "third", "--out", tmp_path / "all")
    assert status == 1
    assert "with other results, and keeps them" in err


def test_out_must_fit_the_action(machines, anytime, tmp_path):
    assert "out: expected where to write, found None" in anytime("record", "table", *machines)[2]
    assert "out: expected nothing" in anytime("record", "check", *machines, "--out", tmp_path / "x")[2]


def test_committed_records_are_in_order():
    """What the repository holds is what this checks: each by a commit, each under its name."""
    from pathlib import Path

    folder = Path(__file__).parents[3] / "data" / "records" / "laptop"
    found = check_records([folder])
    assert found.problems == []
    assert all(load_outcome(path).config.name == path.stem for path in folder.glob("*.json"))

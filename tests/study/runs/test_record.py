import json
import math
import os

import pytest
from pydantic import ValidationError

from anytime_core.errors import InputError
from anytime_study.runs import record as records
from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import RunRecord, packed, unpacked


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def edited(path, **changes):
    """Change fields of a record file; a value of None takes the field out."""
    content = json.loads(path.read_text())
    for key, value in changes.items():
        if value is None:
            del content[key]
        else:
            content[key] = value
    path.write_text(json.dumps(content))
    return path


# --- saving and loading --------------------------------------------------------------------------------------------


def test_a_record_comes_back(made_up_record, tmp_path):
    record = made_up_record(seed=3)
    path = record.save(tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / f"{record.config.name}.json"
    assert RunRecord.load(path) == record
    assert not RunRecord.load(path).stale


def test_a_real_record_comes_back_to_nine_digits(tiny_record, tmp_path):
    loaded = RunRecord.load(tiny_record.save(tmp_path))
    assert loaded.config == tiny_record.config
    assert loaded.costs == tiny_record.costs
    assert loaded.provenance == tiny_record.provenance
    assert loaded.epoch_losses == [pytest.approx(row, rel=1e-8) for row in tiny_record.epoch_losses]
    for split in ("train", "validation", "test"):
        assert getattr(loaded, split).loss == pytest.approx(getattr(tiny_record, split).loss, rel=1e-8)
        assert getattr(loaded, split).error == pytest.approx(getattr(tiny_record, split).error, rel=1e-8)
    # and from then on exactly
    assert RunRecord.load(loaded.save(tmp_path / "again")) == loaded


@pytest.mark.parametrize("learning_rate", [1 / 3, 0.1 + 0.2, 1e-3 / 7, math.pi])
def test_rounding_spares_the_config_so_a_loaded_record_keeps_its_name(made_up_record, tmp_path, learning_rate):
    record = made_up_record(learning_rate=learning_rate)
    loaded = RunRecord.load(record.save(tmp_path))
    assert loaded.config == record.config
    assert not loaded.stale


def test_two_saves_give_the_same_bytes_and_end_with_a_newline(made_up_record, tmp_path):
    first = made_up_record().save(tmp_path / "a").read_bytes()
    assert first == made_up_record().save(tmp_path / "b").read_bytes()
    assert first.endswith(b"}\n")


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_is_no_number_is_not_written(made_up_record, tmp_path, number):
    record = made_up_record().model_copy(update={"epoch_losses": [[number, 1.0, 1.0]]})
    with pytest.raises(ValueError, match="JSON"):
        record.save(tmp_path)
    assert listing(tmp_path) == []


# --- whole or not at all -------------------------------------------------------------------------------------------


def test_saving_leaves_one_readable_file_and_replaces_an_old_one(made_up_record, tmp_path):
    record = made_up_record()
    path = record.save(tmp_path)
    path.write_text("old")
    record.save(tmp_path)
    assert listing(tmp_path) == [path.name]
    assert RunRecord.load(path) == record
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(("module", "function"), [(os, "replace"), (os, "fsync"), (json, "dumps"), (os, "chmod")])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=repr)
def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    made_up_record, tmp_path, monkeypatch, module, function, error
):
    path = made_up_record().save(tmp_path)
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(module, function, fail)
        with pytest.raises(type(error)):
            made_up_record().save(tmp_path)
    assert listing(tmp_path) == [path.name]
    assert path.read_bytes() == before


# --- faults --------------------------------------------------------------------------------------------------------


def test_an_absent_record_is_named(tmp_path):
    path = tmp_path / "nothing.json"
    with pytest.raises(InputError) as caught:
        RunRecord.load(path)
    assert str(caught.value) == f"bad record {path}: No such file or directory"


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_truncated_record_is_refused(made_up_record, tmp_path, share):
    path = made_up_record().save(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="Invalid JSON") as caught:
        RunRecord.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"num_exits": "three"}, "num_exits", "found 'three'"),
        ({"num_exits": None}, "num_exits", "expected a value, found none"),
        ({"test": {"loss": [1.0], "error": ["low"]}}, "test.error.0", "found 'low'"),
        ({"test": {"loss": [1.0]}}, "test.error", "expected a value, found none"),
        ({"config": {"epochs": 0}}, "config.epochs", "expected greater than or equal to 1, found 0"),
        ({"config": {"epoch": 1}}, "config.epoch", "there is no such name"),
        ({"note": "mine"}, "note", "there is no such name"),
        ({"epoch_losses": 3}, "epoch_losses", "found 3"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named_with_its_file(made_up_record, tmp_path, changes, field, message):
    path = edited(made_up_record().save(tmp_path), **changes)
    with pytest.raises(InputError) as caught:
        RunRecord.load(path)
    assert str(caught.value).startswith(f"bad record {path}: ")
    assert f"{field}: " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("content", ["[]", "3", "null", '"text"'])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "record.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"bad record .*record\.json"):
        RunRecord.load(path)


# --- stale records and what counts as a result ---------------------------------------------------------------------


def test_a_record_is_stale_under_another_protocol_or_name(made_up_record, monkeypatch):
    record = made_up_record()
    assert not record.stale
    assert record.model_copy(update={"name": "digits-resann-adaloss-seed0-000000000000"}).stale
    assert record.model_copy(update={"config": RunConfig(seed=9)}).stale
    monkeypatch.setattr(records, "PROTOCOL", record.protocol + 1)
    assert record.stale


def test_results_leave_out_only_what_a_rerun_need_not_repeat(made_up_record):
    record = made_up_record()
    assert record.results().keys() == RunRecord.model_fields.keys() - {"rules", "timing", "provenance", "test_correct"}
    elsewhere = record.model_copy(
        update={
            "timing": record.timing.model_copy(update={"seconds": 99.0}),
            "provenance": record.provenance.model_copy(update={"commit": None}),
        }
    )
    assert elsewhere.results() == record.results()
    changed = record.model_copy(update={"test": record.test.model_copy(update={"error": [0.5, 0.5, 0.5]})})
    assert changed.results() != record.results()


@pytest.mark.parametrize("name", ["../elsewhere", "/tmp/elsewhere", "a/b", ""])
def test_a_name_that_leads_to_another_folder_is_refused(made_up_record, tmp_path, name):
    path = edited(made_up_record().save(tmp_path), name=name)
    with pytest.raises(InputError, match=r"^bad record .*: name: "):
        RunRecord.load(path)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"epoch_losses": [[1.0, 2.0, 3.0], [1.0]]}, "epoch_losses.1: expected 3 numbers, one per exit, found 1"),
        (
            {"epoch_weights": [[1.0, 2.0, 3.0]]},
            "epoch_weights: expected as many epochs as epoch_losses has, 2, found 1",
        ),
        ({"test": {"loss": [1.0, 2.0, 3.0], "error": []}}, "test.error: expected 3 numbers, one per exit, found 0"),
        ({"num_exits": 0}, "num_exits: expected greater than or equal to 1, found 0"),
    ],
    ids=str,
)
def test_lists_of_another_length_than_there_are_exits_are_refused(made_up_record, tmp_path, changes, fault):
    path = edited(made_up_record().save(tmp_path), **changes)
    with pytest.raises(InputError, match=fault):
        RunRecord.load(path)


def test_answers_are_packed_to_a_bit_each_and_back():
    answers = [[True, False, True, False, False, False, False, True, True], [False] * 8 + [True]]
    texts = packed(answers)
    assert texts == ["oYA=", "AIA="]  # 1010_0001 1, 0000_0000 1
    assert unpacked(texts, 9).tolist() == answers
    with pytest.raises(ValueError, match="expected 3 bytes"):
        unpacked(texts, 17)
    with pytest.raises(ValueError, match="base64"):
        unpacked(["no base64!"], 9)


def test_a_record_from_before_there_were_answers_keeps_its_bytes(tiny_record, tmp_path):
    old = tiny_record.model_copy(update={"test_correct": None})
    path = old.save(tmp_path)
    content = path.read_bytes()
    assert b"test_correct" not in content
    RunRecord.load(path).save(tmp_path)
    assert path.read_bytes() == content


def test_answers_are_kept_for_every_exit(tiny_record):
    fields = tiny_record.model_dump(mode="json")
    fields["test_correct"] = fields["test_correct"][:-1]
    with pytest.raises(ValidationError):
        RunRecord.model_validate(fields)

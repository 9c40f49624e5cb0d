import json
import math
import os

import pytest
from pydantic import ValidationError

from anytime_core.errors import InputError
from anytime_study.runs import record as records
from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import RunRecord, load_outcome, packed, unpacked

# --- saving and loading --------------------------------------------------------------------------------------------


def test_a_record_comes_back(made_up_record, made_up_divergence, tmp_path):
    record, diverged = made_up_record(seed=3), made_up_divergence(seed=4)
    path = record.save(tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / f"{record.config.name}.json"
    assert path.read_bytes().endswith(b"}\n")
    assert path.stat().st_mode & 0o777 == 0o644
    assert RunRecord.load(path) == load_outcome(path) == record
    assert load_outcome(diverged.save(tmp_path)) == diverged
    with pytest.raises(InputError, match="diverged"):
        RunRecord.load(diverged.save(tmp_path))


@pytest.mark.parametrize("learning_rate", [1 / 3, 0.1 + 0.2, math.pi])
def test_rounding_spares_the_config_so_a_loaded_record_keeps_its_name(made_up_record, tmp_path, learning_rate):
    record = made_up_record(learning_rate=learning_rate)
    loaded = RunRecord.load(record.save(tmp_path))
    assert loaded.config == record.config
    assert not loaded.stale


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_is_no_number_is_not_written(made_up_record, tmp_path, number):
    record = made_up_record().model_copy(update={"epoch_losses": [[number, 1.0, 1.0]]})
    with pytest.raises(ValueError, match="JSON"):
        record.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(made_up_record, tmp_path, monkeypatch, function):
    path = made_up_record().save(tmp_path)
    before = path.read_bytes()

    def fail(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, function, fail)
        with pytest.raises(KeyboardInterrupt):
            made_up_record().save(tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


# --- faults --------------------------------------------------------------------------------------------------------


def test_a_record_that_is_cut_off_or_absent_is_named(made_up_record, tmp_path):
    path = made_up_record().save(tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    for bad, fault in ((path, "content: "), (tmp_path / "nothing.json", "No such file")):
        with pytest.raises(InputError, match=f"^bad record {bad}: {fault}"):
            load_outcome(bad)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("num_exits", None, "num_exits: expected a value, found none"),
        ("num_exits", 0, "num_exits: .*found 0"),
        ("config.epochs", 0, r"config\.epochs: .*found 0"),
        ("config.epochs", 5, "epoch_losses: expected the 5 epochs .*found 2"),
        ("note", "mine", "note: there is no such name"),
        ("name", "../elsewhere", "name: "),
        ("test.error.0", "low", r"test\.error\.0: .*found 'low'"),
        ("test.error.0", -5.0, r"test\.error\.0: "),
        ("test.error.0", 3.0, r"test\.error\.0: "),
        ("test.error", [], r"test\.error: expected 3 numbers, .*found 0"),
        ("validation.loss.1", -3.0, r"validation\.loss\.1: "),
        ("epoch_losses.0.2", -3.0, r"epoch_losses\.0\.2: "),
        ("epoch_losses.1", [1.0], r"epoch_losses\.1: expected 3 numbers, one per exit, found 1"),
        ("epoch_weights.1.0", -3.0, r"epoch_weights\.1\.0: "),
        ("costs.macs_fixed.0", -1, r"costs\.macs_fixed\.0: "),
        ("timing.seconds", math.inf, r"timing\.seconds: "),
        ("test_correct", packed([[True] * 360] * 3), "test_correct: expected error"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(made_up_record, tmp_path, place, value, message):
    path = made_up_record().save(tmp_path)
    content = json.loads(path.read_text())
    *above, last = (int(part) if part.isdigit() else part for part in place.split("."))
    at = content
    for key in above:
        at = at[key]
    at[last] = value
    if value is None:
        del at[last]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"(?s)^bad record {path}: .*{message}"):
        load_outcome(path)


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
    changed = record.model_copy(update={"test": record.test.model_copy(update={"error": [0.5, 0.5, 0.5]})})
    assert changed.results() != record.results()


def test_answers_are_packed_to_a_bit_each_and_back():
    answers = [[True, False, True, False, False, False, False, True, True], [False] * 8 + [True]]
    texts = packed(answers)
    assert texts == ["oYA=", "AIA="]  # 1010_0001 1, 0000_0000 1
    assert unpacked(texts, 9).tolist() == answers
    with pytest.raises(ValueError, match="expected 3 bytes"):
        unpacked(texts, 17)
    with pytest.raises(ValueError, match="base64"):
        unpacked(["no base64!"], 9)


@pytest.mark.parametrize("answers", [True, False])
def test_a_real_record_comes_back_to_nine_digits_and_from_then_on_to_the_byte(tiny_record, tmp_path, answers):
    """Records from before there were answers keep their bytes too."""
    record = tiny_record if answers else tiny_record.model_copy(update={"test_correct": None})
    path = record.save(tmp_path)
    loaded, content = RunRecord.load(path), path.read_bytes()
    assert (b"test_correct" in content) == answers
    assert (loaded.config, loaded.costs, loaded.provenance) == (record.config, record.costs, record.provenance)
    assert loaded.epoch_losses == [pytest.approx(row, rel=1e-8) for row in record.epoch_losses]
    loaded.save(tmp_path)
    assert path.read_bytes() == content


def test_answers_are_kept_for_every_exit_and_give_its_error(tiny_record):
    fields = tiny_record.model_dump(mode="json")
    for wrong in (fields["test_correct"][:-1], fields["test_correct"][::-1], ["AA=="] * 3):
        with pytest.raises(ValidationError, match=r"test_correct|texts"):
            RunRecord.model_validate({**fields, "test_correct": wrong})

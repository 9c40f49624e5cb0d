import logging
import multiprocessing
import os
import pickle

import pytest
import torch

from anytime_study.training.checkpoints import Checkpoints

ME = {"run": "a", "torch": "1"}


def state(number):
    return {"made_by": ME, "number": number, "tensor": torch.full((3,), float(number))}


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / ".checkpoints" / "run.pt")


def test_the_newest_state_comes_back(checkpoints):
    assert checkpoints.load(ME) is None
    for number in range(3):
        checkpoints.save(state(number))
        loaded = checkpoints.load(ME)
        assert loaded["number"] == number
        assert torch.equal(loaded["tensor"], state(number)["tensor"])
    assert len(list(checkpoints.path.parent.iterdir())) == 1


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda _: b"PK\x03\x04 something else"])
def test_a_damaged_state_is_passed_over(checkpoints, damage, caplog):
    checkpoints.save(state(1))
    checkpoints.path.write_bytes(damage(checkpoints.path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert checkpoints.load(ME) is None
    assert "passed over" in caplog.text


def test_a_state_of_another_run_or_version_is_not_taken(checkpoints, caplog):
    checkpoints.save(state(1))
    with caplog.at_level(logging.WARNING):
        assert checkpoints.load({**ME, "torch": "2"}) is None
    assert "made by" in caplog.text


def test_a_pickle_is_never_run(checkpoints, tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "trapped"),)

    checkpoints.save({"made_by": ME, "number": Trap()})  # with a right checksum
    with pytest.raises(pickle.UnpicklingError):
        checkpoints.load(ME)
    assert not (tmp_path / "trapped").exists()


def test_removing_leaves_nothing_but_what_is_not_its_own(checkpoints):
    checkpoints.save(state(1))
    other = Checkpoints(checkpoints.path.with_name("other.pt"))
    other.save(state(1))
    checkpoints.remove()
    assert list(checkpoints.path.parent.iterdir()) == [other.path]
    other.remove()
    assert not checkpoints.path.parent.exists()


def test_what_a_kill_within_a_write_left_goes_too(checkpoints, monkeypatch):
    checkpoints.save(state(1))
    monkeypatch.setattr("anytime_core.files.os.fsync", lambda _: os._exit(9))
    writer = multiprocessing.get_context("fork").Process(target=checkpoints.save, args=(state(2),))
    writer.start()
    writer.join()
    monkeypatch.undo()
    assert any(path.suffix == ".tmp" for path in checkpoints.path.parent.iterdir())
    assert checkpoints.load(ME)["number"] == 1
    checkpoints.remove()
    assert not checkpoints.path.parent.exists()

"""Faults of the machine: a full disk, a folder that cannot be written, two processes at the same file."""

import gzip
import hashlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torchvision.datasets import utils

from anytime_core.errors import InputError
from anytime_core.files import atomic_write
from anytime_study import cli
from anytime_study.datasets import DatasetError, fetch, readers
from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import Timing, load_outcome
from anytime_study.runs.registries import NETWORKS
from anytime_study.training.artefacts import ModelCard, load_model, save_model
from anytime_study.training.checkpoints import Checkpoints
from anytime_study.training.kept_run import run_to_record

TINY = {"train_size": 64, "batch_size": 16, "epochs": 2, "network": "resann(n=1, c=4)"}


@pytest.fixture
def disk(tmp_path):
    """Mount a small disk of its own (a tmpfs), where the system lets us; ``fill`` leaves some bytes of it."""

    class Disk:
        root = tmp_path / "disk"

        def fill(self, left):
            filler = self.root / "filler"
            filler.unlink(missing_ok=True)
            free = shutil.disk_usage(self.root).free
            filler.write_bytes(bytes(max(0, free - left)))

        def lock(self):
            subprocess.run(["mount", "-o", "remount,ro", str(self.root)], check=True)

    disk = Disk()
    disk.root.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk.root)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system can only be mounted by root")
    yield disk
    subprocess.run(["umount", "-l", str(disk.root)], check=True)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "filler"}


def refused(call):
    """Whether a full disk was told of, by an error that names the file."""
    try:
        call()
    except OSError as error:
        told = error
    else:
        return False
    assert told.strerror == "No space left on device"
    assert told.filename is not None
    return True


# --- full disk -----------------------------------------------------------------------------------------------------


def test_a_full_disk_spares_the_file_that_was_there(disk, tally, many, made_up_record):
    """Space for no byte, for some, for nearly all: the new file is there whole, or the old one is."""
    path = disk.root / "records" / "run.json"
    old, new = "old", "x" * 100_000
    outcomes = tally("machine", "disk full while a file is written")
    for trial in range(many(100, 10)):
        (disk.root / "filler").unlink(missing_ok=True)
        atomic_write(path, old)
        disk.fill(left=1 + trial * 1500)
        if refused(lambda: atomic_write(path, new)):
            assert contents(disk.root) == {path: old.encode()}
            outcomes["one message that names the file; the old file is whole"] += 1
        else:
            assert contents(disk.root) == {path: new.encode()}
            outcomes["there was space enough"] += 1
    assert outcomes["one message that names the file; the old file is whole"]


def test_a_full_disk_spares_the_state_before(disk, tally, many):
    checkpoints = Checkpoints(disk.root / "run.pt")
    outcomes = tally("machine", "disk full while a run keeps its state")
    for trial in range(many(50, 5)):
        checkpoints.remove()
        disk.root.mkdir(exist_ok=True)
        (disk.root / "filler").unlink(missing_ok=True)
        for step in (1, 2):
            checkpoints.save({"made_by": {}, "step": step, "weights": torch.zeros(10_000)})
        disk.fill(left=1 + trial * 900)
        assert refused(lambda: checkpoints.save({"made_by": {}, "step": 3, "weights": torch.zeros(40_000)}))
        assert checkpoints.load({})["step"] == 2
        outcomes["one message that names the file; the state before is read"] += 1


def test_a_full_disk_never_leaves_a_model_that_is_wrong(disk, tally, many):
    card = ModelCard(
        network="resann(n=1, c=4)",
        dataset="none",
        class_names=("a", "b"),
        image_shape=(1, 8, 8),
        mean=(0.2,),
        std=(1.0,),
    )
    old, new = (NETWORKS.build(card.network, num_classes=2, in_channels=1) for _ in range(2))
    outcomes = tally("machine", "disk full while a model is written")
    for trial in range(many(50, 5)):
        (disk.root / "filler").unlink(missing_ok=True)
        save_model(disk.root / "model", old, card)
        disk.fill(left=1 + trial * 4096)
        if not refused(lambda: save_model(disk.root / "model", new, card)):
            outcomes["there was space enough"] += 1
            continue
        try:
            loaded = load_model(disk.root / "model").net.state_dict()
        except InputError:
            outcomes["one message that names the file; the half-replaced model is refused"] += 1
        else:
            assert all(torch.equal(tensor, loaded[name]) for name, tensor in old.state_dict().items())
            outcomes["one message that names the file; the old model is whole"] += 1


def test_the_command_tells_of_a_full_disk_in_one_line(disk, tally, monkeypatch, capsys):
    disk.fill(left=0)
    arguments = [word for key, value in TINY.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    monkeypatch.setattr(sys, "argv", ["anytime", "train", *arguments, "--records-dir", str(disk.root)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"anytime: {disk.root}/")
    assert last.endswith(": No space left on device")
    tally("machine", "disk full at the end of `anytime train`")["one line that names the file"] += 1


# --- folders that cannot be written --------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """The four files of Fashion-MNIST, made up and small, and a downloader that copies them."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for file in readers.FASHION_MNIST_SHA256:
        content = file.encode() * 500
        (shelf / file).write_bytes(gzip.compress(content, compresslevel=0))
        monkeypatch.setitem(readers.FASHION_MNIST_SHA256, file, hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(readers, "DEBIAN_FASHION_MNIST", tmp_path / "no-such-folder")

    def download(url, root, filename=None, md5=None):
        time.sleep(0.002 * (os.getpid() % 5))  # so that two processes meet at different places
        (Path(root) / filename).write_bytes((shelf / filename).read_bytes())

    monkeypatch.setattr(utils, "download_url", download)
    return shelf


def test_a_full_cache_stays_clean(disk, shelf, tally, many):
    box = disk.root / "cache"
    outcomes = tally("machine", "disk full while a data set is fetched")
    for trial in range(many(50, 5)):
        disk.fill(left=2048 * trial)
        try:
            fetch("fashion-mnist", box)
        except DatasetError as error:
            told = str(error)
        else:
            shutil.rmtree(box)
            outcomes["there was space enough"] += 1
            continue
        assert "fashion-mnist: " in told
        assert "No space left on device" in told
        assert not box.exists() or list(box.iterdir()) == []
        outcomes["one message; nothing is left in the cache"] += 1
    assert outcomes["one message; nothing is left in the cache"]
    (disk.root / "filler").unlink()
    assert fetch("fashion-mnist", box) == box / "fashion-mnist"


def test_a_cache_that_is_read_only(disk, shelf, tally):
    full, empty = disk.root / "full", disk.root / "empty"
    fetch("fashion-mnist", full)
    empty.mkdir()
    disk.lock()
    outcomes = tally("machine", "cache on a read-only file system")
    assert fetch("fashion-mnist", full) == full / "fashion-mnist"
    outcomes["what is there is read"] += 1
    for box in (empty, disk.root / "new"):
        with pytest.raises(
            DatasetError, match=r"the cache cannot be written .*Read-only.*; ANYTIME_DATA names another"
        ):
            fetch("fashion-mnist", box)
        outcomes["one message that says how to name another cache"] += 1


def test_a_folder_for_records_that_is_read_only(disk, tally):
    disk.lock()
    with pytest.raises(OSError, match="Read-only file system") as caught:  # before anything is trained
        run_to_record(RunConfig(**TINY), disk.root / "records", progress=False)
    assert str(disk.root) in caught.value.filename
    tally("machine", "folder of records on a read-only file system")["one message before the training"] += 1


def test_a_file_where_a_folder_should_be(tmp_path, shelf):
    """What a read-only folder is to those who are not root."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DatasetError, match="the cache cannot be written"):
        fetch("fashion-mnist", tmp_path / "file" / "cache")
    with pytest.raises(OSError, match="File exists"):
        atomic_write(tmp_path / "file" / "record.json", "x")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("anytime_core.files.os.fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        atomic_write(tmp_path / "record.json", "x")
    assert caught.value.filename == str(tmp_path / "record.json")
    assert list(tmp_path.iterdir()) == []


# --- two processes -------------------------------------------------------------------------------------------------


def side_by_side(*calls):
    """Run each call in a process of its own, at once; gives their exit codes."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=call) for call in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def test_processes_that_fetch_the_same_set(tmp_path, shelf, tally, many):
    outcomes = tally("machine", "two processes fetch the same data set")
    for trial in range(many(50, 4)):
        box = tmp_path / f"cache{trial}"
        assert side_by_side(*[lambda box=box: fetch("fashion-mnist", box)] * 2) == [0, 0]
        assert [path.name for path in box.iterdir()] == ["fashion-mnist"]
        assert contents(box / "fashion-mnist").keys() == {box / "fashion-mnist" / path.name for path in shelf.iterdir()}
        readers.IdxReader().verify(box / "fashion-mnist")
        outcomes["both have it, whole, and nothing else is left"] += 1


def test_processes_that_write_the_same_record(tmp_path, made_up_record, tally, many):
    outcomes = tally("machine", "two processes write the same record while a third reads it")
    fast, slow = (
        made_up_record().model_copy(update={"timing": Timing(seconds=seconds, images_per_second=1.0)})
        for seconds in (1.0, 2.0)
    )
    path = fast.save(tmp_path)
    times = many(500, 25)

    def write(record):
        for _ in range(times):
            record.save(tmp_path)

    def read():
        for _ in range(times):
            assert load_outcome(path).timing.seconds in (1.0, 2.0)

    assert side_by_side(lambda: write(fast), lambda: write(slow), read) == [0, 0, 0]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    outcomes["every read found one of the two, whole"] += times


def test_processes_that_keep_the_state_of_the_same_run(tmp_path, tally, many):
    """One may even be done, and clean up, while the other goes on."""
    outcomes = tally("machine", "two processes keep and remove the states of the same run")
    times = many(300, 20)

    def work(removes):
        checkpoints = Checkpoints(tmp_path / "states" / "run.pt")
        for step in range(times):
            checkpoints.save({"made_by": {}, "step": step})
            state = checkpoints.load({})
            assert state is None or state["step"] in range(times)
            if removes and step % 3 == 0:
                checkpoints.remove()

    assert side_by_side(lambda: work(False), lambda: work(True)) == [0, 0]
    outcomes["every state that was read was whole"] += 2 * times


def test_processes_that_train_the_same_run(tmp_path, monkeypatch, tally, many):
    from anytime_study.training.loop import TrainingRun

    fit = TrainingRun.fit
    config = RunConfig(**TINY)
    alone = load_outcome(run_to_record(config, tmp_path / "alone", progress=False)[1]).results()
    outcomes = tally("machine", "two processes train the same run into the same folder")
    monkeypatch.setattr(TrainingRun, "fit", lambda run, **given: fit(run, **given, checkpoint_seconds=0.0))
    for trial in range(many(20, 2)):
        folder = tmp_path / f"trial{trial}"
        assert side_by_side(*[lambda folder=folder: run_to_record(config, folder, progress=False)] * 2) == [0, 0]
        assert [path.name for path in folder.glob("*")] == [f"{config.name}.json"]
        assert load_outcome(folder / f"{config.name}.json").results() == alone
        outcomes["the record of one process alone, bit for bit"] += 1

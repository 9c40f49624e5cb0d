"""Faults of the machine: a full disk, a folder that cannot be written, two processes at the same file."""

import multiprocessing
import shutil
import subprocess

import pytest

from anytime_core.errors import InputError
from anytime_core.files import atomic_write
from anytime_study.runs.record import Timing, load_outcome
from anytime_study.studies.runner import run_study
from anytime_study.training.checkpointed_run import run_to_record
from anytime_study.training.checkpoints import Checkpoints
from anytime_study.training.loop import TrainingRun


@pytest.fixture
def disk(tmp_path):
    """Mount a small disk of its own (a tmpfs), where the system lets us; ``fill`` leaves some bytes of it."""

    class Disk:
        root = tmp_path / "disk"

        def fill(self, left):
            filler = self.root / "filler"
            filler.unlink(missing_ok=True)
            filler.write_bytes(bytes(max(0, shutil.disk_usage(self.root).free - left)))

    disk = Disk()
    disk.root.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk.root)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system can only be mounted by root")
    yield disk
    subprocess.run(["umount", "-l", str(disk.root)], check=True)


def is_full(call, path):
    """Whether a full disk was told of, by an error that names the file and not the temporary one beside it."""
    try:
        call()
    except OSError as error:
        return error.strerror == "No space left on device" and error.filename == str(path)
    return False


# --- full disk -----------------------------------------------------------------------------------------------------


def test_a_full_disk_spares_the_file_that_was_there(disk):
    """Space for no byte, for some, for nearly all: the new file is there whole, or the old one is."""
    path = disk.root / "records" / "run.json"
    old, new = "old", "x" * 100_000
    outcomes = set()
    for left in range(1, 150_000, 15_000):
        (disk.root / "filler").unlink(missing_ok=True)
        atomic_write(path, old)
        disk.fill(left)
        full = is_full(lambda: atomic_write(path, new), path)
        assert path.read_text() == (old if full else new)
        assert list(path.parent.iterdir()) == [path]
        outcomes.add(full)
    assert outcomes == {True, False}


def test_the_command_tells_of_a_full_disk_in_one_line(disk, anytime):
    disk.fill(left=0)
    options = ["--train-size", 64, "--batch-size", 16, "--epochs", 1, "--network", "resann(n=1, c=4)"]
    status, _, told = anytime("train", *options, "--warmup-epochs", 1, "--records-dir", disk.root)
    assert status == 1
    assert "Traceback" not in told
    assert told.splitlines()[-1].startswith(f"anytime: {disk.root}/")
    assert told.splitlines()[-1].endswith(": No space left on device")


# --- folders that cannot be written --------------------------------------------------------------------------------


def test_a_folder_for_records_that_is_read_only_is_told_before_the_training(disk, tiny_config, monkeypatch):
    subprocess.run(["mount", "-o", "remount,ro", str(disk.root)], check=True)
    monkeypatch.setattr(TrainingRun, "fit", None)
    for call in (lambda at: run_to_record(tiny_config(), at), lambda at: next(run_study([tiny_config()], at))):
        with pytest.raises(InputError, match=rf"^records_dir: .*, found {disk.root}: Read-only file system$"):
            call(disk.root)
    with pytest.raises(OSError, match="Read-only file system") as caught:
        atomic_write(disk.root / "run.json", "")
    assert caught.value.filename == str(disk.root / "run.json")


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


def test_processes_that_write_the_same_record(tmp_path, made_up_record):
    fast, slow = (
        made_up_record().model_copy(update={"timing": Timing(seconds=seconds, images_per_second=1.0)})
        for seconds in (1.0, 2.0)
    )
    path = fast.save(tmp_path)

    def write(record):
        for _ in range(25):
            record.save(tmp_path)

    def read():
        for _ in range(25):
            assert load_outcome(path).timing.seconds in (1.0, 2.0)

    assert side_by_side(lambda: write(fast), lambda: write(slow), read) == [0, 0, 0]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_processes_that_keep_the_state_of_the_same_run(tmp_path):
    """One may even be done, and clean up, while the other goes on."""

    def work(removes):
        checkpoints = Checkpoints(tmp_path / "states" / "run.pt")
        for step in range(20):
            checkpoints.save({"made_by": {}, "step": step})
            state = checkpoints.load({})
            assert state is None or state["step"] in range(20)
            if removes and step % 3 == 0:
                checkpoints.remove()

    assert side_by_side(lambda: work(False), lambda: work(True)) == [0, 0]

import shutil
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import pytest
from torchvision.datasets import utils

from anytime_study.datasets import DatasetError, cache, default_cache_dir, fetch, load_dataset
from tests.study.datasets.test_readers import alter_the_content

NAME = "fashion-mnist"


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ANYTIME_DATA", str(tmp_path))
    assert default_cache_dir() == tmp_path
    monkeypatch.delenv("ANYTIME_DATA")
    assert default_cache_dir() == Path(__file__).resolve().parents[3] / "data" / "cache"
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "site-packages" / "anytime_study" / "datasets" / "cache.py"))
    assert default_cache_dir() == Path.home() / ".cache" / "anytime-core"


def test_digits_need_no_fetching(tmp_path):
    assert (fetch("digits", tmp_path) / "digits.csv.gz").is_file()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def box(fashion, monkeypatch, tmp_path):
    """An empty cache, and a downloader that copies the tiny Fashion-MNIST files from ``shelf``."""
    fashion.folder.rename(tmp_path / "shelf")

    def download(url, root, filename=None, md5=None):
        shutil.copy(tmp_path / "shelf" / filename, Path(root) / filename)

    monkeypatch.setattr(utils, "download_url", download)
    return tmp_path / "cache"


def test_a_download_fills_the_cache_and_is_not_repeated(box, monkeypatch):
    (box / NAME).mkdir(parents=True)  # an empty folder is as good as none
    assert fetch(NAME, box) == box / NAME
    assert list(box.iterdir()) == [box / NAME]
    monkeypatch.setattr(utils, "download_url", lambda *_: pytest.fail("downloaded twice"))
    assert len(load_dataset(NAME, cache_dir=box).train_labels) == 24


@pytest.mark.parametrize(
    "error", [URLError("unreachable"), TimeoutError("timed out"), RuntimeError("not found or corrupted")]
)
def test_a_failed_download_leaves_the_cache_clean(box, monkeypatch, error):
    sound = utils.download_url

    def fail(url, root, filename=None, md5=None):
        if "t10k" in filename:
            (Path(root) / filename).write_bytes(b"half")
            raise error
        sound(url, root, filename, md5)

    monkeypatch.setattr(utils, "download_url", fail)
    with pytest.raises(DatasetError, match="absent, and the download failed") as caught:
        fetch(NAME, box)
    assert caught.value.__cause__ is error
    assert list(box.iterdir()) == []


def test_an_interrupted_download_leaves_the_cache_clean(box, monkeypatch):
    def interrupted(url, root, filename=None, md5=None):
        (Path(root) / filename).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(utils, "download_url", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(NAME, box)
    assert list(box.iterdir()) == []


def test_a_download_of_something_else_does_not_enter_the_cache(box, tmp_path):
    alter_the_content(tmp_path / "shelf" / "train-images-idx3-ubyte.gz")
    with pytest.raises(DatasetError, match="SHA-256 of the content"):
        fetch(NAME, box)
    assert list(box.iterdir()) == []


def test_a_cache_that_cannot_be_written(box, tmp_path):
    (tmp_path / "a-file").touch()
    with pytest.raises(DatasetError, match=r"the cache cannot be written .* ANYTIME_DATA names another"):
        fetch(NAME, tmp_path / "a-file")


def test_two_processes_fetch_at_once(box, tmp_path):
    code = f"""
import shutil, sys
from pathlib import Path
from anytime_study.datasets import cache, cards, readers

class Slow(readers.IdxReader):
    def installed(self): return None
    def verify(self, folder): pass
    def download(self, folder):
        print("ready", flush=True)
        sys.stdin.readline()  # both are in here at once
        shutil.copytree({str(tmp_path / "shelf")!r}, folder, dirs_exist_ok=True)

object.__setattr__(cards.DATASETS["fashion-mnist"], "reader", Slow())
print(cache.fetch("fashion-mnist", Path({str(box)!r})))
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([sys.executable, "-c", code], **pipes) for _ in range(2)]
    for one in both:
        assert one.stdout.readline() == "ready\n"
    for one in both:
        one.stdin.write("go\n")
        one.stdin.flush()
    assert [one.communicate(timeout=60)[0].strip() for one in both] == [str(box / NAME)] * 2
    assert list(box.iterdir()) == [box / NAME]

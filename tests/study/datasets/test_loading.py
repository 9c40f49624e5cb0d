import shutil
from pathlib import Path
from urllib.error import URLError

import pytest
from torchvision.datasets import utils

from anytime_study.datasets import DatasetError, default_cache_dir, fetch, load_dataset
from tests.study.datasets.test_readers import alter_the_content

NAME = "fashion-mnist"


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ANYTIME_DATA", str(tmp_path))
    assert default_cache_dir() == tmp_path
    monkeypatch.delenv("ANYTIME_DATA")
    assert default_cache_dir() == Path(__file__).resolve().parents[3] / "data" / "cache"


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
    "error",
    [URLError("unreachable"), TimeoutError("timed out"), RuntimeError("not found or corrupted"), KeyboardInterrupt()],
    ids=repr,
)
def test_a_failed_or_interrupted_download_leaves_the_cache_clean(box, monkeypatch, error):
    sound = utils.download_url

    def fail(url, root, filename=None, md5=None):
        if "t10k" in filename:
            (Path(root) / filename).write_bytes(b"half")
            raise error
        sound(url, root, filename, md5)

    monkeypatch.setattr(utils, "download_url", fail)
    with pytest.raises((DatasetError, KeyboardInterrupt)) as caught:
        fetch(NAME, box)
    assert error in (caught.value, caught.value.__cause__)
    assert list(box.iterdir()) == []


def test_a_download_of_something_else_does_not_enter_the_cache(box, tmp_path):
    alter_the_content(tmp_path / "shelf" / "train-images-idx3-ubyte.gz")
    with pytest.raises(DatasetError, match="SHA-256 of the content"):
        fetch(NAME, box)
    assert list(box.iterdir()) == []

"""What every reader of published files does: fixtures in conftest.py, a case for each data set."""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torchvision.datasets import utils

from anytime_study.datasets import DATASETS, DatasetError, fetch, load_dataset, readers
from anytime_study.datasets.images import pixel_statistics
from tests.study.datasets.conftest import shrink

DEBIAN = readers.DEBIAN_FASHION_MNIST
ACTIONS = [fetch, lambda name, folder: load_dataset(name, cache_dir=folder)]


@pytest.mark.parametrize("train_size", [None, 3])
def test_held_out_images_are_the_first_of_the_fixed_permutation(tiny, train_size):
    data = load_dataset(tiny.name, cache_dir=tiny.cache, train_size=train_size)
    (images, labels), held = tiny.train, DATASETS[tiny.name].num_validation
    order = np.random.default_rng(0).permutation(len(labels))
    used = order[held:][:train_size]
    for found, expected in (
        (data.validation_images, images[order[:held]]),
        (data.validation_labels, labels[order[:held]]),
        (data.train_images, images[used]),
        (data.train_labels, labels[used]),
        (data.test_images, tiny.test[0]),
        (data.test_labels, tiny.test[1]),
    ):
        assert np.array_equal(found.numpy(), expected)
        assert found.dtype == (torch.uint8 if found.ndim == 4 else torch.int64)
        assert found.is_contiguous()  # whatever the files have: it decides how convolutions round
    assert torch.equal(data.mean, pixel_statistics(data.train_images)[0])
    assert fetch(tiny.name, tiny.cache) == tiny.folder


@pytest.mark.parametrize("sizes", [{"num_train": 1}, {"num_train": 1000}, {"num_test": 5}])
def test_another_number_of_images_than_the_card_says_is_refused(tiny, monkeypatch, sizes):
    shrink(monkeypatch, tiny.name, **sizes)
    with pytest.raises(DatasetError, match=r"expected \d+ training and \d test images, found \d\d and \d"):
        load_dataset(tiny.name, cache_dir=tiny.cache)


# --- faults of files -----------------------------------------------------------------------------------------------


def truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("damage", "problem"), [(Path.unlink, "missing"), (truncate, "truncated"), (flip_a_bit, "SHA|sound|MD5")]
)
def test_a_bad_file_is_named_with_the_ways_to_get_a_sound_one(tiny, monkeypatch, action, damage, problem):
    monkeypatch.setattr(readers, "DEBIAN_FASHION_MNIST", DEBIAN)  # a sound copy elsewhere is no excuse
    for path in tiny.files:
        sound = path.read_bytes()
        damage(path)
        with pytest.raises(DatasetError, match=problem) as caught:
            action(tiny.name, tiny.cache)
        assert str(caught.value).startswith(f"{DATASETS[tiny.name].title}: {path}: ")
        assert f"remove {tiny.folder}, then run `anytime fetch {tiny.name}`" in str(caught.value)
        path.write_bytes(sound)
    action(tiny.name, tiny.cache)


def alter_the_content(path):
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(content))


def test_the_content_of_a_gzip_file_counts(fashion):
    path = fashion.files[0]
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1))  # another packing of the same
    fetch("fashion-mnist", fashion.cache)
    alter_the_content(path)
    with pytest.raises(DatasetError, match=r"SHA-256 of the content: expected [0-9a-f]{64}, found [0-9a-f]{64}"):
        fetch("fashion-mnist", fashion.cache)


# --- downloads -----------------------------------------------------------------------------------------------------


def test_every_set_can_be_downloaded(tiny, monkeypatch, tmp_path):
    """The downloader gives what lies in the folder; CIFAR's as an archive, which is not kept."""

    def download(url, root, filename=None, md5=None):
        path = tiny.folder / (filename or url.rsplit("/")[-1])
        if path.exists():
            content = path.read_bytes()
        else:
            source = getattr(torchvision.datasets, tiny.name.upper())
            assert (url, md5) == (source.url, source.tgz_md5)
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
                tar.add(tiny.folder / source.base_folder, source.base_folder)
            content = buffer.getvalue()
        (Path(root) / path.name).write_bytes(content)

    monkeypatch.setattr(utils, "download_url", download)
    folder = fetch(tiny.name, tmp_path / "box")
    found = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    assert found == [path.relative_to(tiny.folder) for path in tiny.files]

"""Tiny files in the owners' formats, each in a cache folder, with the cards to go with them."""

import gzip
import hashlib
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torchvision
from scipy.io import savemat
from torchvision.datasets import utils

from anytime_study.datasets import DATASETS, readers


@dataclass
class Tiny:
    """A data set in ``cache``: its name, and images [n, C, H, W] with labels as they should be read."""

    name: str
    cache: Path
    train: tuple
    test: tuple

    @property
    def folder(self):
        return self.cache / self.name

    @property
    def files(self):
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """No test downloads anything for real."""

    def refuse(url, *args, **kwargs):
        raise URLError(f"no network in tests: {url}")

    monkeypatch.setattr(utils, "download_url", refuse)


def shrink(monkeypatch, name, **sizes):
    monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], **sizes))


def fashion_mnist(cache, monkeypatch, train=24, validation=6, test=6):
    """Four gzipped IDX files; the left halves of the images are black."""
    rng, parts = np.random.default_rng(7), []
    (cache / "fashion-mnist").mkdir()
    for part, count in (("train", train + validation), ("t10k", test)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        images[:, :, :14] = 0
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            file = f"{part}-{kind}-ubyte.gz"
            content = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
            (cache / "fashion-mnist" / file).write_bytes(gzip.compress(content))
            monkeypatch.setitem(readers.FASHION_MNIST_SHA256, file, hashlib.sha256(content).hexdigest())
        parts.append((images[:, None], labels))
    monkeypatch.setattr(readers, "DEBIAN_FASHION_MNIST", cache / "no-such-folder")
    for name, card in DATASETS.items():
        if card.folder == "fashion-mnist":
            shrink(monkeypatch, name, num_train=train, num_validation=validation, num_test=test)
    return Tiny("fashion-mnist", cache, *parts)


def cifar(cache, monkeypatch, name):
    """Pickled batches, rows of 3072 values."""
    source = getattr(torchvision.datasets, name.upper())
    key = {"cifar10": "labels", "cifar100": "fine_labels"}[name]
    folder, rng = cache / name / source.base_folder, np.random.default_rng(7)
    folder.mkdir(parents=True)

    def md5(file):
        return hashlib.md5((folder / file).read_bytes()).hexdigest()

    def batch(file, count):
        data = rng.integers(0, 256, (count, 3072), dtype=np.uint8)
        labels = rng.integers(0, DATASETS[name].num_classes, count)
        (folder / file).write_bytes(pickle.dumps({"data": data, key: labels.tolist()}))
        return data.reshape(-1, 3, 32, 32), labels

    train = [batch(file, 20 // len(source.train_list)) for file, _ in source.train_list]
    test = batch(source.test_list[0][0], 4)
    (folder / source.meta["filename"]).write_bytes(pickle.dumps({source.meta["key"]: DATASETS[name].class_names}))
    for part in ("train_list", "test_list"):
        monkeypatch.setattr(source, part, [[file, md5(file)] for file, _ in getattr(source, part)])
    monkeypatch.setattr(source, "meta", {**source.meta, "md5": md5(source.meta["filename"])})
    shrink(monkeypatch, name, num_train=15, num_validation=5, num_test=4)
    return Tiny(name, cache, tuple(map(np.concatenate, zip(*train, strict=True))), test)


def svhn(cache, monkeypatch):
    """MATLAB files, images last, 10 for the digit 0."""
    (cache / "svhn").mkdir()
    parts, split_list, rng = {}, {}, np.random.default_rng(7)
    for split, count in (("train", 7), ("extra", 13), ("test", 4)):
        images = rng.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        labels = rng.integers(1, 11, (count, 1), dtype=np.uint8)
        labels[0] = 10
        url, file, _ = torchvision.datasets.SVHN.split_list[split]
        savemat(cache / "svhn" / file, {"X": images, "y": labels}, do_compression=True)
        split_list[split] = [url, file, hashlib.md5((cache / "svhn" / file).read_bytes()).hexdigest()]
        # images last -> first; rows, columns, colours -> colours, rows, columns; 10 -> 0
        parts[split] = images.transpose(3, 2, 0, 1), labels[:, 0] % 10
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", split_list)
    shrink(monkeypatch, "svhn", num_train=15, num_validation=5, num_test=4)
    train = tuple(map(np.concatenate, zip(parts["train"], parts["extra"], strict=True)))
    return Tiny("svhn", cache, train, parts["test"])


@pytest.fixture
def fashion(tmp_path, monkeypatch):
    return fashion_mnist(tmp_path, monkeypatch)


@pytest.fixture(params=["fashion-mnist", "cifar10", "cifar100", "svhn"])
def tiny(request, tmp_path, monkeypatch):
    """Each data set that is published as training and test files."""
    if request.param == "fashion-mnist":
        return fashion_mnist(tmp_path, monkeypatch)
    return svhn(tmp_path, monkeypatch) if request.param == "svhn" else cifar(tmp_path, monkeypatch, request.param)

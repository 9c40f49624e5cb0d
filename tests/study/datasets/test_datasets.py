import gzip
import hashlib
import io
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from torchvision.datasets import utils

from anytime_study.datasets import (
    DATASETS,
    DatasetError,
    cache,
    default_cache_dir,
    fetch,
    load_dataset,
    readers,
    splits,
)
from anytime_study.datasets.images import pixel_statistics

DEBIAN = readers.DEBIAN_FASHION_MNIST


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def rows(images):
    """Each image as bytes, to compare sets of them."""
    return [image.numpy().tobytes() for image in images]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """No test downloads anything for real."""

    def refuse(url, *args, **kwargs):
        raise URLError(f"no network in tests: {url}")

    monkeypatch.setattr(utils, "download_url", refuse)


def shrink(monkeypatch, name, **sizes):
    monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], **sizes))


# --- cards ---------------------------------------------------------------------------------------------------------


def test_importing_the_module_loads_no_heavy_package():
    code = "import sys, anytime_study.datasets; print({'torch', 'torchvision', 'sklearn', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_cards_agree_with_the_sources():
    assert [(name, card.flip, card.pad) for name, card in DATASETS.items()] == [
        ("digits", False, 1),
        ("fashion-mnist", True, 3),
        ("fashion-noise-30", True, 3),
        ("fashion-noise-60", True, 3),
        ("fashion-coarse", True, 3),
        ("multi-fashion", False, 3),
        ("cifar10", True, 4),
        ("cifar100", True, 4),
        ("svhn", False, 4),
        ("svhn-train", False, 4),
        ("ilsvrc", True, 28),
    ]
    totals = {name: (card.num_train + card.num_validation, card.num_test) for name, card in DATASETS.items()}
    assert totals == {
        "digits": (1437, 360),
        "fashion-mnist": (60_000, 10_000),
        "fashion-noise-30": (60_000, 10_000),
        "fashion-noise-60": (60_000, 10_000),
        "fashion-coarse": (60_000, 10_000),
        "multi-fashion": (60_000, 10_000),
        "cifar10": (50_000, 10_000),
        "cifar100": (50_000, 10_000),
        "svhn": (604_388, 26_032),
        "svhn-train": (63_257, 10_000),
        "ilsvrc": (1_281_167, 50_000),
    }
    assert [card.num_classes for card in DATASETS.values()] == [10, 10, 10, 10, 5, 10, 10, 100, 10, 10, 1000]
    assert [name for name, card in DATASETS.items() if card.num_tasks != 1] == ["multi-fashion"]
    assert list(DATASETS["fashion-mnist"].class_names) == torchvision.datasets.FashionMNIST.classes
    assert list(DATASETS["cifar100"].class_names) == sorted(set(DATASETS["cifar100"].class_names))


def test_the_readme_of_the_data_tells_the_same_as_the_cards():
    readme = (Path(__file__).parents[3] / "data" / "README.md").read_text()
    cards = readme.partition("## Cards")[2].partition("###")[0].splitlines()
    lines = (line.strip("| ").split(" | ") for line in cards if line.startswith("| `"))
    table = {name.strip("`"): facts for name, *facts in lines}
    assert list(table) == list(DATASETS)
    for name, card in DATASETS.items():
        numbers = [card.num_classes, card.num_train, card.num_validation, card.num_test]
        assert table[name][0] == " × ".join(map(str, card.image_shape))
        assert table[name][1:5] == [f"{number:,}".replace(",", " ") for number in numbers]
        assert table[name][5] == ("yes" if card.flip else "no")
        assert table[name][6] == ("none" if card.streamed else str(card.pad))
        assert re.search(rf"^### (\S+ and )?{name}\b", readme, flags=re.MULTILINE)
        if card.made_of:
            assert table[name][7] == f"those of `{card.made_of}`"


@pytest.mark.parametrize("function", [load_dataset, fetch])
def test_an_unknown_name_is_refused_with_a_hint(function):
    with pytest.raises(ValueError, match=r"one of digits, .*, ilsvrc, found 'cifar-10' \(did you mean cifar10"):
        function("cifar-10")


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ANYTIME_DATA", str(tmp_path))
    assert default_cache_dir() == tmp_path
    monkeypatch.delenv("ANYTIME_DATA")
    assert default_cache_dir() == Path(__file__).resolve().parents[3] / "data" / "cache"
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "site-packages" / "anytime_core" / "datasets" / "cache.py"))
    assert default_cache_dir() == Path.home() / ".cache" / "anytime-core"


# --- images in memory ----------------------------------------------------------------------------------------------


def test_pixel_statistics_by_hand():
    images = np.zeros((2, 2, 1, 2), np.uint8)
    images[:, 0] = [[[0, 255]], [[0, 255]]]  # levels 0 and 1: mean 1/2, deviation 1/2
    images[:, 1] = 51  # one level, 1/5: the deviation stops at one grey level
    mean, std = pixel_statistics(images)
    assert mean.dtype == std.dtype == torch.float32
    torch.testing.assert_close(mean, torch.tensor([0.5, 0.2]))
    torch.testing.assert_close(std, torch.tensor([0.5, 1 / 255]))


def test_normalise_by_hand():
    data = replace(load_dataset("digits"), mean=torch.tensor([0.5]), std=torch.tensor([0.25]))
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 1, 3)
    normal = data.normalise(images)
    torch.testing.assert_close(normal.flatten(), torch.tensor([-2.0, -1.2, 2.0]))
    assert images.flatten().tolist() == [0, 51, 255]


def test_normalised_training_images_have_mean_0_and_deviation_1():
    data = load_dataset("digits")
    normal = data.normalise(data.train_images.contiguous(memory_format=torch.channels_last))
    assert normal.dtype == torch.float32
    assert normal.is_contiguous(memory_format=torch.channels_last)
    assert abs(normal.mean().item()) < 1e-5
    assert abs(normal.std(correction=0).item() - 1) < 1e-5


@pytest.mark.parametrize("images", [torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8)])
def test_normalise_refuses_other_images(images):
    with pytest.raises(ValueError, match=r"images: expected uint8 \[N, 1, H, W\], found"):
        load_dataset("digits").normalise(images)


# --- digits --------------------------------------------------------------------------------------------------------


def test_digits_splits():
    data = load_dataset("digits")
    splits = {
        "train": (data.train_images, data.train_labels, 1257),
        "validation": (data.validation_images, data.validation_labels, 180),
        "test": (data.test_images, data.test_labels, 360),
    }
    for images, labels, size in splits.values():
        assert (images.shape, images.dtype) == ((size, 1, 8, 8), torch.uint8)
        assert (labels.shape, labels.dtype) == ((size,), torch.int64)
        # 174 to 183 of the 1797 images show each digit
        share = labels.bincount() / size
        assert share.min() > 174 / 1797 - 1 / size
        assert share.max() < 183 / 1797 + 1 / size
    sets = [set(rows(images)) for images, _, _ in splits.values()]
    assert len(set.union(*sets)) == sum(map(len, sets)) == 1797  # all images differ, and each is in one split
    assert repr(data).startswith("ImageData(card=")


def test_digits_keep_their_levels():
    from sklearn.datasets import load_digits

    original = load_digits()
    data = load_dataset("digits")
    images = torch.cat([data.train_images, data.validation_images, data.test_images])
    labels = torch.cat([data.train_labels, data.validation_labels, data.test_labels])
    # round(x · 255 / 16) for x = 0 … 16, by hand
    levels = [0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255]
    expected = {np.array(levels, np.uint8)[image.astype(int)].tobytes() for image in original.images}
    assert set(rows(images)) == expected
    by_image = dict(zip(rows(images), labels.tolist(), strict=True))
    for image, label in zip(original.images, original.target, strict=True):
        assert by_image[np.array(levels, np.uint8)[image.astype(int)].tobytes()] == label


def test_statistics_come_from_the_training_images_used():
    data = load_dataset("digits", train_size=200)
    pixels = data.train_images.to(torch.float64) / 255
    torch.testing.assert_close(data.mean.double(), pixels.mean().view(1), rtol=0, atol=1e-7)
    torch.testing.assert_close(data.std.double(), pixels.std(correction=0).view(1), rtol=0, atol=1e-7)
    assert not torch.equal(data.mean, load_dataset("digits").mean)


@given(size=st.integers(1, 1257))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_smaller_training_set_is_the_beginning_of_a_larger_one(size):
    full, part = load_dataset("digits"), load_dataset("digits", train_size=size)
    assert torch.equal(part.train_images, full.train_images[:size])
    assert torch.equal(part.train_labels, full.train_labels[:size])
    assert torch.equal(part.validation_images, full.validation_images)
    assert torch.equal(part.test_images, full.test_images)


def test_the_splits_depend_on_no_seed():
    torch.manual_seed(1)
    np.random.seed(1)
    first = load_dataset("digits")
    torch.manual_seed(2)
    np.random.seed(2)
    assert torch.equal(first.train_images, load_dataset("digits").train_images)
    assert set(first.train_labels[:100].tolist()) == set(range(10))  # a beginning holds every class


@pytest.mark.parametrize("size", [0, -1, 1258, 10.5])
def test_an_impossible_training_size_is_refused(size):
    with pytest.raises(ValueError, match=f"train_size: expected 1 to 1257 for digits, found {size}"):
        load_dataset("digits", train_size=size)


def test_digits_need_no_fetching(tmp_path):
    assert (fetch("digits", tmp_path) / "digits.csv.gz").is_file()
    assert list(tmp_path.iterdir()) == []


# --- tiny files in the owners' formats -----------------------------------------------------------------------------

RNG = np.random.default_rng(7)


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture
def idx(tmp_path, monkeypatch):
    """Fashion-MNIST with 30 training and 6 test images, in a cache folder."""
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    arrays = {}
    for part, count in (("train", 30), ("t10k", 6)):
        arrays[f"{part}-images-idx3-ubyte.gz"] = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{part}-labels-idx1-ubyte.gz"] = RNG.integers(0, 10, count, dtype=np.uint8)
    for file, array in arrays.items():
        write_idx(folder / file, array)
        content = gzip.decompress((folder / file).read_bytes())
        monkeypatch.setitem(readers.FASHION_MNIST_SHA256, file, hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(readers, "DEBIAN_FASHION_MNIST", tmp_path / "no-such-folder")
    shrink(monkeypatch, "fashion-mnist", num_train=24, num_validation=6, num_test=6)
    return tmp_path, arrays


@pytest.fixture(params=["cifar10", "cifar100"])
def cifar(request, tmp_path, monkeypatch):
    """CIFAR with 20 training and 4 test images, in a cache folder: pickled batches, rows of 3072 values."""
    name = request.param
    source = getattr(torchvision.datasets, name.upper())
    key = {"cifar10": "labels", "cifar100": "fine_labels"}[name]
    folder = tmp_path / name / source.base_folder
    folder.mkdir(parents=True)

    def batch(file, count):
        data = RNG.integers(0, 256, (count, 3072), dtype=np.uint8)
        labels = RNG.integers(0, DATASETS[name].num_classes, count).tolist()
        (folder / file).write_bytes(pickle.dumps({"data": data, key: labels}))
        return data.reshape(-1, 3, 32, 32), labels

    files = [file for file, _ in source.train_list]
    train = [batch(file, 20 // len(files)) for file in files]
    test = batch(source.test_list[0][0], 4)
    (folder / source.meta["filename"]).write_bytes(pickle.dumps({source.meta["key"]: DATASETS[name].class_names}))
    monkeypatch.setattr(source, "train_list", [[file, md5(folder / file)] for file in files])
    monkeypatch.setattr(source, "test_list", [[file, md5(folder / file)] for file, _ in source.test_list])
    monkeypatch.setattr(source, "meta", {**source.meta, "md5": md5(folder / source.meta["filename"])})
    shrink(monkeypatch, name, num_train=15, num_validation=5, num_test=4)
    images, labels = np.concatenate([part[0] for part in train]), np.concatenate([part[1] for part in train])
    return name, tmp_path, (images, labels), test


@pytest.fixture
def svhn(tmp_path, monkeypatch):
    """SVHN with 7 + 13 training and 4 test images, in a cache folder: MATLAB files, images last, 10 for the digit 0."""
    folder = tmp_path / "svhn"
    folder.mkdir()
    parts, split_list = {}, {}
    for split, count in (("train", 7), ("extra", 13), ("test", 4)):
        images = RNG.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        labels = RNG.integers(1, 11, (count, 1), dtype=np.uint8)
        labels[0] = 10
        url, file, _ = torchvision.datasets.SVHN.split_list[split]
        savemat(folder / file, {"X": images, "y": labels}, do_compression=True)
        split_list[split] = [url, file, md5(folder / file)]
        parts[split] = images, labels
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", split_list)
    shrink(monkeypatch, "svhn", num_train=15, num_validation=5, num_test=4)
    return tmp_path, parts


def check_splits(data, images, labels, test_images, test_labels, held=5):
    """The held-out images are the first of the fixed permutation, the training images the others, in its order."""
    order = np.random.default_rng(0).permutation(len(labels))
    for found, expected in (
        (data.validation_images, images[order[:held]]),
        (data.validation_labels, labels[order[:held]]),
        (data.train_images, images[order[held:]][: len(data.train_labels)]),
        (data.train_labels, labels[order[held:]][: len(data.train_labels)]),
        (data.test_images, test_images),
        (data.test_labels, test_labels),
    ):
        assert found.tolist() == np.asarray(expected).tolist()
        assert found.dtype == (torch.uint8 if found.ndim == 4 else torch.int64)
    assert torch.equal(data.mean, pixel_statistics(data.train_images.numpy())[0])


@pytest.mark.parametrize("train_size", [None, 3])
def test_fashion_mnist_reader(idx, train_size):
    folder, arrays = idx
    data = load_dataset("fashion-mnist", cache_dir=folder, train_size=train_size)
    train, labels, test, test_labels = arrays.values()
    check_splits(data, train[:, None], labels, test[:, None], test_labels, held=6)
    assert len(data.train_labels) == (train_size or 24)


@pytest.mark.parametrize("train_size", [None, 3])
def test_cifar_reader(cifar, train_size):
    name, folder, train, test = cifar
    check_splits(load_dataset(name, cache_dir=folder, train_size=train_size), *train, *test)
    assert fetch(name, folder) == folder / name


@pytest.mark.parametrize("train_size", [None, 3])
@pytest.mark.parametrize("block", [8192, 4])
def test_svhn_reader(svhn, monkeypatch, train_size, block):
    monkeypatch.setattr(splits, "_BLOCK", block)
    folder, parts = svhn
    # images last -> first; rows, columns, colours -> colours, rows, columns; 10 -> 0
    images = {split: images.transpose(3, 2, 0, 1) for split, (images, _) in parts.items()}
    labels = {split: labels[:, 0] % 10 for split, (_, labels) in parts.items()}
    check_splits(
        load_dataset("svhn", cache_dir=folder, train_size=train_size),
        np.concatenate([images["train"], images["extra"]]),
        np.concatenate([labels["train"], labels["extra"]]),
        images["test"],
        labels["test"],
    )
    assert fetch("svhn", folder) == folder / "svhn"


@pytest.mark.parametrize(("num_train", "num_test"), [(14, 4), (16, 4), (15, 5)])
def test_another_number_of_images_than_the_card_says_is_refused(svhn, monkeypatch, num_train, num_test):
    shrink(monkeypatch, "svhn", num_train=num_train, num_test=num_test)
    with pytest.raises(DatasetError, match=f"expected {num_train + 5} training and {num_test} test images, found 20"):
        load_dataset("svhn", cache_dir=svhn[0])


# --- faults of files -----------------------------------------------------------------------------------------------


def delete(path):
    path.unlink()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def alter_the_content(path):
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(content))


@pytest.mark.parametrize("action", [fetch, lambda name, folder: load_dataset(name, cache_dir=folder)])
@pytest.mark.parametrize("file", readers.FASHION_MNIST_SHA256)
@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (delete, "missing"),
        (truncate, "truncated"),
        (flip_a_bit, "not a sound gzip file|SHA-256"),
        (alter_the_content, "SHA-256 of the content: expected [0-9a-f]{64}, found [0-9a-f]{64}"),
        (lambda path: path.write_bytes(b"<html>not found</html>"), "not a sound gzip file"),
    ],
)
def test_bad_fashion_mnist_files(idx, monkeypatch, action, file, damage, problem):
    folder, _ = idx
    path = folder / "fashion-mnist" / file
    damage(path)
    monkeypatch.setattr(readers, "DEBIAN_FASHION_MNIST", DEBIAN)  # a sound copy elsewhere is no excuse
    with pytest.raises(DatasetError, match=problem) as caught:
        action("fashion-mnist", folder)
    message = str(caught.value)
    assert message.startswith(f"Fashion-MNIST: {path}: ")
    assert f"remove {folder / 'fashion-mnist'}, then run `anytime fetch fashion-mnist`" in message
    assert "apt-get install dataset-fashion-mnist" in message
    assert f"put the four .gz files into {folder / 'fashion-mnist'}" in message


@pytest.mark.parametrize("action", [fetch, lambda name, folder: load_dataset(name, cache_dir=folder)])
@pytest.mark.parametrize(
    ("damage", "problem"), [(delete, "missing"), (truncate, "MD5 expected"), (flip_a_bit, "MD5 expected")]
)
@pytest.mark.parametrize("which", ["first", "last"])
def test_bad_cifar_files(cifar, action, damage, problem, which):
    name, folder, _, _ = cifar
    files = sorted((folder / name).rglob("*[!y]"))
    path = [file for file in files if file.is_file()][0 if which == "first" else -1]
    damage(path)
    with pytest.raises(DatasetError, match=problem) as caught:
        action(name, folder)
    assert str(path) in str(caught.value)
    assert f"anytime fetch {name}" in str(caught.value)


@pytest.mark.parametrize("action", [fetch, lambda name, folder: load_dataset(name, cache_dir=folder)])
@pytest.mark.parametrize(
    ("damage", "problem"), [(delete, "missing"), (truncate, "MD5 expected"), (flip_a_bit, "MD5 expected")]
)
@pytest.mark.parametrize("file", ["train_32x32.mat", "extra_32x32.mat", "test_32x32.mat"])
def test_bad_svhn_files(svhn, action, damage, problem, file):
    folder, _ = svhn
    damage(folder / "svhn" / file)
    with pytest.raises(DatasetError, match=problem) as caught:
        action("svhn", folder)
    assert str(folder / "svhn" / file) in str(caught.value)


# --- downloads -----------------------------------------------------------------------------------------------------


@pytest.fixture
def server(idx, monkeypatch, tmp_path):
    """A downloader that copies the tiny Fashion-MNIST files, which are moved out of the cache."""
    folder, _ = idx
    shelf = tmp_path / "shelf"
    (folder / "fashion-mnist").rename(shelf)
    box = tmp_path / "cache"

    def download(url, root, filename=None, md5=None):
        assert socket.getdefaulttimeout() == cache.TIMEOUT
        (Path(root) / filename).write_bytes((shelf / filename).read_bytes())

    monkeypatch.setattr(utils, "download_url", download)
    return box, shelf, download


def test_a_download_fills_the_cache_and_is_not_repeated(server, monkeypatch):
    box, shelf, _ = server
    assert fetch("fashion-mnist", box) == box / "fashion-mnist"
    assert [path.name for path in box.iterdir()] == ["fashion-mnist"]
    assert {path.name for path in (box / "fashion-mnist").iterdir()} == {path.name for path in shelf.iterdir()}
    assert socket.getdefaulttimeout() is None
    monkeypatch.setattr(utils, "download_url", lambda *_: pytest.fail("downloaded twice"))
    assert len(load_dataset("fashion-mnist", cache_dir=box).train_labels) == 24


def test_loading_downloads_what_is_absent(server):
    box, _, _ = server
    (box / "fashion-mnist").mkdir(parents=True)  # an empty folder is as good as none
    assert len(load_dataset("fashion-mnist", cache_dir=box).train_labels) == 24


@pytest.mark.parametrize(
    "error", [URLError("unreachable"), TimeoutError("timed out"), RuntimeError("File not found or corrupted.")]
)
def test_a_failed_download_leaves_the_cache_clean(server, monkeypatch, error):
    box, _, download = server

    def fail(url, root, filename=None, md5=None):
        if "t10k" in filename:
            (Path(root) / filename).write_bytes(b"half")
            raise error
        download(url, root, filename, md5)

    monkeypatch.setattr(utils, "download_url", fail)
    with pytest.raises(DatasetError, match="absent, and the download failed") as caught:
        fetch("fashion-mnist", box)
    assert caught.value.__cause__ is error
    assert list(box.iterdir()) == []
    assert socket.getdefaulttimeout() is None


def test_an_interrupted_download_leaves_the_cache_clean(server, monkeypatch):
    box, _, _ = server

    def interrupted(url, root, filename=None, md5=None):
        (Path(root) / filename).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(utils, "download_url", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch("fashion-mnist", box)
    assert list(box.iterdir()) == []


def test_a_download_of_something_else_does_not_enter_the_cache(server):
    box, shelf, _ = server
    alter_the_content(shelf / "train-images-idx3-ubyte.gz")
    with pytest.raises(DatasetError, match="SHA-256 of the content"):
        fetch("fashion-mnist", box)
    assert list(box.iterdir()) == []


def test_another_process_may_fetch_the_same_set_first(server, monkeypatch):
    box, shelf, download = server

    def overtaken(url, root, filename=None, md5=None):
        if not (box / "fashion-mnist").exists():
            shutil.copytree(shelf, box / "fashion-mnist")
        download(url, root, filename, md5)

    monkeypatch.setattr(utils, "download_url", overtaken)
    assert fetch("fashion-mnist", box) == box / "fashion-mnist"
    assert [path.name for path in box.iterdir()] == ["fashion-mnist"]


def test_two_processes_fetch_at_once(server):
    box, shelf, _ = server
    code = f"""
import shutil, sys, time
from pathlib import Path
from anytime_study.datasets import cache, cards, readers

class Slow(readers.IdxReader):
    def installed(self): return None
    def verify(self, folder): pass
    def download(self, folder):
        print("ready", flush=True)
        sys.stdin.readline()  # both are in here at once
        shutil.copytree({str(shelf)!r}, folder, dirs_exist_ok=True)

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
    assert [one.communicate(timeout=20)[0].strip() for one in both] == [str(box / "fashion-mnist")] * 2
    assert [path.name for path in box.iterdir()] == ["fashion-mnist"]


def test_two_threads_download_once(server, monkeypatch):
    box, shelf, download = server
    files, results = [], []

    def count(url, root, filename=None, md5=None):
        files.append(filename)
        download(url, root, filename, md5)

    monkeypatch.setattr(utils, "download_url", count)
    threads = [threading.Thread(target=lambda: results.append(fetch("fashion-mnist", box))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == [box / "fashion-mnist"] * 2
    assert sorted(files) == sorted(os.listdir(shelf))
    assert socket.getdefaulttimeout() is None


def test_a_silent_server_is_given_up(idx, monkeypatch, tmp_path):
    monkeypatch.undo()  # the real downloader
    monkeypatch.setattr(readers, "DEBIAN_FASHION_MNIST", tmp_path / "no-such-folder")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(cache, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", [address])
        with pytest.raises(DatasetError, match="timed out"):
            fetch("fashion-mnist", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written(server, tmp_path):
    (tmp_path / "a-file").touch()
    with pytest.raises(DatasetError, match=r"the cache cannot be written .* ANYTIME_DATA names another"):
        fetch("fashion-mnist", tmp_path / "a-file")


def test_cifar_is_downloaded_as_an_archive(cifar, monkeypatch, tmp_path):
    name, folder, train, test = cifar
    source = getattr(torchvision.datasets, name.upper())
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(folder / name / source.base_folder, source.base_folder)

    def download(url, root, filename=None, md5=None):
        assert (url, md5) == (source.url, source.tgz_md5)
        (Path(root) / filename).write_bytes(archive.getvalue())

    monkeypatch.setattr(utils, "download_url", download)
    box = tmp_path / "box"
    check_splits(load_dataset(name, cache_dir=box), *train, *test)
    assert os.listdir(box) == [name]
    assert os.listdir(box / name) == [source.base_folder]  # the archive itself is not kept


def test_svhn_is_downloaded_as_three_files(svhn, monkeypatch, tmp_path):
    folder, _ = svhn

    def download(url, root, filename=None, md5=None):
        (Path(root) / filename).write_bytes((folder / "svhn" / url.rsplit("/")[-1]).read_bytes())

    monkeypatch.setattr(utils, "download_url", download)
    assert sorted(os.listdir(fetch("svhn", tmp_path / "box"))) == sorted(os.listdir(folder / "svhn"))


# --- the real Fashion-MNIST ----------------------------------------------------------------------------------------


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_real_fashion_mnist(tmp_path):
    data = load_dataset("fashion-mnist", cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []  # read where it is
    assert data.train_images.shape == (55_000, 1, 28, 28)
    assert data.validation_images.shape == (5_000, 1, 28, 28)
    assert data.test_images.shape == (10_000, 1, 28, 28)
    assert data.test_labels.bincount().tolist() == [1000] * 10
    everything = torch.cat([data.train_labels, data.validation_labels])
    assert everything.bincount().tolist() == [6000] * 10
    mean, std = pixel_statistics(torch.cat([data.train_images, data.validation_images]).numpy())
    assert (round(mean.item(), 4), round(std.item(), 4)) == (0.2860, 0.3530)  # as published for all 60 000
    assert data.train_labels[:1000].bincount(minlength=10).min() > 60

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from scipy.io import savemat

from anytime_study.datasets import DATASETS, DatasetError, fetch, load_dataset, svhn_train
from anytime_study.datasets.svhn_train import crops_per_house, split_by_house

CROPS = np.array([1, 2, 3, 2, 2, 1, 3, 2, 1, 3])  # of ten houses


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A rebuilt file of 20 crops in a cache folder: every pixel of a crop is the number of its house."""
    file = tmp_path / "svhn-train" / "train_32x32.mat"
    file.parent.mkdir()
    house = np.repeat(np.arange(len(CROPS)), CROPS).astype(np.uint8)
    pixels = np.broadcast_to(house, (32, 32, 3, len(house))).copy()
    pixels[0, 1, 2] = 100 + np.arange(len(house))  # row 0, column 1, blue: the number of the crop
    labels = np.random.default_rng(0).integers(1, 11, (len(house), 1), dtype=np.uint8)
    labels[3] = 10
    savemat(file, {"X": pixels, "y": labels}, do_compression=True)
    digests = {"X": np.ascontiguousarray(np.moveaxis(pixels, -1, 0)), "y": labels}
    monkeypatch.setattr(
        svhn_train, "REBUILT_SHA256", {k: hashlib.sha256(array).hexdigest() for k, array in digests.items()}
    )
    monkeypatch.setattr(svhn_train, "crops_per_house", lambda: CROPS)
    train, validation, test = split_by_house(CROPS, 4, 6)
    sizes = {"num_train": len(train), "num_validation": len(validation), "num_test": len(test)}
    monkeypatch.setitem(DATASETS, "svhn-train", replace(DATASETS["svhn-train"], **sizes))
    return tmp_path, labels[:, 0]


def test_no_house_is_in_two_splits_and_every_crop_is_in_one():
    rows = split_by_house(CROPS, 4, 6)
    house = np.repeat(np.arange(len(CROPS)), CROPS)
    houses = [set(house[part]) for part in rows]
    assert sum(map(len, houses)) == len(set.union(*houses)) == len(CROPS)
    assert sorted(np.concatenate(rows)) == list(range(CROPS.sum()))
    _, validation, test = (len(part) for part in rows)
    assert 4 <= validation < 4 + CROPS.max()
    assert 6 <= test < 6 + CROPS.max()


def test_the_split_of_the_card_is_fixed():
    """Ten thousand and five thousand crops; the digest is part of the data set: another split is another set."""
    card, crops = DATASETS["svhn-train"], crops_per_house()
    assert (len(crops), crops.sum(), crops.min(), crops.max()) == (33_402, 73_257, 1, 6)
    rows = split_by_house(crops, card.num_validation, card.num_test)
    assert (
        [len(part) for part in rows] == [card.num_train, card.num_validation, card.num_test] == [58_257, 5000, 10_000]
    )
    digest = hashlib.sha256(np.concatenate(rows).astype("<i8")).hexdigest()
    assert digest.startswith("c7792be20f581ef8")
    house = np.repeat(np.arange(len(crops)), crops)
    assert [len(set(house[part])) for part in rows] == [26_530, 2288, 4584]


def test_crops_and_labels_of_the_file(cache):
    folder, labels = cache
    data = load_dataset("svhn-train", cache_dir=folder)
    for split, rows in zip(("train", "validation", "test"), split_by_house(CROPS, 4, 6), strict=True):
        images, found = getattr(data, f"{split}_images"), getattr(data, f"{split}_labels")
        assert images[:, 2, 0, 1].tolist() == (100 + rows).tolist()
        assert images[:, 0, 5, 5].tolist() == np.repeat(np.arange(10), CROPS)[rows].tolist()
        assert found.tolist() == (labels[rows] % 10).tolist()  # 10 stands for the digit 0
    part = load_dataset("svhn-train", cache_dir=folder, train_size=3)
    assert torch.equal(part.train_images, data.train_images[:3])
    assert torch.equal(part.test_images, data.test_images)
    assert fetch("svhn-train", folder) == folder / "svhn-train"


def test_the_official_file_is_known_by_its_md5(cache, monkeypatch):
    folder, _ = cache
    file = folder / "svhn-train" / "train_32x32.mat"
    monkeypatch.setattr(svhn_train, "REBUILT_SHA256", {"X": "another", "y": "another"})
    with pytest.raises(DatasetError, match="truncated or altered"):
        fetch("svhn-train", folder)
    official = ["address", file.name, hashlib.md5(file.read_bytes()).hexdigest()]
    monkeypatch.setitem(torchvision.datasets.SVHN.split_list, "train", official)
    fetch("svhn-train", folder)


def other_pixels(file, content):
    content["X"][3, 4, 1, 7] ^= 1
    savemat(file, content)


def other_labels(file, content):
    content["y"][5] = content["y"][5] % 10 + 1
    savemat(file, content)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda file, _: file.unlink(), "missing"),
        (lambda file, _: file.write_bytes(file.read_bytes()[:-50]), "no MATLAB file"),
        (lambda file, _: file.write_text("<html>not found</html>"), "no MATLAB file"),
        (lambda file, content: savemat(file, {"X": content["X"]}), "no MATLAB file with X and y"),
        (other_pixels, "SHA-256 of X"),
        (other_labels, "SHA-256 of y"),
    ],
)
def test_a_bad_file_is_named(cache, damage, problem):
    from scipy.io import loadmat

    folder, _ = cache
    file = folder / "svhn-train" / "train_32x32.mat"
    content = loadmat(file)
    damage(file, {key: content[key] for key in ("X", "y")})
    (file.parent / "other.txt").touch()  # so that the folder counts as filled
    with pytest.raises(DatasetError, match=problem) as caught:
        load_dataset("svhn-train", cache_dir=folder)
    assert str(caught.value).startswith(f"SVHN, training crops: {file}: ")
    assert "anytime fetch svhn-train" in str(caught.value)

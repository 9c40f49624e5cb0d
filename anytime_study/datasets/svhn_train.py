"""SVHN's 73 257 training crops alone, with validation and test images held out by house."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anytime_study.datasets.card import Arrays, DataCard, DatasetError, Part
from anytime_study.datasets.readers import SPLIT_SEED, SvhnReader

FILE = "train_32x32.mat"

REBUILT_SHA256 = {
    "X": "9f811125893f66f7fd079280e56c5399d87cce23f0847e47545bf7d85bb59dba",
    "y": "9e3cce128a193644210f542b719cff670a667c31b1c0bda27ecb1820ed5a7f7a",
}
"""SHA-256 of the pixels (X moved to [N, 32, 32, 3], C order) and of the labels (y as N bytes, 1 … 10) of the file that
was made anew from the published photographs and boxes. The bytes of such a file depend on who wrote it."""

_CROPS_PER_HOUSE = Path(__file__).with_name("svhn_crops_per_house.txt.gz")


class SvhnTrainReader(SvhnReader):
    """``train_32x32.mat`` of SVHN: the official file, or the one that was made anew from the published photographs."""

    splits = ("train",)

    def read(self, card: DataCard, folder: Path, train_size: int) -> Arrays:
        """Read the crops and split them by house; the label 10 of the file, the digit 0, becomes 0."""
        images, labels = _content(folder / FILE)
        train, validation, test = split_by_house(crops_per_house(), card.num_validation, card.num_test)
        labels = labels % 10
        train = train[:train_size]
        return Arrays(images[train], labels[train], images[validation], labels[validation], images[test], labels[test])


def crops_per_house() -> NDArray[np.int64]:
    """Number of crops of each photograph, [33402], in the order of the file: crops of one photograph are neighbours.

    Written down with the project, because ``train_32x32.mat`` does not say it. Source: number of boxes of each
    photograph in SVHN's ``train.tar.gz``, whose crops the file holds one after the other.
    """
    return np.frombuffer(gzip.decompress(_CROPS_PER_HOUSE.read_bytes()), np.uint8).astype(np.int64) - ord("0")


def split_by_house(crops: NDArray[np.int64], num_validation: int, num_test: int) -> list[NDArray[np.int64]]:
    """Rows of the training, validation and test crops. No house has crops in two of them.

    The houses are shuffled once and for all. The first ones, until there are ``num_test`` crops, are for the test, the
    next ones for validation, and the crops of all others, shuffled anew, for training. Held-out crops keep the order
    of the file.

    Args:
        crops: Number of crops of each house.
        num_validation: Crops held out for validation, up to those of one more house.
        num_test: The same for the test.
    """
    rng = np.random.default_rng(SPLIT_SEED)
    houses = rng.permutation(len(crops))
    seen = np.cumsum(crops[houses])
    end_of_test = np.searchsorted(seen, num_test) + 1
    end_of_validation = np.searchsorted(seen, seen[end_of_test - 1] + num_validation) + 1
    house = np.repeat(np.arange(len(crops)), crops)  # of each crop
    parts = np.split(houses, [end_of_test, end_of_validation])
    test, validation, train = (np.flatnonzero(np.isin(house, part)) for part in parts)
    return [rng.permutation(train), validation, test]


def _content(path: Path) -> Part:
    """Images [N, 3, 32, 32] and labels [N], 1 … 10, of a file that is one of the two."""
    import scipy.io
    from torchvision.datasets import SVHN, utils

    if not path.is_file():
        raise DatasetError(f"{path}: missing")
    try:
        content = scipy.io.loadmat(path, variable_names=("X", "y"))
        images = np.ascontiguousarray(content["X"].transpose(3, 2, 0, 1))  # [32, 32, 3, N] -> [N, 3, 32, 32]
        labels = content["y"][:, 0]
    except Exception as error:  # a damaged file makes the reader stumble over whatever it meets
        raise DatasetError(f"{path}: no MATLAB file with X and y that can be read ({error})") from error
    official = SVHN.split_list["train"][2]
    if not utils.check_integrity(path, official):
        for name, array in {"X": images.transpose(0, 2, 3, 1), "y": labels.astype(np.uint8)}.items():
            found = hashlib.sha256(array.tobytes()).hexdigest()
            if found != REBUILT_SHA256[name]:
                raise DatasetError(
                    f"{path}: truncated or altered: expected the official file (MD5 {official}) or the rebuilt one "
                    f"(SHA-256 of {name}: {REBUILT_SHA256[name]}), found {name} with SHA-256 {found}"
                )
    return images, labels.astype(np.int64)

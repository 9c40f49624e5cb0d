"""Images in folders, one folder per class, as torchvision's ``ImageFolder`` has them."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from anytime_core.errors import InputError
from anytime_study.datasets.card import Arrays, DataCard, DatasetError, Part, Reader
from anytime_study.datasets.own import Query, names, parsed
from anytime_study.datasets.readers import SPLIT_SEED

Sample = tuple[str, int]  # path of the file, label

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.125  # of all, then of the rest: 70, 10 and 20 %


class Splits(NamedTuple):
    """The files of each split, and the names of the labels 0, 1, …: the class folders in alphabetical order."""

    class_names: tuple[str, ...]
    train: list[Sample]
    validation: list[Sample]
    test: list[Sample]


def list_splits(root: Path) -> Splits:
    """List the images of each split; those for training are shuffled once and for all. No image is opened.

    Args:
        root: Holds class folders; or ``train``, ``validation`` and ``test`` with class folders.

    Raises:
        DatasetError: a folder is missing or empty, the splits have other classes, or a class has too few images.
    """
    if not (root / "train").is_dir():
        class_names, everything = _listed(root)
        rest, test = _split(root, everything, TEST_SHARE)
        return Splits(class_names, *_split(root, rest, VALIDATION_SHARE), test)
    class_names, train = _listed(root / "train")
    held_out = []
    for name in ("validation", "test"):
        found, samples = _listed(root / name)
        if different := sorted(set(found) ^ set(class_names)):
            there, absent = ("train", name) if different[0] in class_names else (name, "train")
            raise DatasetError(f"{root / name}: the class folder {different[0]} is in {there} and not in {absent}")
        held_out.append(samples)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(train))
    return Splits(class_names, [train[index] for index in order], *held_out)


def _listed(folder: Path) -> tuple[tuple[str, ...], list[Sample]]:
    """Class names, and the images of each class in the order of their paths; hidden files do not count."""
    from torchvision.datasets.folder import ImageFolder, is_image_file

    def is_image(path: str) -> bool:
        return is_image_file(path) and f"{os.sep}." not in path.removeprefix(str(folder))

    try:
        found = ImageFolder(folder, is_valid_file=is_image)
    except OSError as error:
        raise DatasetError(f"{folder}: expected one folder of images for each class: {error}") from None
    return tuple(found.classes), found.samples


def _split(folder: Path, samples: list[Sample], share: float) -> tuple[list[Sample], list[Sample]]:
    """Hold out a share of each class; both parts are shuffled."""
    from sklearn.model_selection import train_test_split

    labels = [label for _, label in samples]
    number = max(round(share * len(samples)), len(set(labels)))
    try:
        kept, held = train_test_split(samples, test_size=number, stratify=labels, random_state=SPLIT_SEED)
    except ValueError as error:  # too few of a class, or fewer images than classes
        raise DatasetError(f"{folder}: too few images: every split needs one of each class ({error})") from None
    return kept, held


@dataclass(frozen=True)
class FolderReader(Reader):
    """One's own images in class folders.

    Attributes:
        root: Where they lie.
        digest: What :func:`_digest` must give, so that nobody trains on other images than the configuration names.
    """

    root: Path
    digest: str

    def installed(self) -> Path:
        """The folder of one's own images, there or not."""
        return self.root

    def read(self, card: DataCard, folder: Path, train_size: int) -> Arrays:
        """Read all images, cut to squares of the size and channels that the card says."""
        from anytime_study.datasets.image_files import read_image

        splits = list_splits(folder)
        if (found := _digest(folder, splits)) != self.digest:
            raise DatasetError(f"{folder}: changed: expected images with the digest {self.digest}, found {found}")

        def part(samples: list[Sample]) -> Part:
            images = [read_image(Path(path), card.image_shape) for path, _ in samples]
            return np.stack(images), np.array([label for _, label in samples], np.int64)

        return Arrays(*part(splits.train[:train_size]), *part(splits.validation), *part(splits.test))


class _Query(Query):
    size: Annotated[int, Field(ge=8, le=1024)] = 32  # height and width in pixels; all images lie in memory
    channels: Literal["1", "3"] = "3"
    flip: Literal["yes", "no"] = "no"
    classes: str = ""  # names, separated by /
    train: int = 0
    validation: int = 0
    test: int = 0


def folder_card(text: str) -> DataCard:
    """The card of one's own images, named as ``folder:PATH`` or ``folder:PATH?size=64&channels=1&flip=yes``.

    Options: ``size``, height and width to which the middle square is scaled, 32 by default; ``channels``, 3 for colour
    or 1 for grey; ``flip``, whether a mirrored image still shows its class, no by default. The digest in the name is of
    names, lengths in bytes and splits of all images.

    Raises:
        InputError: an option is unknown or out of range, or the folder is no data set; it names what is wrong.
    """
    root, options = parsed(text, _Query)
    if not options.digest:
        try:
            splits = list_splits(root)
        except DatasetError as bad:
            raise InputError(
                f"folder:{root}: expected images in class folders (data/README.md has the layouts), found: {bad}"
            ) from None
        counts = {split: len(getattr(splits, split)) for split in ("train", "validation", "test")}
        facts = {"classes": "/".join(splits.class_names), "digest": _digest(root, splits)}
        options = options.model_copy(update={**counts, **facts})
    flip = options.flip == "yes"
    identity = json.dumps([options.size, options.channels, flip, options.digest])
    name, label = names("folder", root, options, identity)
    return DataCard(
        name=name,
        label=label,
        title=f"Images in {root}",
        image_shape=(int(options.channels), options.size, options.size),
        class_names=tuple(options.classes.split("/")),
        num_train=options.train,
        num_validation=options.validation,
        num_test=options.test,
        flip=flip,
        licence="not stated",
        reader=FolderReader(root, options.digest),
    )


def _digest(root: Path, splits: Splits) -> str:
    """Of names and lengths of all files, split by split: 12 hexadecimal digits."""
    listing = [
        [(Path(path).relative_to(root).as_posix(), os.path.getsize(path)) for path, _ in part]
        for part in (splits.train, splits.validation, splits.test)
    ]
    return hashlib.sha256(json.dumps([splits.class_names, listing]).encode()).hexdigest()[:12]

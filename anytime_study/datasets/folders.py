"""Images in folders, one folder per class, as torchvision's ``ImageFolder`` has them."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel, ConfigDict, Field

from anytime_core.errors import InputError
from anytime_study.datasets.card import Arrays, DataCard, DatasetError, Reader
from anytime_study.datasets.readers import SPLIT_SEED
from anytime_study.foundations.validation import validated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anytime_study.datasets.readers import Part

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

    Its rules for the splits are those of ``data/README.md``.

    Args:
        root: Holds class folders; or ``train`` and any of ``test`` and ``validation`` (or ``val``) with class folders.

    Raises:
        DatasetError: a folder is missing or empty, the splits have other classes, or a class has too few images.
    """
    import numpy as np

    names = [name for name in ("validation", "val", "test") if (root / name).is_dir()]
    if not (root / "train").is_dir():
        if names:
            raise DatasetError(f"{root / 'train'}: missing, though there is {names[0]}")
        class_names, everything = _listed(root)
        rest, test = _split(root, everything, TEST_SHARE)
        return Splits(class_names, *_split(root, rest, VALIDATION_SHARE), test)
    if names[:2] == ["validation", "val"]:
        raise DatasetError(f"{root}: expected one folder for validation, found validation and val")
    class_names, train = _listed(root / "train")
    others = []
    for name in names:
        found, samples = _listed(root / name)
        if different := sorted(set(found) ^ set(class_names)):
            there, absent = ("train", name) if different[0] in class_names else (name, "train")
            raise DatasetError(f"{root / name}: the class folder {different[0]} is in {there} and not in {absent}")
        others.append(samples)
    if not others:
        train, test = _split(root / "train", train, TEST_SHARE)
        others = [test]
    *validation, test = others
    if not validation:
        return Splits(class_names, *_split(root / "train", train, VALIDATION_SHARE), test)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(train))
    return Splits(class_names, [train[index] for index in order], *validation, test)


def _listed(folder: Path) -> tuple[tuple[str, ...], list[Sample]]:
    """Class names, and the images of each class in the order of their paths; what is hidden does not count."""
    from torchvision.datasets.folder import has_file_allowed_extension, make_dataset

    if not folder.is_dir():
        raise DatasetError(f"{folder}: there is no such folder")
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise DatasetError(f"{folder}: it has no class folders: expected one folder of images for each class")
    extensions = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # as torchvision's

    def is_image(path: str) -> bool:
        return has_file_allowed_extension(path, extensions) and f"{os.sep}." not in path.removeprefix(str(folder))

    try:
        return tuple(names), make_dataset(folder, {name: i for i, name in enumerate(names)}, is_valid_file=is_image)
    except FileNotFoundError as error:
        raise DatasetError(f"{folder}: {error}Expected files that end in {', '.join(extensions)}") from None


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

    def verify(self, folder: Path) -> None:
        """Check the class folders. The images themselves are checked when they are read."""
        self.splits(folder)

    def splits(self, folder: Path) -> Splits:
        """List the images; they must be those that the configuration names."""
        splits = list_splits(folder)
        if (found := _digest(folder, splits)) != self.digest:
            raise DatasetError(f"{folder}: changed: expected images with the digest {self.digest}, found {found}")
        return splits

    def read(self, card: DataCard, folder: Path, train_size: int) -> Arrays:
        """Read all images, cut to squares of the size and channels that the card says."""
        import numpy as np

        from anytime_study.datasets.image_files import fitted, read_image

        def part(samples: list[Sample]) -> Part:
            images = [fitted(read_image(path), card.image_shape) for path, _ in samples]
            return np.stack(images), np.array([label for _, label in samples], np.int64)

        _, train, validation, test = self.splits(folder)
        return Arrays(*part(train[:train_size]), *part(validation), *part(test))


class _Query(BaseModel):
    """What follows the question mark: three options, and what was found in the folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Annotated[int, Field(ge=8, description="height and width in pixels")] = 32
    channels: Literal["1", "3"] = "3"
    flip: bool = False
    classes: str = ""  # names, separated by /
    train: int = 0
    validation: int = 0
    test: int = 0
    digest: str = ""


def folder_card(text: str) -> DataCard:
    """The card of one's own images, named as ``folder:PATH`` or ``folder:PATH?size=64&channels=1&flip=yes``.

    The card's ``name`` is the text with an absolute path and with what was found in the folder: names of the classes,
    number of images in each split, and a digest of names, lengths in bytes and options. So a configuration with this
    name says all that there is to know of the data, and a record of it can be read where the folder is not. Names of
    runs have the digest in the place of the text: they do not depend on where the folder lies, and images that are
    added, removed, renamed or changed in length give other runs.

    Options: ``size``, height and width to which the middle square is scaled, 32 by default; ``channels``, 3 for colour
    or 1 for grey; ``flip``, whether a mirrored image still shows its class, no by default.

    Raises:
        InputError: an option is unknown or out of range, or the folder is no data set; it names what is wrong.
    """
    place, _, query = text.removeprefix("folder:").partition("?")
    if not place:
        raise InputError(f"expected folder:PATH, found {text!r}, which has no path")
    root = Path(place).expanduser().resolve()
    options = validated(_Query, dict(parse_qsl(query, keep_blank_values=True)), where=f"options of folder:{place}")
    if not options.digest:
        try:
            splits = list_splits(root)
        except DatasetError as bad:
            raise InputError(
                f"folder:{place}: expected images in class folders (data/README.md has the layouts), found: {bad}"
            ) from None
        counts = {split: len(getattr(splits, split)) for split in ("train", "validation", "test")}
        facts = {"classes": "/".join(splits.class_names), **counts, "digest": _digest(root, splits)}
        options = options.model_copy(update=facts)
    told = {**options.model_dump(), "flip": "yes" if options.flip else "no"}
    identity = json.dumps([options.size, options.channels, options.flip, options.digest])
    return DataCard(
        name=f"folder:{root}?{urlencode(told, safe='/')}",
        label=f"folder-{hashlib.sha256(identity.encode()).hexdigest()[:12]}",
        title=f"Images in {root}",
        image_shape=(int(options.channels), options.size, options.size),
        class_names=tuple(options.classes.split("/")),
        num_train=options.train,
        num_validation=options.validation,
        num_test=options.test,
        flip=options.flip,
        licence="not stated",
        how_to_get="these are images of your own; data/README.md says how the folders have to lie",
        reader=FolderReader(root, options.digest),
    )


def _digest(root: Path, splits: Splits) -> str:
    """Of names and lengths of all files, split by split: 12 hexadecimal digits."""
    parts: Sequence[list[Sample]] = splits[1:]
    listing = [[(Path(path).relative_to(root).as_posix(), os.path.getsize(path)) for path, _ in part] for part in parts]
    return hashlib.sha256(json.dumps([splits.class_names, listing]).encode()).hexdigest()[:12]

"""Images in folders, one folder per class, as torchvision's ``ImageFolder`` has them: which there are, and their split.

    root/train/<class>/*.JPEG     root/val/<class>/*.JPEG     root/test/<class>/*.JPEG

PyTorch is not needed to make a list, and no image is opened for it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from anytime_study.datasets.card import Arrays, BadFileError, DataCard
from anytime_study.datasets.splits import SPLIT_SEED

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Rows = NDArray[np.int64]

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Names of images end like this, in capitals or not; the same list as torchvision's. Other files are no images."""


class FileList(NamedTuple):
    """Files of images and their labels.

    Attributes:
        files: Paths relative to the root, encoded, [n]. One array of bytes and not a list of n objects: processes that
            are forked from this one then share its memory.
        labels: int64 [n].
    """

    files: NDArray[np.bytes_]
    labels: NDArray[np.int64]

    def path(self, root: Path, index: int) -> Path:
        """Where image ``index`` lies."""
        return root / os.fsdecode(bytes(self.files[index]))

    def at(self, rows: Rows | slice) -> FileList:
        """These images, in this order."""
        return FileList(self.files[rows], self.labels[rows])


class Splits(NamedTuple):
    """The files of each split, and the names of the labels 0, 1, …: the class folders in alphabetical order."""

    class_names: tuple[str, ...]
    train: FileList
    validation: FileList
    test: FileList


@dataclass(frozen=True)
class FolderReader:
    """Images in class folders. Its rules for the splits are those of ``data/README.md``.

    Attributes:
        published: The owners' layout: ``val`` is the test set, and 50 images of each class of ``train`` (a tenth of a
            class that has fewer than 500) are held out for validation. If false, the rules of :func:`load_folder`.
    """

    published: bool = False

    def installed(self) -> None:
        """Nowhere."""

    def download(self, folder: Path) -> None:  # noqa: ARG002 (the same call for every reader)
        """Refuse."""
        raise RuntimeError("it can only be had by hand")

    def verify(self, folder: Path) -> None:
        """Check the class folders. The images themselves are checked when they are read: there may be millions."""
        self.splits(folder)

    def splits(self, folder: Path) -> Splits:
        """List the images of each split; those for training are shuffled once and for all.

        Raises:
            BadFileError: a folder is missing or empty, or the splits have other classes.
        """
        if not folder.is_dir():
            raise BadFileError(folder, "there is no such folder")
        parts = [folder / part for part in ("val", "test") if (folder / part).is_dir()]
        if self.published:
            parts = [folder / "val"]
        elif not (folder / "train").is_dir():
            if parts:
                raise BadFileError(folder / "train", f"missing, though there is {parts[0].name}")
            class_names, everything = list_images(folder, folder)
            rest, test = _hold_out(folder, class_names, everything, lambda count: round(count / 5))
            train, validation = _hold_out(folder, class_names, rest, lambda count: round(count / 8))  # a tenth of all
            return Splits(class_names, train, validation, test)

        class_names, train = list_images(folder / "train", folder)
        others = []
        for part in parts:
            found, files = list_images(part, folder)
            if different := sorted(set(found) ^ set(class_names)):
                name = different[0]
                there, absent = ("train", part.name) if name in class_names else (part.name, "train")
                raise BadFileError(part, f"the class folder {name} is in {there} and not in {absent}")
            others.append(files)
        if len(others) == 2:
            return Splits(class_names, _shuffled(train), *others)
        if not others:
            train, test = _hold_out(folder / "train", class_names, train, lambda count: round(count / 5))
        else:
            (test,) = others
        share = _published_share if self.published else lambda count: round(count / 8)
        return Splits(class_names, *_hold_out(folder / "train", class_names, train, share), test)

    def read(self, card: DataCard, folder: Path, train_size: int) -> Arrays:
        """Read all images, cut to squares of the size and channels that the card says."""
        import numpy as np

        channels, size, _ = card.image_shape
        _, train, *others = self.splits(folder)
        arrays = []
        for files in (train.at(slice(train_size)), *others):
            images = np.empty((len(files.labels), channels, size, size), np.uint8)
            for index in range(len(images)):
                images[index] = _square(read_image(files.path(folder, index), upright=True), channels, size)
            arrays += [images, files.labels]
        return Arrays(*arrays)


def list_images(folder: Path, root: Path) -> tuple[tuple[str, ...], FileList]:
    """Find the images of each class: in the class folder or in folders below it.

    Hidden files and folders, such as ``.ipynb_checkpoints``, do not count.

    Args:
        folder: Holds the class folders.
        root: The folder itself or one above it: the paths that are returned begin there.

    Returns:
        Class names, in alphabetical order, and the files, in the order of the classes and then of their names.

    Raises:
        BadFileError: there is no such folder, it has no class folder, or a class has no image.
    """
    import numpy as np

    if not folder.is_dir():
        raise BadFileError(folder, "there is no such folder")
    class_names = sorted(e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith("."))
    if not class_names:
        raise BadFileError(folder, "it has no class folders: expected one folder of images for each class")
    files, labels = [], []
    for label, name in enumerate(class_names):
        found = []
        for place, below, names in os.walk(folder / name, followlinks=True):
            below[:] = [inner for inner in below if not inner.startswith(".")]
            found += [os.path.join(place, n) for n in names if n.lower().endswith(EXTENSIONS) and not n.startswith(".")]
        if not found:
            raise BadFileError(folder / name, f"it has no image (a file that ends in {', '.join(EXTENSIONS)})")
        files += sorted(found)
        labels += [label] * len(found)
    start = len(os.path.join(root, ""))
    relative = [os.fsencode(file[start:]) for file in files]
    return tuple(class_names), FileList(np.array(relative), np.array(labels, np.int64))


def read_image(path: Path, *, upright: bool = False) -> Image:
    """Read and decode one image file, all of it.

    Args:
        path: The file. Its content counts and not its name: a PNG may end in ``.JPEG``.
        upright: Turn the image as the camera's note in it (EXIF) says. Greyscale stays greyscale.

    Raises:
        BadFileError: it is missing, truncated or no image, or has more than 8 bits per channel.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):  # Pillow would clip these levels to 255 without a word
                raise BadFileError(path, f"expected 8 bits per channel, found Pillow's mode {image.mode}")
            image.load()  # decoding happens here
            turned = ImageOps.exif_transpose(image) if upright else image
            return turned.convert("L" if turned.mode == "L" else "RGB")
    except FileNotFoundError:
        raise BadFileError(path, "missing") from None
    except BadFileError:
        raise
    except Exception as error:  # decoders of damaged files raise whatever they stumble over
        raise BadFileError(path, f"no image that can be read ({error})") from error


def _square(image: Image, channels: int, size: int) -> NDArray[np.uint8]:
    """The middle of an image, as large as its short side, scaled to [channels, size, size]."""
    import numpy as np
    from PIL import Image, ImageOps

    image = image.convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC))  # [size, size] or [size, size, 3]
    return pixels.reshape(size, size, channels).transpose(2, 0, 1)


def _published_share(count: int) -> int:
    return min(50, count // 10)


def _shuffled(files: FileList) -> FileList:
    import numpy as np

    return files.at(np.random.default_rng(SPLIT_SEED).permutation(len(files.labels)))


def _hold_out(
    folder: Path, class_names: tuple[str, ...], files: FileList, share: Callable[[int], int]
) -> tuple[FileList, FileList]:
    """Shuffle, then hold out the first ``share(count)`` images of each class, at least one.

    Returns:
        What is kept and what is held out, both in the order of the shuffle.
    """
    import numpy as np

    files = _shuffled(files)
    held = np.zeros(len(files.labels), bool)
    for label, name in enumerate(class_names):
        rows = np.flatnonzero(files.labels == label)
        if len(rows) < 2:
            raise BadFileError(folder / name, "too few images: every split needs one of each class")
        held[rows[: max(1, share(len(rows)))]] = True
    return files.at(np.flatnonzero(~held)), files.at(np.flatnonzero(held))

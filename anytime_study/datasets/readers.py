"""Readers of the files as their owners publish them. Each verifies a file's checksum before it trusts the content."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anytime_study.datasets.card import Arrays, DataCard, DatasetError, Part, Reader

SPLIT_SEED = 0
"""Seed of the one shuffle that fixes the splits, for good and for every run."""

FASHION_MNIST_SHA256 = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""SHA-256 of the decompressed content of each file, because Debian's package wraps the same data in other headers."""

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files."""


class DigitsReader(Reader):
    """The 8 × 8 digits inside scikit-learn. They are few, so each split holds the classes in their proportions."""

    def installed(self) -> Path:
        """The folder of scikit-learn that holds the images."""
        import sklearn

        return Path(sklearn.__file__).parent / "datasets" / "data"

    def read(self, card: DataCard, folder: Path, train_size: int) -> Arrays:  # noqa: ARG002 (scikit-learn has the path)
        """Read the images; their levels 0 … 16 become 0 … 255."""
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        digits: Any = load_digits()
        images = np.rint(digits.images * 255 / 16).astype(np.uint8)[:, None]  # [1797, 1, 8, 8]
        labels = digits.target.astype(np.int64)

        def part(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
            return train_test_split(rows, test_size=size, stratify=labels[rows], random_state=SPLIT_SEED)

        rest, test = part(np.arange(len(labels)), card.num_test)
        train, validation = part(rest, card.num_validation)
        train = np.random.default_rng(SPLIT_SEED).permutation(train)[:train_size]
        return Arrays(*(array[rows] for rows in (train, validation, test) for array in (images, labels)))


class TwoPartReader(Reader):
    """A data set that is published as training and test images."""

    def part(self, folder: Path, *, train: bool) -> Part:
        """Check and read one of the two parts, in the order of the files."""
        raise NotImplementedError  # each kind of reader has its own

    def read(self, card: DataCard, folder: Path, train_size: int) -> Arrays:
        """Read both parts, and hold out validation images of the training part.

        The order is ``numpy.random.default_rng(0).permutation(n)``: the first ``num_validation`` images are held out,
        the next ``train_size`` are for training, so a smaller training set is the beginning of a larger one.
        """
        images, labels = self.part(folder, train=True)
        test_images, test_labels = self.part(folder, train=False)
        total = card.num_validation + card.num_train
        if (len(labels), len(test_labels)) != (total, card.num_test):
            raise DatasetError(
                f"{folder}: expected {total} training and {card.num_test} test images, found {len(labels)} and "
                f"{len(test_labels)}"
            )
        order = np.random.default_rng(SPLIT_SEED).permutation(total)
        held, used = order[: card.num_validation], order[card.num_validation :][:train_size]
        return Arrays(images[used], labels[used], images[held], labels[held], test_images, test_labels)


class IdxReader(TwoPartReader):
    """The four gzipped IDX files of Fashion-MNIST.

    Args:
        change: What the data set makes of a part: its images and labels, and whether they are of the training part, to
            other images and labels. None leaves them as they are.
    """

    def __init__(self, change: Callable[[Part, bool], Part] | None = None) -> None:
        self.change = change

    def installed(self) -> Path | None:
        """The folder of Debian's package dataset-fashion-mnist."""
        return DEBIAN_FASHION_MNIST if DEBIAN_FASHION_MNIST.is_dir() else None

    def download(self, folder: Path) -> None:
        """Download the four files; torchvision knows the address and the MD5 sums."""
        from torchvision.datasets import FashionMNIST, utils

        for file, md5 in FashionMNIST.resources:
            utils.download_url(FashionMNIST.mirrors[0] + file, folder, file, md5)

    def part(self, folder: Path, *, train: bool) -> Part:
        """60 000 training or 10 000 test images."""
        # IDX: 4 bytes of type and rank, then 4 bytes for each dimension (3 of images, 1 of labels), then the data.
        prefix = "train" if train else "t10k"
        images = np.frombuffer(self._content(folder / f"{prefix}-images-idx3-ubyte.gz"), np.uint8, offset=16)
        labels = np.frombuffer(self._content(folder / f"{prefix}-labels-idx1-ubyte.gz"), np.uint8, offset=8)
        part = images.reshape(-1, 1, 28, 28), labels.astype(np.int64)
        return part if self.change is None else self.change(part, train)

    def _content(self, path: Path) -> bytes:
        try:
            content = gzip.decompress(path.read_bytes())
        except FileNotFoundError:
            raise DatasetError(f"{path}: missing") from None
        except (EOFError, OSError, zlib.error) as error:  # gzip.BadGzipFile is an OSError
            raise DatasetError(f"{path}: truncated or altered: no sound gzip file ({error})") from None
        found, expected = hashlib.sha256(content).hexdigest(), FASHION_MNIST_SHA256[path.name]
        if found != expected:
            raise DatasetError(f"{path}: SHA-256 of the content: expected {expected}, found {found}")
        return content


class CifarReader(TwoPartReader):
    """CIFAR-10 and CIFAR-100 through torchvision.

    Args:
        torchvision_name: ``"CIFAR10"`` or ``"CIFAR100"``.
    """

    def __init__(self, torchvision_name: str) -> None:
        self.torchvision_name = torchvision_name

    def download(self, folder: Path) -> None:
        """Download and unpack the archive."""
        from torchvision.datasets import utils

        source = self._source()
        utils.download_and_extract_archive(
            source.url, folder, filename=source.filename, md5=source.tgz_md5, remove_finished=True
        )

    def part(self, folder: Path, *, train: bool) -> Part:
        """50 000 training or 10 000 test images. The MD5 sum of each file is checked before it is unpickled."""
        source = self._source()
        for file, md5 in (*source.train_list, *source.test_list, (source.meta["filename"], source.meta["md5"])):
            check_md5(folder / source.base_folder / file, md5)
        images = source(folder, train=train)
        return images.data.transpose(0, 3, 1, 2), np.array(images.targets, np.int64)

    def _source(self) -> Any:
        from torchvision import datasets

        return getattr(datasets, self.torchvision_name)


class SvhnReader(TwoPartReader):
    """SVHN's cropped digits through torchvision: ``train`` and ``extra`` together, as in the paper."""

    splits: tuple[str, ...] = ("train", "extra", "test")

    def download(self, folder: Path) -> None:
        """Download the .mat files (1.6 GB for all three)."""
        from torchvision.datasets import SVHN, utils

        for split in self.splits:
            url, file, md5 = SVHN.split_list[split]
            utils.download_url(url, folder, file, md5)

    def part(self, folder: Path, *, train: bool) -> Part:
        """604 388 training or 26 032 test images; the label 10 of the files, the digit 0, becomes 0."""
        from torchvision.datasets import SVHN

        parts = []
        for split in ("train", "extra") if train else ("test",):
            check_md5(folder / SVHN.split_list[split][1], SVHN.split_list[split][2])
            parts.append(SVHN(folder, split))
        return np.concatenate([part.data for part in parts]), np.concatenate([part.labels for part in parts])


def check_md5(path: Path, expected: str) -> None:
    """Refuse a file that is missing or has another MD5 sum."""
    from torchvision.datasets import utils

    if not path.is_file():
        raise DatasetError(f"{path}: missing")
    found = utils.calculate_md5(path)
    if found != expected:
        raise DatasetError(f"{path}: truncated or altered: MD5 expected {expected}, found {found}")

"""Readers of the files as their owners publish them. Each verifies a file's checksum before it trusts the content."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anytime_study.datasets.card import Arrays, BadFileError, DataCard
from anytime_study.datasets.splits import SPLIT_SEED, hold_out

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from anytime_study.datasets.splits import Part

FASHION_MNIST_SHA256 = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""SHA-256 of the decompressed content of each file."""

_LARGEST_IDX = 16 + 60_000 * 28 * 28  # bytes of content of the largest of them: a header, then pixels

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files."""


class DigitsReader:
    """The 8 × 8 digits inside scikit-learn. They are few, so each split holds the classes in their proportions."""

    def installed(self) -> Path:
        """The folder of scikit-learn that holds the images."""
        import sklearn

        return Path(sklearn.__file__).parent / "datasets" / "data"

    def download(self, folder: Path) -> None:
        """Nothing to download."""

    def verify(self, folder: Path) -> None:
        """Nothing to verify: the images are part of an installed package."""

    def read(self, card: DataCard, folder: Path, train_size: int) -> Arrays:  # noqa: ARG002 (scikit-learn has the path)
        """Read the images; their levels 0 … 16 become 0 … 255."""
        import numpy as np
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


class IdxReader:
    """The four gzipped IDX files of Fashion-MNIST.

    The checksums are of the decompressed content, because Debian's package wraps the same data in other gzip headers.
    (With the publisher's file name and date in the header, Debian's files have the MD5 sums that torchvision lists.)
    """

    def installed(self) -> Path | None:
        """The folder of Debian's package dataset-fashion-mnist."""
        return DEBIAN_FASHION_MNIST if DEBIAN_FASHION_MNIST.is_dir() else None

    def download(self, folder: Path) -> None:
        """Download the four files; torchvision knows the address and the MD5 sums."""
        from torchvision.datasets import FashionMNIST, utils

        for file, md5 in FashionMNIST.resources:
            utils.download_url(FashionMNIST.mirrors[0] + file, folder, file, md5)

    def verify(self, folder: Path) -> None:
        """Decompress each file and check its SHA-256."""
        for file in FASHION_MNIST_SHA256:
            self._content(folder / file)

    def read(self, card: DataCard, folder: Path, train_size: int) -> Arrays:
        """Read the four files: 60 000 training images, of which some are held out, and 10 000 test images."""
        return hold_out(card, folder, [self.part(card, folder, "train")], self.part(card, folder, "t10k"), train_size)

    def part(self, card: DataCard, folder: Path, name: str) -> Part:
        """Images and labels of ``train`` or ``t10k``, in the order of the files."""
        import numpy as np

        # IDX: 4 bytes of type and rank, then 4 bytes for each dimension (3 of images, 1 of labels), then the data.
        images = np.frombuffer(self._content(folder / f"{name}-images-idx3-ubyte.gz"), np.uint8, offset=16)
        labels = np.frombuffer(self._content(folder / f"{name}-labels-idx1-ubyte.gz"), np.uint8, offset=8)
        return images.reshape(-1, *card.image_shape), labels.astype(np.int64)

    def _content(self, path: Path) -> bytes:
        try:
            with gzip.open(path) as file:
                content = file.read(_LARGEST_IDX + 1)  # a few bytes of gzip can stand for more than the memory holds
        except FileNotFoundError:
            raise BadFileError(path, "missing") from None
        except EOFError:
            raise BadFileError(path, "truncated: the gzip stream has no end") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise BadFileError(path, f"not a sound gzip file ({error})") from None
        except OSError as error:
            raise BadFileError(path, f"not readable ({error})") from error
        if len(content) > _LARGEST_IDX:
            raise BadFileError(path, f"expected at most {_LARGEST_IDX} bytes of content, found more")
        found = hashlib.sha256(content).hexdigest()
        if found != FASHION_MNIST_SHA256[path.name]:
            raise BadFileError(
                path, f"SHA-256 of the content: expected {FASHION_MNIST_SHA256[path.name]}, found {found}"
            )
        return content


class CifarReader:
    """CIFAR-10 and CIFAR-100 through torchvision, which checks the MD5 sum of each file before it unpickles it."""

    def __init__(self, torchvision_name: str) -> None:
        self.torchvision_name = torchvision_name

    def installed(self) -> None:
        """Nowhere."""

    def download(self, folder: Path) -> None:
        """Download and unpack the archive."""
        from torchvision.datasets import utils

        source = self._source()
        utils.download_and_extract_archive(
            source.url, folder, filename=source.filename, md5=source.tgz_md5, remove_finished=True
        )

    def verify(self, folder: Path) -> None:
        """Check the MD5 sum of each file."""
        source = self._source()
        for file, md5 in (*source.train_list, *source.test_list, (source.meta["filename"], source.meta["md5"])):
            _check_md5(folder / source.base_folder / file, md5)

    def read(self, card: DataCard, folder: Path, train_size: int) -> Arrays:
        """Read 50 000 training images, of which some are held out, and 10 000 test images."""
        import numpy as np

        def part(train: bool) -> Part:
            try:
                images = self._source()(folder, train=train)
            except RuntimeError:
                self.verify(folder)  # torchvision says that some file is bad; this says which
                raise
            return images.data.transpose(0, 3, 1, 2), np.array(images.targets, np.int64)

        return hold_out(card, folder, [part(train=True)], part(train=False), train_size)

    def _source(self) -> Any:
        from torchvision import datasets

        return getattr(datasets, self.torchvision_name)


class SvhnReader:
    """SVHN's cropped digits through torchvision: `train` and `extra` together, as in the paper."""

    def installed(self) -> None:
        """Nowhere."""

    def download(self, folder: Path) -> None:
        """Download the three .mat files (1.6 GB)."""
        from torchvision.datasets import SVHN, utils

        for url, file, md5 in SVHN.split_list.values():
            utils.download_url(url, folder, file, md5)

    def verify(self, folder: Path) -> None:
        """Check the MD5 sum of each file."""
        from torchvision.datasets import SVHN

        for _, file, md5 in SVHN.split_list.values():
            _check_md5(folder / file, md5)

    def read(self, card: DataCard, folder: Path, train_size: int) -> Arrays:
        """Read 604 388 training images, of which some are held out, and 26 032 test images."""
        from torchvision.datasets import SVHN

        def part(split: str) -> Part:
            try:
                images = SVHN(folder, split)  # label 10, the digit 0, becomes 0 here
            except RuntimeError:
                self.verify(folder)
                raise
            return images.data, images.labels

        # One after the other: the three together would need twice the memory.
        return hold_out(card, folder, map(part, ("train", "extra")), part("test"), train_size)


def _check_md5(path: Path, expected: str) -> None:
    from torchvision.datasets import utils

    if not path.is_file():
        raise BadFileError(path, "missing")
    if not utils.check_integrity(path, expected):
        found = utils.calculate_md5(path)
        raise BadFileError(path, f"truncated or altered: MD5 expected {expected}, found {found}")

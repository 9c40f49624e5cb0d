"""Texts, character by character: each character is to be predicted from those before it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from anytime_core.errors import InputError
from anytime_study.datasets.card import DataCard, DatasetError, Reader
from anytime_study.datasets.own import Query, names, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import Tensor

    from anytime_study.datasets.images import Batch, Split

SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
"""Of ``input.txt``, 1 115 394 bytes."""

SHAKESPEARE_URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"

HELD_OUT = 10  # a tenth of the text for validation, and the last tenth for the test


@dataclass(frozen=True)
class TextCard(DataCard):
    """Facts about a text, which is cut into windows of T characters: a window is what an image is elsewhere.

    ``image_shape`` is (T,), ``class_names`` are the characters that occur, in the order of their code points, and the
    numbers of images are those of windows. ``augment`` shifts each window by up to T - 1 characters, afresh in every
    epoch.
    """

    reads_text = True

    @property
    def network_options(self) -> dict[str, int]:
        """What a network for this text is built with."""
        return {"num_classes": self.num_classes, "context": self.image_shape[0]}

    @property
    def pad(self) -> int:
        """No padding."""
        return 0

    @property
    def size(self) -> str:
        """Of one window, for people."""
        return f"{self.image_shape[0]} characters"

    def example(self) -> Tensor:
        """One window without content, to count costs by."""
        import torch

        return torch.zeros(1, *self.image_shape, dtype=torch.long)


@dataclass(frozen=True)
class TextReader(Reader):
    """A text in one file of UTF-8.

    Attributes:
        file: Its name in the folder.
        sha256: Its checksum.
        url: Where it is published; None for a text of one's own.
        place: The folder of a text of one's own.
    """

    file: str
    sha256: str
    url: str | None = None
    place: Path | None = None

    def installed(self) -> Path | None:
        """The folder of one's own text, there or not."""
        return self.place

    def download(self, folder: Path) -> None:
        """Download the file."""
        from torchvision.datasets import utils

        utils.download_url(str(self.url), folder, self.file)

    def load(self, card: DataCard, folder: Path, train_size: int, device: torch.device | str) -> TextData:
        """The text, checked, as numbers of its characters, on the device."""
        import torch

        content = _read(folder / self.file, self.sha256)
        number_of = {character: number for number, character in enumerate(card.class_names)}
        ids = torch.tensor([number_of[character] for character in content], device=device)
        train, validation, test = split(len(ids))
        used = ids[train][: (train_size + 1) * card.image_shape[0]]
        return TextData(card, used, ids[validation], ids[test])


@dataclass(frozen=True, eq=False)
class TextData:
    """A text on one device: the characters of each split as numbers, int64 [characters].

    A batch has windows [N, T] and, as labels, the character after each of theirs, [N, T].
    """

    card: DataCard
    train: Tensor
    validation: Tensor
    test: Tensor

    @property
    def class_names(self) -> tuple[str, ...]:
        """The characters by number."""
        return self.card.class_names

    def train_batches(
        self,
        batch_size: int,
        *,
        order: torch.Generator,
        crops: torch.Generator,
        augment: bool,
        skip: int = 0,
        share: tuple[int, int] = (0, 1),
    ) -> Iterator[Batch]:
        """One pass over the windows in a new order, as :meth:`ImageData.train_batches`, whose arguments these are."""
        import torch

        (length,) = self.card.image_shape
        size = batch_size // share[1]
        own = slice(share[0] * size, (share[0] + 1) * size)
        shuffled = torch.randperm(len(self.train) // length - 1, generator=order).to(self.train.device)
        for start in range(skip * batch_size, len(shuffled) - batch_size + 1, batch_size):
            starts = shuffled[start : start + batch_size] * length
            if augment:  # all windows of the batch, so that every process draws what one alone would draw
                starts = starts + torch.randint(length, starts.shape, generator=crops, device=starts.device)
            yield _windows(self.train, starts[own], length)

    def batches(self, split: Split, batch_size: int = 100) -> Iterator[Batch]:
        """All windows of a split in their order; the last batch may be smaller, and the text's last characters miss."""
        import torch

        text: Tensor = getattr(self, split)
        (length,) = self.card.image_shape
        count = len(text) // length - 1 if split == "train" else (len(text) - 1) // length
        for starts in (torch.arange(count, device=text.device) * length).split(batch_size):
            yield _windows(text, starts, length)


def _windows(text: Tensor, starts: Tensor, length: int) -> Batch:
    import torch

    windows = text[starts[:, None] + torch.arange(length + 1, device=text.device)]  # [N, T + 1]
    return windows[:, :-1], windows[:, 1:]


def split(count: int) -> tuple[slice, slice, slice]:
    """Characters for training, validation and the test: the first eight tenths, the next one and the last one."""
    held = count // HELD_OUT
    return slice(0, count - 2 * held), slice(count - 2 * held, count - held), slice(count - held, count)


def windows(count: int, length: int) -> tuple[int, int, int]:
    """How many windows each split of a text of ``count`` characters has; one for training may be shifted by T - 1."""
    train, validation, test = (len(range(count)[part]) for part in split(count))
    return train // length - 1, (validation - 1) // length, (test - 1) // length


SHAKESPEARE = TextCard(
    name="tiny-shakespeare",
    title="Tiny Shakespeare",
    image_shape=(128,),
    class_names=tuple("\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
    num_train=6970,
    num_validation=871,
    num_test=871,
    flip=False,
    licence="public domain, as Shakespeare's plays are; the collection states none",
    reader=TextReader("input.txt", SHAKESPEARE_SHA256, SHAKESPEARE_URL),
)


class _Query(Query):
    context: Annotated[int, Field(ge=8, le=4096)] = 128  # characters of a window
    characters: str = ""
    length: int = 0


def text_card(text: str) -> DataCard:
    """The card of a text of one's own, named as ``text:PATH`` or ``text:PATH?context=64``, the length of windows.

    Raises:
        InputError: an option is unknown or out of range, or there is no such text, or too short a one.
    """
    file, options = parsed(text, _Query)
    if not options.digest:
        try:
            content = _read(file)
        except DatasetError as bad:
            raise InputError(f"text:{file}: expected a file of text in UTF-8, found: {bad}") from None
        facts = {"characters": "".join(sorted(set(content))), "length": len(content), "digest": _sha256(content)}
        options = options.model_copy(update=facts)
    num_train, num_validation, num_test = windows(options.length, options.context)
    if min(num_train, num_validation, num_test) < 1:
        raise InputError(
            f"text:{file}: expected a tenth of it to be longer than a window, {options.context} characters, "
            f"found {options.length // HELD_OUT}"
        )
    name, label = names("text", file, options, f"{options.context} {options.digest}")
    return TextCard(
        name=name,
        label=label,
        title=f"Text in {file.name}",
        image_shape=(options.context,),
        class_names=tuple(options.characters),
        num_train=num_train,
        num_validation=num_validation,
        num_test=num_test,
        flip=False,
        licence="not stated",
        reader=TextReader(file.name, options.digest, place=file.parent),
    )


def _sha256(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def _read(path: Path, sha256: str | None = None) -> str:
    try:
        content = path.read_bytes().decode()
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: no text in UTF-8 ({error.reason} at byte {error.start})") from None
    if sha256 is not None and (found := _sha256(content)) != sha256:
        raise DatasetError(f"{path}: truncated or altered: SHA-256 expected {sha256}, found {found}")
    return content

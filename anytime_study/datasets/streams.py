"""A data set that is streamed: its images are read from their files batch by batch.

stream = load_dataset("ilsvrc", device="cuda")
for images, labels in stream.train_batches(256, generator=torch.Generator().manual_seed(0), augment=True, workers=8):
    ...                                                     # float32 [256, 3, 224, 224], int64 [256]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from anytime_study.datasets.cache import DatasetError
from anytime_study.datasets.card import BadFileError, DataCard
from anytime_study.datasets.images import normalise
from anytime_study.datasets.listing import FileList, FolderReader, read_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]
    Sample = tuple[torch.Tensor, int] | BadFileError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and deviation of ILSVRC's red, green and blue, where white is 1: the constants that everybody uses. They are
taken as published, not computed, so that weights of others fit and no pass over a million files is needed."""


@dataclass(frozen=True, eq=False)
class ImageStream:
    """A data set that is too large for a device's memory: read, decoded and cut anew for each batch.

    Worker processes decode the files and cut out uint8 images; these travel to the device and become float32 there.

    The recipe is the paper's for ILSVRC. Training: a window of 8 to 100 % of the area, with an aspect of 3/4 to 4/3,
    scaled to the size of the card (bicubic), mirrored with probability 1/2. Evaluation: short side scaled to 8/7 of
    that size (256 for 224), then the middle. ``dataclasses.replace(stream, colour_jitter=True)`` adds the changes of
    brightness, contrast and saturation, by up to 40 %, and of the lighting, all four in random order.

    Attributes:
        card: Facts about the data set. Its ``num_train`` is the full number; :attr:`num_train` is what is used.
        class_names: Names of the labels 0, 1, …: the class folders.
        root: The folder that holds the images.
        train: Files for training, shuffled once and for all.
        validation: Files held out from the training set, for every choice.
        test: Files for the final errors only.
        device: Where the batches shall be.
        mean: float32 [C], subtracted, on the scale where white is 1.
        std: float32 [C], divided by.
        colour_jitter: Whether training images change their colours.
    """

    card: DataCard
    class_names: tuple[str, ...] = field(repr=False)
    root: Path
    train: FileList = field(repr=False)
    validation: FileList = field(repr=False)
    test: FileList = field(repr=False)
    device: torch.device
    mean: torch.Tensor = field(repr=False)
    std: torch.Tensor = field(repr=False)
    colour_jitter: bool = False

    @property
    def num_train(self) -> int:
        """Training images used."""
        return len(self.train.labels)

    def train_batches(
        self,
        batch_size: int,
        *,
        generator: torch.Generator,
        augment: bool,
        workers: int,
        skip: int = 0,
        share: tuple[int, int] = (0, 1),
    ) -> Batches:
        """One pass over the training images in a new order; the last incomplete batch is left out.

        The order and the crops depend on the generator alone: the augmentation of an image is seeded with one number
        drawn for the pass and with the image's index, so the number of workers and the batch size do not matter. All
        draws happen in this call, none while the batches are read. Other random states are left as they are.

        Args:
            batch_size: N.
            generator: Source of the order and of the crops, on the CPU.
            augment: Whether to cut random windows; if not, the images are cut as for evaluation.
            workers: Processes that decode; with 0 this process does it.
            skip: Batches to leave out at the start; they are not read.
            share: (r, n) reads the r-th of n equal parts of each batch alone, counted from 0.

        Returns:
            Iterator of images, float32 [N, 3, H, W], normalised and channels_last, and labels, int64 [N].

        Raises:
            ValueError: ``batch_size`` is not within 1 and the number of training images, or ``workers`` is negative.
            DatasetError: while iterating: an image is missing or damaged.
        """
        import torch

        if not 1 <= batch_size <= self.num_train:
            raise ValueError(f"batch_size: expected 1 to the {self.num_train} training images, found {batch_size}")
        order = torch.randperm(self.num_train, generator=generator)
        pass_seed = int(torch.randint(2**62, (), generator=generator))
        whole = order[skip * batch_size : len(order) // batch_size * batch_size]
        own = whole.view(-1, share[1], batch_size // share[1])[:, share[0]].flatten().tolist()
        samples = _Samples(self, self.train, pass_seed if augment else None)
        return self._batches(samples, own, batch_size // share[1], workers)

    def evaluation_batches(
        self, split: Literal["train", "validation", "test"], batch_size: int, workers: int
    ) -> Batches:
        """All images of a split in their order, not augmented; the last batch may be smaller.

        Args:
            split: Which images.
            batch_size: Images at once; changes memory and speed only.
            workers: Processes that decode; with 0 this process does it.

        Returns:
            Iterator of batches, as :meth:`train_batches` gives.

        Raises:
            ValueError: there is no such split, ``batch_size`` is below 1, or ``workers`` is negative.
            DatasetError: while iterating: an image is missing or damaged.
        """
        if split not in ("train", "validation", "test"):
            raise ValueError(f"split: expected train, validation or test, found {split!r}")
        files: FileList = getattr(self, split)
        return self._batches(_Samples(self, files, None), range(len(files.labels)), batch_size, workers)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Map uint8 images [N, C, H, W] to float32 (images / 255 − mean) / std, in the same memory format."""
        return normalise(images, self.mean, self.std)

    def _batches(self, samples: _Samples, order: Sequence[int], batch_size: int, workers: int) -> Batches:
        """Check what can be checked now; the reading begins with the first batch."""
        import torch
        from torch.utils.data import DataLoader

        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, found {batch_size}")
        if workers < 0:
            raise ValueError(f"workers: expected 0 or more, found {workers}")
        loader: DataLoader[Any] = DataLoader(
            samples,  # ty: ignore[invalid-argument-type]  (anything with a length and items will do)
            batch_size,
            sampler=order,
            num_workers=workers,
            collate_fn=_collate,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else a number is drawn from the global random state
        )
        return self._on_device(loader)

    def _on_device(self, loader: Any) -> Batches:
        import torch

        for batch in loader:
            if isinstance(batch, BadFileError):
                remedy = "put a sound copy of this file in its place, from the archive that it came from"
                raise DatasetError(f"{self.card.title}: {batch.path}: {batch.problem}. To go on: {remedy}.")
            images, labels = (part.to(self.device, non_blocking=True) for part in batch)
            yield self.normalise(images.contiguous(memory_format=torch.channels_last)), labels


class _Samples:
    """What a worker process knows: index -> uint8 image [C, H, W] and label.

    A bad file is returned, not raised: an exception that leaves a worker arrives as a page of traceback.
    """

    def __init__(self, stream: ImageStream, files: FileList, pass_seed: int | None) -> None:
        from torchvision.transforms import v2

        from anytime_study.datasets.lighting import RandomLighting

        channels, size, _ = stream.card.image_shape
        self.root, self.files, self.mode = stream.root, files, "L" if channels == 1 else "RGB"
        self.pass_seed = pass_seed
        cubic = v2.InterpolationMode.BICUBIC
        steps: list[Any] = [v2.Resize(round(size * 8 / 7), cubic, antialias=True), v2.CenterCrop(size)]
        if pass_seed is not None:
            steps = [v2.RandomResizedCrop(size, (0.08, 1.0), (3 / 4, 4 / 3), cubic, antialias=True)]
            if stream.card.flip:
                steps.append(v2.RandomHorizontalFlip())
            if stream.colour_jitter:
                changes: list[Any] = [
                    v2.ColorJitter(**{name: 0.4}) for name in ("brightness", "contrast", "saturation")
                ]
                if channels == 3:
                    changes.append(RandomLighting())
                steps.append(v2.RandomOrder(changes))
        self.transform = v2.Compose(steps)

    def __len__(self) -> int:
        return len(self.files.labels)

    def __getitem__(self, index: int) -> Sample:
        import torch
        from torchvision.transforms.v2.functional import pil_to_tensor

        try:
            image = pil_to_tensor(read_image(self.files.path(self.root, index)).convert(self.mode))
        except BadFileError as bad:
            return bad
        with torch.random.fork_rng(devices=[]):  # matters where this is the main process
            if self.pass_seed is not None:
                torch.default_generator.manual_seed(_sample_seed(self.pass_seed, index))  # the CPU's alone
            return self.transform(image), int(self.files.labels[index])


def _sample_seed(pass_seed: int, index: int) -> int:
    from numpy.random import SeedSequence

    return int(SeedSequence([pass_seed, index]).generate_state(1)[0])


def _collate(samples: list[Sample]) -> tuple[torch.Tensor, torch.Tensor] | BadFileError:
    import torch

    good = []
    for sample in samples:
        if isinstance(sample, BadFileError):
            return sample
        good.append(sample)
    images, labels = zip(*good, strict=True)
    return torch.stack(images), torch.tensor(labels)


def open_stream(card: DataCard, folder: Path, train_size: int, device: torch.device | str) -> ImageStream:
    """List the files of a data set that is streamed. No image is opened.

    Args:
        card: A card with ``streamed``.
        folder: Its folder in the cache.
        train_size: Training images used: the first ones of the fixed shuffle.
        device: Where the batches shall be.

    Raises:
        BadFileError: folders are missing, or hold another number of classes or images than the card says.
    """
    import torch

    class_names, train, validation, test = FolderReader(published=True).splits(folder)
    if len(class_names) != card.num_classes:
        raise BadFileError(folder, f"expected {card.num_classes} class folders, found {len(class_names)}")
    expected = [card.num_train + card.num_validation, card.num_validation, card.num_test]
    found = [len(train.labels) + len(validation.labels), len(validation.labels), len(test.labels)]
    if found != expected:
        raise BadFileError(
            folder,
            "expected {} images in train, of which {} are held out, and {} in val, found {}, {} and {}".format(
                *expected, *found
            ),
        )
    mean, std = (torch.tensor(values, device=device) for values in (IMAGENET_MEAN, IMAGENET_STD))
    used = train.at(slice(train_size))
    return ImageStream(card, class_names, folder, used, validation, test, torch.device(device), mean, std)

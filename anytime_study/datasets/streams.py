"""A data set that is streamed: its images are read from their files batch by batch, as for ILSVRC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from anytime_study.datasets.card import DataCard, DatasetError
from anytime_study.datasets.folders import Sample, list_splits
from anytime_study.datasets.image_files import read_image
from anytime_study.datasets.images import Batch, Split, normalise

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and deviation of ILSVRC's red, green and blue, where white is 1: published constants, as everybody uses them."""


@dataclass(frozen=True, eq=False)
class ImageStream:
    """A data set that is too large for a device's memory: its images are read, decoded and cut anew for each batch.

    The recipe is the paper's for ILSVRC. Training: a window of 8 to 100 % of the area, with an aspect of 3/4 to 4/3,
    scaled to the size of the card (bicubic), mirrored with probability 1/2; with ``colour_jitter`` also brightness,
    contrast and saturation, by up to 40 %, and the lighting, all four in random order. Evaluation: short side scaled to
    8/7 of that size (256 for 224), then the middle.

    Attributes:
        card: Facts about the data set. Its ``num_train`` is the full number.
        class_names: Names of the labels 0, 1, …: the class folders.
        train, validation, test: Files and their labels; those for training are shuffled once and for all.
        mean, std: float32 [3], on the scale where white is 1.
        device: Where the batches shall be.
        workers: Processes that decode; with 0 this process does it. Their number changes no image.
        colour_jitter: Whether training images change their colours.
    """

    card: DataCard
    class_names: tuple[str, ...] = field(repr=False)
    train: list[Sample] = field(repr=False)
    validation: list[Sample] = field(repr=False)
    test: list[Sample] = field(repr=False)
    mean: Tensor
    std: Tensor
    device: torch.device
    workers: int = 0
    colour_jitter: bool = False

    @classmethod
    def open(
        cls,
        card: DataCard,
        folder: Path,
        train_size: int,
        device: torch.device | str,
        *,
        workers: int,
        colour_jitter: bool,
    ) -> ImageStream:
        """List the files. No image is opened.

        Raises:
            DatasetError: folders are missing, or hold another number of classes or images than the card says.
        """
        class_names, train, validation, test = list_splits(folder, card.num_validation)
        found = [len(class_names), len(train), len(validation), len(test)]
        expected = [card.num_classes, card.num_train, card.num_validation, card.num_test]
        if found != expected:
            raise DatasetError(
                f"{folder}: expected {expected} classes and images for training, validation and test, found {found}"
            )
        device = torch.device(device)
        mean, std = (torch.tensor(values, device=device) for values in (IMAGENET_MEAN, IMAGENET_STD))
        used = train[:train_size]
        return cls(card, class_names, used, validation, test, mean, std, device, workers, colour_jitter)

    def train_batches(
        self,
        batch_size: int,
        *,
        order: torch.Generator,
        crops: torch.Generator | None = None,  # noqa: ARG002 (images on a device have one there)
        augment: bool,
        skip: int = 0,
        share: tuple[int, int] = (0, 1),
    ) -> Iterator[Batch]:
        """One pass over the training images in a new order; see :meth:`ImageData.train_batches`.

        ``order`` draws the crops too: the augmentation of an image is seeded with a number drawn for the pass and the
        image's index, so neither workers nor batches change it. Other random states are left as they are.

        Raises:
            DatasetError: while iterating: an image is missing or damaged.
        """
        shuffled = torch.randperm(len(self.train), generator=order)
        seed = int(torch.randint(2**62, (), generator=order))
        whole = shuffled[skip * batch_size : len(shuffled) // batch_size * batch_size]
        own = whole.view(-1, share[1], batch_size // share[1])[:, share[0]].flatten().tolist()
        files = _Files(self.train, self._training() if augment else self._evaluation(), seed)
        return self._loaded(files, own, batch_size // share[1])

    def batches(self, split: Split, batch_size: int = 100) -> Iterator[Batch]:
        """All images of a split in their order, not augmented; the last batch may be smaller."""
        samples = getattr(self, split)
        return self._loaded(_Files(samples, self._evaluation(), 0), list(range(len(samples))), batch_size)

    def first_images(self, count: int) -> Batch:
        """The first training images as people see them: uint8 [count, C, H, W], with their labels."""
        files = _Files(self.train[:count], self._evaluation(), 0)
        images, labels = zip(*files, strict=True)
        return torch.stack(images), torch.tensor(labels)

    def normalise(self, images: Tensor) -> Tensor:
        """Map uint8 images [N, 3, H, W] to float32; see :func:`normalise`."""
        return normalise(images, self.mean, self.std)

    def _evaluation(self) -> nn.Module:
        size = self.card.image_shape[1]
        return nn.Sequential(v2.Resize(round(size * 8 / 7), v2.InterpolationMode.BICUBIC), v2.CenterCrop(size))

    def _training(self) -> nn.Module:
        cut = v2.RandomResizedCrop(self.card.image_shape[1], interpolation=v2.InterpolationMode.BICUBIC)
        steps: list[nn.Module] = [cut, v2.RandomHorizontalFlip(0.5 if self.card.flip else 0.0)]
        if self.colour_jitter:
            changes = [v2.ColorJitter(**{name: 0.4}) for name in ("brightness", "contrast", "saturation")]
            steps.append(v2.RandomOrder([*changes, RandomLighting()]))
        return nn.Sequential(*steps)

    def _loaded(self, files: _Files, indices: list[int], batch_size: int) -> Iterator[Batch]:
        loader = DataLoader(
            files,
            batch_size,
            sampler=indices,
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else a number is drawn from the global random state
        )
        for images, labels in loader:
            images = images.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
            yield self.normalise(images), labels.to(self.device, non_blocking=True)


class _Files(Dataset[tuple[Tensor, int]]):
    """What a worker process knows: index -> uint8 image [3, H, W] and label; ``seed`` is that of the pass."""

    def __init__(self, samples: list[Sample], transform: nn.Module, seed: int) -> None:
        self.samples, self.transform, self.seed = samples, transform, seed

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.samples[index]
        image = v2.functional.pil_to_tensor(read_image(path).convert("RGB"))
        with torch.random.fork_rng(devices=[]):  # matters where this is the main process
            torch.default_generator.manual_seed(self.seed + index)  # the CPU's alone
            return self.transform(image), label


class RandomLighting(nn.Module):
    """Add one random colour to all pixels of an image, along the directions in which colours vary.

    Component k is added with the factor α_k λ_k, where α_k is normal with deviation 0.1 and λ_k its variance.

    Source: Krizhevsky, Sutskever and Hinton 2012, section 4.1; part of the recipe of Hu et al. 2019 for ILSVRC.
    """

    COMPONENTS = torch.tensor([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    VARIANCES = torch.tensor([0.2175, 0.0188, 0.0045])  # of ILSVRC's pixels, where white is 1: published constants

    def forward(self, image: Tensor) -> Tensor:
        """Shift an image: uint8 [3, H, W], red, green and blue; levels beyond 0 or 255 are cut."""
        colour = self.COMPONENTS @ (0.1 * torch.randn(3) * self.VARIANCES)
        return (image + 255 * colour[:, None, None]).round().clamp(0, 255).to(torch.uint8)

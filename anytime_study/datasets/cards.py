"""The data sets by name, with a card each: what it holds, where it comes from, how to get it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from anytime_core.errors import InputError, did_you_mean
from anytime_study.datasets.card import DataCard, Reader
from anytime_study.datasets.fashion_variants import FAMILIES, PairReader, in_families, with_noise
from anytime_study.datasets.folders import folder_card
from anytime_study.datasets.readers import CifarReader, DigitsReader, IdxReader, SvhnReader
from anytime_study.datasets.svhn_train import SvhnTrainReader
from anytime_study.datasets.text import SHAKESPEARE, text_card


def find_card(name: str) -> DataCard:
    """The card of a data set.

    Args:
        name: A name in ``DATASETS``; or ``folder:PATH``, see :func:`folder_card`; or ``text:PATH``, see
            :func:`text_card`.

    Raises:
        InputError: there is no data set of this name; the message lists those there are.
    """
    if name.startswith("folder:"):
        return folder_card(name)
    if name.startswith("text:"):
        return text_card(name)
    if name not in DATASETS:
        known = ", ".join(DATASETS)
        hint = did_you_mean(name, DATASETS)
        raise InputError(f"data set: expected one of {known}, text:PATH or folder:PATH, found {name!r}{hint}")
    return DATASETS[name]


_DIGITS = tuple("0123456789")

_CIFAR100_CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal
shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""  # in the order of the file `meta`, which is alphabetical

_FASHION = DataCard(
    name="fashion-mnist",
    title="Fashion-MNIST",
    image_shape=(1, 28, 28),
    class_names=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    num_train=55_000,
    num_validation=5_000,
    num_test=10_000,
    flip=True,
    licence="MIT",
    reader=IdxReader(),
)


def _variant(name: str, title: str, reader: IdxReader, **changes: Any) -> DataCard:
    """The same garments with one thing changed; the files are Fashion-MNIST's."""
    return replace(_FASHION, name=name, title=title, reader=reader, made_of="fashion-mnist", **changes)


_CIFAR10 = DataCard(
    name="cifar10",
    title="CIFAR-10",
    image_shape=(3, 32, 32),
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    num_train=45_000,
    num_validation=5_000,
    num_test=10_000,
    flip=True,
    licence="none stated; the owners ask for the citation",
    reader=CifarReader("CIFAR10"),
)

_SVHN = DataCard(
    name="svhn",
    title="SVHN",
    image_shape=(3, 32, 32),
    class_names=_DIGITS,
    num_train=599_388,
    num_validation=5_000,
    num_test=26_032,
    flip=False,
    licence="non-commercial use only",
    reader=SvhnReader(),
)

_CARDS = (
    DataCard(
        name="digits",
        title="Optical digits",
        image_shape=(1, 8, 8),
        class_names=_DIGITS,
        num_train=1257,
        num_validation=180,
        num_test=360,
        flip=False,
        licence="CC BY 4.0",
        reader=DigitsReader(),
    ),
    _FASHION,
    _variant("fashion-noise-30", "Fashion-MNIST with noise of 0.3", IdxReader(partial(with_noise, sigma=0.3))),
    _variant("fashion-noise-60", "Fashion-MNIST with noise of 0.6", IdxReader(partial(with_noise, sigma=0.6))),
    _variant("fashion-coarse", "Fashion-MNIST in five families", IdxReader(in_families), class_names=FAMILIES),
    # a flip would exchange the places of the two garments, and with them the labels
    _variant("multi-fashion", "Pairs of garments of Fashion-MNIST", PairReader(), flip=False, num_tasks=2),
    _CIFAR10,
    replace(
        _CIFAR10,
        name="cifar100",
        title="CIFAR-100",
        class_names=tuple(_CIFAR100_CLASSES.split()),
        reader=CifarReader("CIFAR100"),
    ),
    _SVHN,
    replace(
        _SVHN,
        name="svhn-train",
        title="SVHN, training crops",
        num_train=58_257,
        num_test=10_000,
        reader=SvhnTrainReader(),
    ),
    SHAKESPEARE,
    DataCard(
        name="ilsvrc",
        title="ILSVRC 2012",
        image_shape=(3, 224, 224),
        class_names=tuple(f"class {number}" for number in range(1000)),
        num_train=1_231_167,
        num_validation=50_000,
        num_test=50_000,
        flip=True,
        licence="non-commercial research and education only; the owners ask for an account",
        reader=Reader(),
    ),
)

DATASETS: dict[str, DataCard] = {card.name: card for card in _CARDS}
"""Every data set by name, from few small images to many large ones."""

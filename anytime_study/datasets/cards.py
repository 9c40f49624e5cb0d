"""The data sets by name, with a card each: what it holds, where it comes from, how to get it."""

from __future__ import annotations

import difflib
from dataclasses import replace

from anytime_study.datasets.card import DataCard
from anytime_study.datasets.garments import FAMILIES, CoarseReader, NoisyReader, PairReader
from anytime_study.datasets.listing import FolderReader
from anytime_study.datasets.readers import CifarReader, DigitsReader, IdxReader, SvhnReader
from anytime_study.datasets.svhn_train import SvhnTrainReader


def find_card(name: str) -> DataCard:
    """The card of a data set.

    Raises:
        ValueError: there is no data set of this name; the message lists those there are.
    """
    if name not in DATASETS:
        close = difflib.get_close_matches(str(name), DATASETS, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(f"data set: expected one of {', '.join(DATASETS)}, found {name!r}{hint}")
    return DATASETS[name]


_DIGITS = tuple("0123456789")

_CIFAR_CITATION = (
    "Alex Krizhevsky. Learning Multiple Layers of Features from Tiny Images. Technical report, University of Toronto, "
    "2009."
)

_SVHN_CITATION = (
    "Yuval Netzer, Tao Wang, Adam Coates, Alessandro Bissacco, Bo Wu and Andrew Y. Ng. Reading Digits in "
    "Natural Images with Unsupervised Feature Learning. NIPS Workshop on Deep Learning and Unsupervised "
    "Feature Learning, 2011."
)

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
    source="https://github.com/zalandoresearch/fashion-mnist",
    licence="MIT",
    citation_key="xiao2017fashion",
    citation=(
        "Han Xiao, Kashif Rasul and Roland Vollgraf. Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine "
        "Learning Algorithms. arXiv:1708.07747, 2017."
    ),
    how_to_get=(
        "run `anytime fetch fashion-mnist`, or `apt-get install dataset-fashion-mnist` (Debian, Ubuntu), or put "
        "the four .gz files into <cache>/fashion-mnist"
    ),
    reader=IdxReader(),
)

# The same garments with one thing changed at a time; the files, and so how to get them, are Fashion-MNIST's.
_GARMENTS = (
    _FASHION,
    replace(
        _FASHION,
        name="fashion-noise-30",
        title="Fashion-MNIST with noise of 0.3",
        reader=NoisyReader(0.3),
        made_of="fashion-mnist",
    ),
    replace(
        _FASHION,
        name="fashion-noise-60",
        title="Fashion-MNIST with noise of 0.6",
        reader=NoisyReader(0.6),
        made_of="fashion-mnist",
    ),
    replace(
        _FASHION,
        name="fashion-coarse",
        title="Fashion-MNIST in five families",
        class_names=tuple(FAMILIES),
        reader=CoarseReader(_FASHION.class_names),
        made_of="fashion-mnist",
    ),
    replace(
        _FASHION,
        name="multi-fashion",
        title="Pairs of garments of Fashion-MNIST",
        flip=False,  # it would exchange the places, and with them the labels
        reader=PairReader(),
        made_of="fashion-mnist",
        num_tasks=2,
    ),
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
        source="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        licence="CC BY 4.0",
        citation_key="alpaydin1998optical",
        citation=(
            "Ethem Alpaydin and Cenk Kaynak. Optical Recognition of Handwritten Digits. UCI Machine Learning "
            "Repository, 1998. doi:10.24432/C50P49."
        ),
        how_to_get="nothing to do: the images come with scikit-learn",
        reader=DigitsReader(),
    ),
    *_GARMENTS,
    DataCard(
        name="cifar10",
        title="CIFAR-10",
        image_shape=(3, 32, 32),
        class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        num_train=45_000,
        num_validation=5_000,
        num_test=10_000,
        flip=True,
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        licence="none stated; the owners ask for the citation",
        citation_key="krizhevsky2009learning",
        citation=_CIFAR_CITATION,
        how_to_get=(
            "run `anytime fetch cifar10`, or unpack cifar-10-python.tar.gz into <cache>/cifar10, which then holds the "
            "folder cifar-10-batches-py"
        ),
        reader=CifarReader("CIFAR10"),
    ),
    DataCard(
        name="cifar100",
        title="CIFAR-100",
        image_shape=(3, 32, 32),
        class_names=tuple(_CIFAR100_CLASSES.split()),
        num_train=45_000,
        num_validation=5_000,
        num_test=10_000,
        flip=True,
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        licence="none stated; the owners ask for the citation",
        citation_key="krizhevsky2009learning",
        citation=_CIFAR_CITATION,
        how_to_get=(
            "run `anytime fetch cifar100`, or unpack cifar-100-python.tar.gz into <cache>/cifar100, which then holds "
            "the folder cifar-100-python"
        ),
        reader=CifarReader("CIFAR100"),
    ),
    DataCard(
        name="svhn",
        title="SVHN",
        image_shape=(3, 32, 32),
        class_names=_DIGITS,
        num_train=599_388,
        num_validation=5_000,
        num_test=26_032,
        flip=False,
        source="http://ufldl.stanford.edu/housenumbers/",
        licence="non-commercial use only",
        citation_key="netzer2011reading",
        citation=_SVHN_CITATION,
        how_to_get=(
            "run `anytime fetch svhn`, or put train_32x32.mat, extra_32x32.mat and test_32x32.mat into <cache>/svhn"
        ),
        reader=SvhnReader(),
    ),
    DataCard(
        name="svhn-train",
        title="SVHN, training crops",
        image_shape=(3, 32, 32),
        class_names=_DIGITS,
        num_train=58_257,
        num_validation=5_000,
        num_test=10_000,
        flip=False,
        source="http://ufldl.stanford.edu/housenumbers/",
        licence="non-commercial use only",
        citation_key="netzer2011reading",
        citation=_SVHN_CITATION,
        how_to_get="run `anytime fetch svhn-train`, or put train_32x32.mat into <cache>/svhn-train",
        reader=SvhnTrainReader(),
    ),
    DataCard(
        name="ilsvrc",
        title="ILSVRC 2012",
        image_shape=(3, 224, 224),
        class_names=tuple(f"class {number}" for number in range(1000)),
        num_train=1_231_167,
        num_validation=50_000,
        num_test=50_000,
        flip=True,
        source="https://image-net.org/challenges/LSVRC/2012/",
        licence="non-commercial research and education only; the owners ask for an account",
        citation_key="russakovsky2015imagenet",
        citation=(
            "Olga Russakovsky et al. ImageNet Large Scale Visual Recognition Challenge. International Journal of "
            "Computer Vision 115(3):211-252, 2015. doi:10.1007/s11263-015-0816-y."
        ),
        how_to_get=(
            "get ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from https://image-net.org, which asks for an "
            "account, and unpack them into <cache>/ilsvrc/train/<class>/ and <cache>/ilsvrc/val/<class>/, with one "
            "folder per class, such as n01440764; <cache>/ilsvrc may be a link"
        ),
        reader=FolderReader(published=True),
        streamed=True,
    ),
)

DATASETS: dict[str, DataCard] = {card.name: card for card in _CARDS}
"""Every data set by name, from few small images to many large ones."""

import numpy as np
import pytest
import torch

from anytime_study.datasets import fetch, load_dataset
from anytime_study.datasets.fashion_variants import overlaid, with_noise
from tests.study.datasets.conftest import fashion_mnist

NOISY = ["fashion-noise-30", "fashion-noise-60"]
DERIVED = [*NOISY, "fashion-coarse", "multi-fashion"]
SPLITS = ["train", "validation", "test"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder that holds Fashion-MNIST alone, with 600 training images, of which 100 are held out, and 200."""
    return fashion_mnist(tmp_path, monkeypatch, 500, 100, 200).cache


def parts(data):
    """Split -> images, labels."""
    return {split: (getattr(data, f"{split}_images"), getattr(data, f"{split}_labels")) for split in SPLITS}


def noisy(images, sigma, *, train=True):
    return with_noise((images, None), train, sigma=sigma)[0]


# --- noise ---------------------------------------------------------------------------------------------------------


def test_noise_is_that_of_the_published_data_set():
    """These values are part of the data set. If they change, records of the set are of another set: undo the change."""
    found = noisy(np.full((2, 1, 2, 2), 128, np.uint8), 0.1)
    assert found.flatten().tolist() == [136, 103, 166, 80, 149, 152, 63, 164]


def test_each_image_and_each_file_has_its_own_noise():
    grey = np.full((900, 1, 28, 28), 128, np.uint8)
    train, test = (noisy(grey, 0.1, train=train) for train in (True, False))
    assert len({image.tobytes() for image in np.concatenate([train, test])}) == 1800
    assert np.array_equal(train[:7], noisy(grey[:7], 0.1))  # whatever comes after an image
    assert grey.min() == grey.max() == 128


@pytest.mark.parametrize("name", NOISY)
def test_noisy_sets_are_the_clean_splits_with_the_noise_of_the_files(cache, name):
    clean, found = (parts(load_dataset(each, cache_dir=cache)) for each in ("fashion-mnist", name))
    order = np.random.default_rng(0).permutation(600)
    places = {"validation": order[:100], "train": order[100:], "test": np.arange(200)}
    sigma = int(name[-2:]) / 100
    for split in SPLITS:
        assert torch.equal(found[split][1], clean[split][1])
        in_file = np.empty((len(places[split]) if split == "test" else 600, 1, 28, 28), np.uint8)
        in_file[:] = 0
        in_file[places[split]] = clean[split][0].numpy()
        expected = noisy(in_file, sigma, train=split != "test")[places[split]]
        assert np.array_equal(found[split][0].numpy(), expected)


# --- families ------------------------------------------------------------------------------------------------------


def test_coarse_labels_name_the_family_of_the_garment(cache):
    fine, coarse = (load_dataset(name, cache_dir=cache) for name in ("fashion-mnist", "fashion-coarse"))
    families = {
        "Top": ("T-shirt/top", "Pullover", "Coat", "Shirt"),
        "Shoe": ("Sandal", "Sneaker", "Ankle boot"),
        **{name: (name,) for name in ("Trouser", "Dress", "Bag")},
    }
    by_hand = {name: family for family, names in families.items() for name in names}
    for split in SPLITS:
        (images, labels), (same_images, families) = parts(fine)[split], parts(coarse)[split]
        assert torch.equal(images, same_images)
        assert families.dtype == torch.int64
        names = [fine.class_names[label] for label in labels]
        assert [coarse.class_names[family] for family in families] == [by_hand[name] for name in names]
        assert set(names) == set(by_hand)


# --- pairs ---------------------------------------------------------------------------------------------------------


def test_overlaid_images_lie_in_their_corners_and_the_brighter_pixel_counts():
    left, right, black = (np.full((1, 1, 28, 28), level, np.uint8) for level in (100, 200, 0))
    (both,), (alone,), (other,) = overlaid(left, right)[0], overlaid(left, black)[0], overlaid(black, right)[0]
    # 28 pixels of 36 are 21.8 of 28; the right one begins at pixel 6.2
    assert (alone[:20, :20] == 100).all()
    assert alone[24:].max() == alone[:, 24:].max() == 0
    assert (other[8:, 8:] == 200).all()
    assert other[:4].max() == other[:, :4].max() == 0
    assert (both[8:, 8:] == 200).all()
    assert (both[:4, :20] == 100).all()
    assert both[24:, :4].max() == both[:4, 24:].max() == 0
    assert both.shape == (28, 28)


def test_pairs_are_made_within_a_split_of_fashion_mnist(cache):
    single, pairs = (parts(load_dataset(name, cache_dir=cache)) for name in ("fashion-mnist", "multi-fashion"))
    for stream, split in enumerate(SPLITS):
        (images, labels), (paired, both) = single[split], pairs[split]
        assert both.shape == (len(labels), 2)
        assert (both.dtype, paired.dtype, paired.shape) == (torch.int64, torch.uint8, images.shape)
        partner = np.random.default_rng([36, stream]).permutation(len(labels))
        assert torch.equal(both[:, 0], labels)
        assert torch.equal(both[:, 1], labels[partner])
        assert np.array_equal(paired.numpy(), overlaid(images.numpy(), images.numpy()[partner]))
        assert sorted(both[:, 1].tolist()) == sorted(labels.tolist())  # each garment once at either place


@pytest.mark.parametrize("name", DERIVED)
def test_a_smaller_training_set_is_the_beginning_of_a_larger_one(cache, name):
    size = 37
    full, part = load_dataset(name, cache_dir=cache), load_dataset(name, cache_dir=cache, train_size=size)
    assert torch.equal(part.train_images, full.train_images[:size])
    assert torch.equal(part.train_labels, full.train_labels[:size])
    for split in ("validation", "test"):
        assert all(map(torch.equal, parts(part)[split], parts(full)[split]))


@pytest.mark.parametrize("name", DERIVED)
def test_the_files_are_those_of_fashion_mnist(cache, name):
    assert fetch(name, cache) == cache / "fashion-mnist"
    assert [path.name for path in cache.iterdir()] == ["fashion-mnist"]

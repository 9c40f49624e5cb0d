from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anytime_study.datasets import load_dataset
from anytime_study.datasets.images import pixel_statistics

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def test_pixel_statistics_by_hand():
    images = torch.zeros((2, 2, 1, 2), dtype=torch.uint8)
    images[:, 0] = torch.tensor([0, 255])  # levels 0 and 1: mean 1/2, deviation 1/2
    images[:, 1] = 51  # one level, 1/5: the deviation stops at one grey level
    mean, std = pixel_statistics(images)
    assert mean.dtype == std.dtype == torch.float32
    torch.testing.assert_close(mean, torch.tensor([0.5, 0.2]))
    torch.testing.assert_close(std, torch.tensor([0.5, 1 / 255]))


def test_normalise_by_hand(digits):
    data = replace(digits, mean=torch.tensor([0.5]), std=torch.tensor([0.25]))
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 1, 3)
    torch.testing.assert_close(data.normalise(images).flatten(), torch.tensor([-2.0, -1.2, 2.0]))
    assert images.flatten().tolist() == [0, 51, 255]


@pytest.mark.parametrize("images", [torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8)])
def test_normalise_refuses_other_images(digits, images):
    with pytest.raises(ValueError, match=r"images: expected uint8 \[N, 1, H, W\], found"):
        digits.normalise(images)


# --- the digits of scikit-learn ------------------------------------------------------------------------------------


def test_every_digit_is_in_one_split_with_its_levels_and_its_label(digits):
    from sklearn.datasets import load_digits

    original = load_digits()
    # round(x · 255 / 16) for x = 0 … 16, by hand
    levels = np.array([0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255], np.uint8)
    pairs = zip(original.images, original.target, strict=True)
    expected = {levels[image.astype(int)].tobytes(): label for image, label in pairs}
    found = {}
    for split, size in zip(SPLITS, (1257, 180, 360), strict=True):
        images, labels = getattr(digits, f"{split}_images"), getattr(digits, f"{split}_labels")
        assert (images.shape, images.dtype, labels.dtype) == ((size, 1, 8, 8), torch.uint8, torch.int64)
        share = labels.bincount() / size  # 174 to 183 of the 1797 images show each digit
        assert share.min() > 174 / 1797 - 1 / size
        assert share.max() < 183 / 1797 + 1 / size
        found |= {image.numpy().tobytes(): int(label) for image, label in zip(images, labels, strict=True)}
    assert found == expected
    assert len(found) == len(original.target)


@given(size=st.integers(1, 1257))
@settings(max_examples=25, deadline=None)
def test_a_smaller_training_set_is_the_beginning_of_a_larger_one(size):
    full, part = load_dataset("digits"), load_dataset("digits", train_size=size)
    assert torch.equal(part.train_images, full.train_images[:size])
    assert torch.equal(part.train_labels, full.train_labels[:size])
    assert torch.equal(part.validation_images, full.validation_images)
    assert torch.equal(part.test_images, full.test_images)


@pytest.mark.parametrize("size", [0, -1, 1258, 10.5])
def test_an_impossible_training_size_is_refused(size):
    with pytest.raises(ValueError, match=f"train_size: expected 1 to 1257 for digits, found {size}"):
        load_dataset("digits", train_size=size)


# --- batches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", SPLITS)
def test_evaluation_goes_through_a_split_once_in_its_order_normalised(split):
    data = load_dataset("digits", train_size=30)
    batches = list(data.batches(split, 64))
    assert all(len(labels) == 64 for _, labels in batches[:-1])
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert torch.equal(images, data.normalise(getattr(data, f"{split}_images")))
    assert torch.equal(labels, getattr(data, f"{split}_labels"))


def passed(data, **options):
    order, crops = (torch.Generator().manual_seed(seed) for seed in (1, 2))
    return list(data.train_batches(8, order=order, crops=crops, **{"augment": False, **options}))


def same(batches, others):
    return all(torch.equal(*parts) for pair in zip(batches, others, strict=True) for parts in zip(*pair, strict=True))


def test_a_pass_shows_each_image_once_but_those_of_the_last_incomplete_batch():
    data = load_dataset("digits", train_size=50)
    whole = passed(data)
    assert [len(labels) for _, labels in whole] == [8] * 6
    seen = {image.numpy().tobytes() for images, _ in whole for image in images}
    assert len(seen) == 48
    assert seen < {image.numpy().tobytes() for image in data.normalise(data.train_images)}


@pytest.mark.parametrize("skip", [1, 5, 6])
def test_a_pass_that_goes_on_leaves_out_its_first_batches_and_nothing_else(skip):
    data = load_dataset("digits", train_size=50)
    assert same(passed(data, skip=skip), passed(data)[skip:])


def test_two_processes_share_the_batches_that_one_would_see():
    data = load_dataset("digits", train_size=50)
    shares = [passed(data, augment=True, share=(rank, 2)) for rank in range(2)]
    together = [tuple(map(torch.cat, zip(*parts, strict=True))) for parts in zip(*shares, strict=True)]
    assert same(together, passed(data, augment=True))

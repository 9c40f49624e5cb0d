from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import pad as zero_pad

from anytime_study.datasets.augment import random_crop_flip


def generator(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def random_images(count, channels, height, width, seed=0):
    # 1 … 255, so that a zero can only come from the padding
    return torch.randint(1, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator(seed))


def windows(image, pad, flip):
    """Every (top, left, mirrored) -> crop of one image [C, H, W], cut out by slices."""
    _, height, width = image.shape
    padded = zero_pad(image, (pad, pad, pad, pad))
    found = {}
    for top in range(2 * pad + 1):
        for left in range(2 * pad + 1):
            crop = padded[:, top : top + height, left : left + width]
            found[top, left, False] = crop
            if flip:
                found[top, left, True] = crop.flip(2)
    return found


def choices(images, crops, pad, flip):
    """Which window each crop is, of images that are no smaller than the padding."""
    chosen = []
    for image, crop in zip(images, crops, strict=True):
        matches = [key for key, window in windows(image, pad, flip).items() if torch.equal(window, crop)]
        assert len(matches) == 1
        chosen.append(matches[0])
    return chosen


@given(
    channels=st.integers(1, 4),
    height=st.integers(3, 9),
    width=st.integers(3, 9),
    pad=st.integers(0, 3),
    flip=st.booleans(),
    seed=st.integers(0, 2**31),
)
@settings(deadline=None)
def test_every_crop_is_one_window_of_its_own_padded_image(channels, height, width, pad, flip, seed):
    images = random_images(3, channels, height, width, seed)
    before = images.clone()
    crops = random_crop_flip(images, pad=pad, flip=flip, generator=generator(seed))
    assert torch.equal(images, before)
    assert (crops.shape, crops.dtype) == (images.shape, torch.uint8)
    assert crops.is_contiguous(memory_format=torch.channels_last)
    for image, crop in zip(images, crops, strict=True):
        assert any(torch.equal(crop, window) for window in windows(image, pad, flip).values())


def test_windows_are_uniform_and_images_independent():
    pad, count = 1, 3600
    images = random_images(1, 1, 4, 4).expand(count, 1, 4, 4)
    chosen = choices(images, random_crop_flip(images, pad=pad, flip=True, generator=generator()), pad, flip=True)
    counts = torch.tensor([chosen.count(key) for key in windows(images[0], pad, flip=True)], dtype=torch.float64)
    # 18 windows, 200 each: chi-square with 17 degrees of freedom exceeds 40.8 once in a thousand seeds
    assert ((counts - 200) ** 2 / 200).sum() < 40.8
    # Neighbours in the batch: their windows agree as often as independent ones do, 200 ± 4·13.7 times
    agreements = sum(first == second for first, second in pairwise(chosen))
    assert abs(agreements - 200) < 55


def test_the_generator_alone_decides():
    images = random_images(32, 1, 8, 8)
    source = generator(5)
    first = random_crop_flip(images, pad=2, flip=True, generator=source)
    second = random_crop_flip(images, pad=2, flip=True, generator=source)
    torch.manual_seed(1)  # the global generator has no say
    again = random_crop_flip(images, pad=2, flip=True, generator=generator(5))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_no_padding_and_no_flip_changes_and_draws_nothing():
    images, source = random_images(5, 3, 4, 4), generator()
    state = source.get_state()
    crops = random_crop_flip(images, pad=0, flip=False, generator=source)
    assert torch.equal(crops, images)
    assert crops.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(source.get_state(), state)


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (torch.zeros(2, 1, 4, 4), r"torch.float32 \[2, 1, 4, 4\]"),
        (torch.zeros(1, 4, 4, dtype=torch.uint8), r"torch.uint8 \[1, 4, 4\]"),
    ],
)
def test_other_types_and_shapes_are_refused(images, found):
    with pytest.raises(ValueError, match=rf"images: expected uint8 \[N, C, H, W\], found {found}"):
        random_crop_flip(images, pad=1, flip=True, generator=generator())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_nothing_waits_for_the_device():
    images, source = random_images(64, 3, 32, 32).cuda(), generator(0, "cuda")
    random_crop_flip(images, pad=4, flip=True, generator=source)  # warm up: the first call may set things up
    torch.cuda.set_sync_debug_mode("error")
    try:
        crops = random_crop_flip(images, pad=4, flip=True, generator=source)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert crops.is_cuda
    choices(images.cpu(), crops.cpu(), 4, flip=True)

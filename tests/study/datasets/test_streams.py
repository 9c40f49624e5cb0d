"""ILSVRC's way: images that are read from their files batch by batch. The set itself is not here."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from anytime_study.datasets import DATASETS, DatasetError, fetch, load_dataset
from anytime_study.datasets.streams import IMAGENET_MEAN, IMAGENET_STD, RandomLighting, _Files
from anytime_study.runs.config import RunConfig
from anytime_study.training.loop import train
from tests.study.datasets.test_folders import fill, write

MEAN, STD = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """ILSVRC with two classes of 7 training images (1 held out) and 2 test images, cut to 16 × 16."""
    card = replace(DATASETS["ilsvrc"], image_shape=(3, 16, 16), class_names=("0", "1"))
    monkeypatch.setitem(DATASETS, "ilsvrc", replace(card, num_train=12, num_validation=2, num_test=4))
    fill(tmp_path / "ilsvrc", {"train": 7, "val": 2})
    return tmp_path


@pytest.fixture
def stream(cache):
    return load_dataset("ilsvrc", cache_dir=cache)


def together(batches):
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


def passed(stream, seed=0, *, batch_size=4, augment=True, **options):
    order = torch.Generator().manual_seed(seed)
    return together(stream.train_batches(batch_size, order=order, augment=augment, **options))


def equal(found, expected):
    return all(map(torch.equal, found, expected))


def test_what_a_stream_knows(stream):
    assert [len(part) for part in (stream.train, stream.validation, stream.test)] == [12, 2, 4]
    assert sorted(label for _, label in stream.validation) == [0, 1]  # one of each class
    assert stream.class_names == ("ant", "bee")


def test_each_image_comes_once_in_a_pass_and_with_its_label(stream):
    images, labels = passed(stream, augment=False)
    plain, plain_labels = together(stream.batches("train", 5))
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    where = [int((plain == image).flatten(1).all(1).nonzero()) for image in images]
    assert sorted(where) == list(range(12))
    assert where != list(range(12))
    assert torch.equal(plain_labels[where], labels)


def test_the_order_and_the_crops_of_a_pass_follow_from_its_generator(stream):
    first = passed(stream)
    assert equal(passed(stream), first)
    assert not torch.equal(passed(stream, seed=1)[0], first[0])
    order = torch.Generator().manual_seed(0)
    passes = [together(stream.train_batches(4, order=order, augment=True))[0] for _ in range(2)]
    assert torch.equal(passes[0], first[0])
    assert not torch.equal(passes[1], first[0])


def test_neither_workers_nor_batches_change_an_image(stream):
    first = passed(stream)
    assert equal(passed(replace(stream, workers=2)), first)
    assert equal(passed(stream, batch_size=6), first)


def test_a_pass_that_goes_on_and_shares_of_a_batch(stream):
    images, labels = passed(stream)
    assert equal(passed(stream, skip=2), (images[8:], labels[8:]))
    halves = [passed(stream, share=(rank, 2))[0].view(3, 2, 3, 16, 16) for rank in range(2)]
    assert torch.equal(torch.cat(halves, 1).flatten(0, 1), images)


def test_workers_may_be_started_afresh(stream):
    """macOS starts workers by pickling what they need."""
    files = _Files(stream.train, stream._training(), 7)
    (image, label), (same, same_label) = files[3], pickle.loads(pickle.dumps(files))[3]
    assert torch.equal(image, same)
    assert label == same_label


def test_other_random_states_are_left_alone(stream):
    before = torch.get_rng_state()
    first = passed(stream)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert equal(passed(stream), first)


def test_evaluation_shows_the_middle_by_hand(cache):
    """A square of 64 with a white cross: scaled to 18, cut to 16, the cross stays in the middle."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[28:36] = pixels[:, 28:36] = 255
    Image.fromarray(pixels).save(cache / "ilsvrc" / "val" / "ant" / "000.JPEG", "PNG")  # ILSVRC has one of these too
    images, labels = together(load_dataset("ilsvrc", cache_dir=cache).batches("test", 3))
    assert labels.tolist() == [0, 0, 1, 1]
    image = (images[0] * STD + MEAN).mean(0)
    assert image[7:9].min() > 0.95
    assert image[:, 7:9].min() > 0.95
    assert image[:6, :6].max() < 0.05


def test_windows_have_the_area_and_aspect_of_the_recipe(cache):
    """Each pixel tells its place, so a window's corners tell where it was cut."""
    rows, columns = np.mgrid[0:128, 0:128].astype(np.uint8)
    for path in (cache / "ilsvrc" / "train").rglob("*.JPEG"):
        Image.fromarray(np.stack([rows * 2, columns * 2, 0 * rows], -1)).save(path, "PNG")
    stream = load_dataset("ilsvrc", cache_dir=cache)
    images = torch.cat([passed(stream, seed)[0] for seed in range(8)]) * STD + MEAN
    height = (images[:, 0, -1, 8] - images[:, 0, 0, 8]) * 255 / 2 * 16 / 15
    width = (images[:, 1, 8, -1] - images[:, 1, 8, 0]) * 255 / 2 * 16 / 15
    area, aspect = height * width.abs() / 128**2, width.abs() / height
    assert 0.06 < area.min() < 0.3
    assert 0.7 < area.max() < 1.05
    assert 0.7 < aspect.min() < 0.9
    assert 1.1 < aspect.max() < 1.42
    assert 0.3 < (width < 0).float().mean() < 0.7  # mirrored


def test_colours_change_only_if_asked(cache):
    for path in (cache / "ilsvrc" / "train").rglob("*.JPEG"):
        write(path, (120, 60, 200), format="PNG")
    stream = load_dataset("ilsvrc", cache_dir=cache)
    colour = (torch.tensor([120, 60, 200]).view(3, 1, 1) / 255 - MEAN) / STD
    torch.testing.assert_close(passed(stream)[0], colour.expand(12, 3, 16, 16), rtol=0, atol=1e-5)
    jittered, _ = passed(load_dataset("ilsvrc", cache_dir=cache, colour_jitter=True))
    assert len({tuple(image[:, 0, 0].tolist()) for image in jittered}) == 12


def test_lighting_adds_one_colour_along_the_components():
    """With α = 1 for the first component alone: 255 · 0.2175 · (−0.5675, −0.5808, −0.5836), by hand."""
    torch.manual_seed(0)
    images = torch.full((2000, 3, 1, 1), 128, dtype=torch.uint8)
    shifts = torch.stack([RandomLighting()(image).flatten().double() - 128 for image in images])
    components = RandomLighting.COMPONENTS.double()
    deviation = (shifts @ components).std(0) / 255  # along each component, which are orthonormal
    torch.testing.assert_close(deviation[0], torch.tensor(0.02175).double(), rtol=0.06, atol=0)
    assert deviation[1] < deviation[0] / 5  # of rounding, mostly
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn", lambda _: torch.tensor([10.0, 0, 0]))
        assert RandomLighting()(images[0]).flatten().tolist() == [97, 96, 96]


def test_first_images_are_those_of_the_files(stream):
    images, labels = stream.first_images(3)
    expected, expected_labels = next(stream.batches("train", 3))
    assert (images.dtype, images.shape) == (torch.uint8, (3, 3, 16, 16))
    assert torch.equal(labels, expected_labels)
    torch.testing.assert_close((images.float() / 255 - MEAN) / STD, expected, atol=1e-5, rtol=1e-5)


def test_a_run_trains_and_scores_on_a_stream(cache, monkeypatch):
    """The whole path: config, batches, trainer, record; with and without worker processes, and with other colours."""
    monkeypatch.setenv("ANYTIME_DATA", str(cache))
    small = {"dataset": "ilsvrc", "network": "resann(n=1, c=4)", "batch_size": 4, "epochs": 2, "device": "cpu"}
    first, workers, varied = (
        train(RunConfig(**small, **more), progress=False) for more in ({}, {"workers": 2}, {"colour_jitter": True})
    )
    assert first.results()["test"] == workers.results()["test"]
    assert first.name == workers.name  # workers say where, not what
    assert varied.epoch_losses != first.epoch_losses


def test_a_damaged_image_is_named(cache, stream):
    path = cache / "ilsvrc" / "val" / "bee" / "001.JPEG"
    path.write_bytes(path.read_bytes()[:-100])
    for workers in (0, 1):
        with pytest.raises(DatasetError, match=r"001.JPEG: no image that can be read .*truncated"):
            list(replace(stream, workers=workers).batches("test", 3))


def test_what_is_absent_or_incomplete_is_explained(cache, tmp_path):
    with pytest.raises(DatasetError, match=r"^ILSVRC 2012: .*by hand.*asks for an account"):
        fetch("ilsvrc", tmp_path / "empty")
    assert fetch("ilsvrc", cache) == cache / "ilsvrc"
    (cache / "ilsvrc" / "train" / "ant" / "003.JPEG").unlink()
    with pytest.raises(DatasetError, match=r"expected \[2, 12, 2, 4\] .*, found \[2, 11, 2, 4\]") as caught:
        load_dataset("ilsvrc", cache_dir=cache)
    assert "remove" not in str(caught.value)  # nobody shall delete 155 GB because of one image

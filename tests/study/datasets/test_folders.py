import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anytime_study.datasets import DATASETS, DatasetError, ImageStream, fetch, load_dataset, load_folder
from anytime_study.datasets.batches import first_images
from anytime_study.datasets.listing import FolderReader
from anytime_study.datasets.streams import IMAGENET_MEAN, IMAGENET_STD, _Samples
from anytime_study.runs.config import RunConfig
from anytime_study.training.loop import train

CLASSES = ("ant", "bee")
MEAN, STD = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))


def write(path, colour=None, *, size=(24, 20), seed=0, **options):
    """An image of one colour, or of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if colour is not None:
        pixels[:] = colour
    Image.fromarray(pixels).save(path, **options)


def fill(root, counts, *, suffix=".JPEG"):
    """``counts``: part -> images of each class. Seeds differ, so no two images are alike."""
    seed = 0
    for part, count in counts.items():
        for name in CLASSES:
            for number in range(count):
                seed += 1
                write(root / part / name / f"{number:03d}{suffix}", seed=seed)
    return root


def together(batches):
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


def passed(stream, seed=0, *, batch_size=4, augment=True, workers=0):
    generator = torch.Generator().manual_seed(seed)
    return together(stream.train_batches(batch_size, generator=generator, augment=augment, workers=workers))


# --- streamed ------------------------------------------------------------------------------------------------------


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


def test_the_card_is_that_of_the_challenge():
    card = DATASETS["ilsvrc"]
    assert card.streamed
    assert not any(other.streamed for other in DATASETS.values() if other is not card)
    assert (card.num_classes, card.image_shape) == (1000, (3, 224, 224))
    assert (card.num_train + card.num_validation, card.num_test) == (1_281_167, 50_000)
    assert card.num_validation == 1000 * 50  # FolderReader holds out 50 of each class


def test_naming_the_set_loads_no_heavy_package():
    code = (
        "import sys; from anytime_study.datasets import DATASETS, ImageStream, load_folder, find_card;"
        "find_card('ilsvrc').streamed; print({'torch', 'torchvision', 'numpy', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_a_stream_knows(stream):
    assert isinstance(stream, ImageStream)
    assert (stream.num_train, stream.class_names, stream.device.type) == (12, CLASSES, "cpu")
    assert [len(part.labels) for part in (stream.train, stream.validation, stream.test)] == [12, 2, 4]
    assert stream.validation.labels.sort() is None
    assert stream.validation.labels.tolist() == [0, 1]  # one of each class
    paths = [part.path(stream.root, i) for part in (stream.train, stream.validation) for i in range(len(part.labels))]
    assert sorted(paths) == sorted((stream.root / "train").rglob("*.JPEG"))
    assert repr(stream).startswith("ImageStream(card=DataCard(name='ilsvrc'")
    assert len(repr(stream)) < 2000


def test_batches_of_a_pass(stream):
    batches = list(stream.train_batches(5, generator=torch.Generator().manual_seed(0), augment=True, workers=0))
    assert len(batches) == 2  # 12 images: the last 2 are left out
    for images, labels in batches:
        assert (images.shape, images.dtype) == ((5, 3, 16, 16), torch.float32)
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert (labels.shape, labels.dtype) == ((5,), torch.int64)


def test_each_image_comes_once_in_a_pass_and_with_its_label(stream):
    images, labels = passed(stream, augment=False)
    plain, plain_labels = together(stream.evaluation_batches("train", 5, 0))
    assert len(plain) == 12
    where = [int((plain == image).flatten(1).all(1).nonzero()) for image in images]
    assert sorted(where) == list(range(12))
    assert where != list(range(12))
    assert torch.equal(plain_labels[where], labels)
    assert sorted(labels.tolist()) == [0] * 6 + [1] * 6


def test_the_generator_decides_all(stream):
    images, labels = passed(stream)
    again, same = passed(stream)
    assert torch.equal(images, again)
    assert torch.equal(labels, same)
    assert not torch.equal(images, passed(stream, seed=1)[0])
    generator = torch.Generator().manual_seed(0)
    first, second = (
        together(stream.train_batches(4, generator=generator, augment=True, workers=0))[0] for _ in range(2)
    )
    assert torch.equal(first, images)
    assert not torch.equal(second, images)  # a new pass has a new order and new crops


def test_neither_workers_nor_batches_change_an_image(stream):
    images, labels = passed(stream)
    for options in ({"workers": 2}, {"batch_size": 6}, {"batch_size": 3, "workers": 1}):
        others, same = passed(stream, **options)
        assert torch.equal(images, others), options
        assert torch.equal(labels, same)


def test_a_pass_that_goes_on_leaves_out_its_first_batches_and_nothing_else(stream):
    def batches(skip):
        generator = torch.Generator().manual_seed(3)
        return list(stream.train_batches(4, generator=generator, augment=True, workers=0, skip=skip))

    whole, rest = batches(0), batches(2)
    assert len(rest) == len(whole) - 2 > 0
    for (images, labels), (same_images, same_labels) in zip(rest, whole[2:], strict=True):
        assert torch.equal(images, same_images)
        assert torch.equal(labels, same_labels)


def test_workers_may_be_started_afresh(stream):
    """macOS starts workers by pickling what they need."""
    samples = _Samples(stream, stream.train, 7)
    (image, label), (same, same_label) = samples[3], pickle.loads(pickle.dumps(samples))[3]
    assert torch.equal(image, same)
    assert label == same_label


def test_other_random_states_are_left_alone(stream):
    torch.manual_seed(3)
    np.random.seed(3)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    images, _ = passed(stream)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpy_before).all()
    torch.manual_seed(4)
    assert torch.equal(passed(stream)[0], images)


def test_a_pass_that_is_left_early_has_drawn_all_it_draws(stream):
    states = []
    for used in (0, 1, 3):
        generator = torch.Generator().manual_seed(0)
        batches = stream.train_batches(4, generator=generator, augment=True, workers=0)
        for _ in range(used):
            next(batches)
        states.append(generator.get_state())
    assert all(torch.equal(state, states[0]) for state in states)


def test_evaluation_by_hand(cache):
    """24 × 20 becomes 22 × 18 (short side 16 · 8/7), and the middle 16 × 16 of it is shown; one colour stays itself."""
    write(cache / "ilsvrc" / "val" / "ant" / "000.JPEG", (255, 0, 0), quality=100, subsampling=0)
    stream = load_dataset("ilsvrc", cache_dir=cache)
    images, labels = together(stream.evaluation_batches("test", 3, 0))
    assert (images.shape, labels.tolist()) == ((4, 3, 16, 16), [0, 0, 1, 1])
    red = (torch.tensor([1.0, 0, 0]).view(3, 1, 1) - MEAN) / STD
    torch.testing.assert_close(images[0], red.expand(3, 16, 16), rtol=0, atol=2 / 255 / min(IMAGENET_STD))
    workers, _ = together(stream.evaluation_batches("test", 2, 1))
    assert torch.equal(images, workers)


def test_the_middle_is_shown(cache):
    """A square of 64 with a white cross: scaled to 18, cut to 16, the cross stays in the middle."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[28:36] = pixels[:, 28:36] = 255
    Image.fromarray(pixels).save(cache / "ilsvrc" / "val" / "ant" / "000.JPEG", "PNG")  # ILSVRC has one of these too
    image = load_dataset("ilsvrc", cache_dir=cache).evaluation_batches("test", 1, 0)
    image = (next(image)[0][0] * STD + MEAN).mean(0)
    assert image[7:9].min() > 0.95
    assert image[:, 7:9].min() > 0.95
    assert image[:6, :6].max() < 0.05
    torch.testing.assert_close(image, image.flip(0), rtol=0, atol=0.02)


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
    unflipped = replace(stream, card=replace(stream.card, flip=False))
    images = passed(unflipped)[0]
    assert (images[:, 1, 8, -1] > images[:, 1, 8, 0]).all()


def test_colours_change_only_if_asked(cache):
    for path in (cache / "ilsvrc" / "train").rglob("*.JPEG"):
        write(path, (120, 60, 200), format="PNG")
    stream = load_dataset("ilsvrc", cache_dir=cache)
    colour = (torch.tensor([120, 60, 200]).view(3, 1, 1) / 255 - MEAN) / STD
    torch.testing.assert_close(passed(stream)[0], colour.expand(12, 3, 16, 16), rtol=0, atol=1e-5)
    jittered, _ = passed(replace(stream, colour_jitter=True))
    assert len({tuple(image[:, 0, 0].tolist()) for image in jittered}) == 12
    assert torch.equal(jittered, passed(replace(stream, colour_jitter=True), workers=1)[0])


def test_a_smaller_training_set_is_the_beginning_of_a_larger_one(cache, stream):
    part = load_dataset("ilsvrc", cache_dir=cache, train_size=5)
    assert part.num_train == 5
    assert part.train.files.tolist() == stream.train.files[:5].tolist()
    assert part.validation.files.tolist() == stream.validation.files.tolist()
    with pytest.raises(ValueError, match="train_size: expected 1 to 12 for ilsvrc, found 13"):
        load_dataset("ilsvrc", cache_dir=cache, train_size=13)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size: expected 1 to the 12 training images, found 0"),
        ({"batch_size": 13}, "batch_size: expected 1 to the 12 training images, found 13"),
        ({"workers": -1}, "workers: expected 0 or more, found -1"),
    ],
)
def test_impossible_batches_are_refused_at_once(stream, options, message):
    with pytest.raises(ValueError, match=message):
        stream.train_batches(**{"batch_size": 4, "workers": 0, **options}, generator=torch.Generator(), augment=True)
    with pytest.raises(ValueError, match="split: expected train, validation or test, found 'val'"):
        stream.evaluation_batches("val", 4, 0)
    with pytest.raises(ValueError, match="batch_size: expected at least 1, found 0"):
        stream.evaluation_batches("test", 0, 0)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def no_image(path):
    path.write_text("<html>not found</html>")


def test_a_run_trains_and_scores_on_a_stream(cache, monkeypatch):
    """The whole path: config, batches, trainer, record; twice, with and without worker processes."""
    monkeypatch.setenv("ANYTIME_DATA", str(cache))
    small = {"dataset": "ilsvrc", "network": "resann(n=1, c=4)", "batch_size": 4, "epochs": 2, "device": "cpu"}
    records = [train(RunConfig(**small, workers=workers), progress=False) for workers in (0, 2)]
    assert records[0].results()["test"] == records[1].results()["test"]
    assert records[0].name == records[1].name  # workers say where, not what
    assert all(0 <= error <= 1 for error in records[0].test.error)
    assert records[0].config.steps_per_epoch == 3


def test_a_run_may_vary_the_colours(cache, monkeypatch):
    monkeypatch.setenv("ANYTIME_DATA", str(cache))
    small = {"dataset": "ilsvrc", "network": "resann(n=1, c=4)", "batch_size": 4, "epochs": 1, "device": "cpu"}
    plain, varied = (train(RunConfig(**small, colour_jitter=jitter), progress=False) for jitter in (False, True))
    assert plain.epoch_losses != varied.epoch_losses


def test_the_first_images_are_those_of_the_files(cache, stream):
    images, labels = first_images(stream, 3)
    expected, expected_labels = next(stream.evaluation_batches("train", 3, 0))
    assert (images.dtype, images.shape) == (torch.uint8, (3, 3, 16, 16))
    assert torch.equal(labels, expected_labels)
    torch.testing.assert_close((images.float() / 255 - MEAN) / STD, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("damage", "problem"), [(truncate, "truncated"), (no_image, "cannot identify"), (Path.unlink, "missing")]
)
def test_a_damaged_image_is_named(cache, stream, damage, problem, workers):
    path = cache / "ilsvrc" / "val" / "bee" / "001.JPEG"
    damage(path)
    batches = stream.evaluation_batches("test", 3, workers)
    next(batches)
    with pytest.raises(DatasetError, match=problem) as caught:
        next(batches)
    message = str(caught.value)
    assert message.startswith(f"ILSVRC 2012: {path}: ")
    assert "put a sound copy of this file in its place" in message
    assert "Traceback" not in message


@pytest.mark.parametrize("action", [fetch, lambda name, folder: load_dataset(name, cache_dir=folder)])
def test_an_absent_set_is_explained(tmp_path, action):
    with pytest.raises(DatasetError) as caught:
        action("ilsvrc", tmp_path)
    message = str(caught.value)
    assert message.startswith(f"ILSVRC 2012: {tmp_path / 'ilsvrc'}: absent")
    assert "asks for an account" in message
    assert f"{tmp_path / 'ilsvrc'}/train/<class>/" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "place", "problem"),
    [
        (lambda root: shutil.rmtree(root / "val"), "val", "there is no such folder"),
        (lambda root: shutil.rmtree(root / "train"), "train", "there is no such folder"),
        (lambda root: shutil.rmtree(root / "val" / "bee"), "val", "the class folder bee is in train and not in val"),
        (lambda root: shutil.rmtree(root / "train" / "ant"), "val", "class folder ant is in val and not in train"),
        (lambda root: [f.unlink() for f in (root / "val" / "bee").iterdir()], "val/bee", "it has no image"),
        (lambda root: shutil.rmtree(root / "val") or (root / "val").mkdir(), "val", "it has no class folders"),
        (lambda root: (root / "train/ant/003.JPEG").unlink(), ".", "expected 14 images in train.*, found 13, 2 and 4"),
        (lambda root: [shutil.rmtree(root / part / "ant") for part in ("val", "train")], ".", "expected 2 class"),
    ],
)
def test_incomplete_folders_are_named(cache, damage, place, problem):
    damage(cache / "ilsvrc")
    with pytest.raises(DatasetError, match=problem) as caught:
        load_dataset("ilsvrc", cache_dir=cache)
    assert str(caught.value).startswith(f"ILSVRC 2012: {cache / 'ilsvrc' / place}: ")
    assert "get ILSVRC2012_img_train.tar" in str(caught.value)
    assert "remove" not in str(caught.value)  # nobody shall delete 155 GB because of one folder


def test_fetch_finds_the_folder_that_was_put_there(cache):
    assert fetch("ilsvrc", cache) == cache / "ilsvrc"
    (cache / "ilsvrc" / "test").mkdir()  # the owners' test images have no labels
    assert fetch("ilsvrc", cache) == cache / "ilsvrc"


def test_fifty_of_each_class_are_held_out_and_a_tenth_of_small_ones(tmp_path):
    for name, count in {"big": 600, "small": 80, "tiny": 3}.items():
        (tmp_path / "train" / name).mkdir(parents=True)
        for number in range(count):
            (tmp_path / "train" / name / f"{number}.JPEG").touch()
        write(tmp_path / "val" / name / "0.JPEG")
    splits = FolderReader(published=True).splits(tmp_path)
    assert np.bincount(splits.validation.labels).tolist() == [50, 8, 1]
    assert np.bincount(splits.train.labels).tolist() == [550, 72, 2]


# --- one's own images, in memory -----------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path):
    return fill(tmp_path / "photos", {"": 10}, suffix=".png")


def everything(data):
    parts = [(getattr(data, f"{split}_images"), getattr(data, f"{split}_labels")) for split in SPLITS]
    return torch.cat([images for images, _ in parts]), torch.cat([labels for _, labels in parts])


SPLITS = ("train", "validation", "test")


def test_one_folder_is_split_by_class(photos):
    data = load_folder(photos, size=8)
    assert [getattr(data, f"{split}_labels").bincount().tolist() for split in SPLITS] == [[7, 7], [1, 1], [2, 2]]
    card = data.card
    assert (card.num_train, card.num_validation, card.num_test) == (14, 2, 4)
    assert (card.name, card.class_names, card.image_shape, card.flip) == ("photos", CLASSES, (3, 8, 8), False)
    assert not card.streamed
    images, _ = everything(data)
    assert (images.dtype, images.shape) == (torch.uint8, (20, 3, 8, 8))
    assert len({image.numpy().tobytes() for image in images}) == 20  # no image is in two splits
    assert data.train_labels.tolist() != sorted(data.train_labels.tolist())
    assert data.normalise(data.train_images).mean().abs() < 1e-5


def test_the_split_is_fixed_and_a_smaller_training_set_is_its_beginning(photos):
    torch.manual_seed(1)
    np.random.seed(1)
    full, part = load_folder(photos, size=8), load_folder(str(photos), size=8, train_size=5)
    assert torch.equal(part.train_images, full.train_images[:5])
    assert torch.equal(part.test_images, full.test_images)
    assert torch.equal(part.validation_labels, full.validation_labels)


@pytest.mark.parametrize(
    ("counts", "sizes"),
    [
        ({"train": 8, "val": 3, "test": 2}, [16, 6, 4]),
        ({"train": 8, "val": 3}, [14, 2, 6]),  # val is the test set, as for ILSVRC; an eighth is held out
        ({"train": 8, "test": 3}, [14, 2, 6]),
        ({"train": 10}, [14, 2, 4]),
        ({"": 3}, [2, 2, 2]),  # at least one of each class everywhere
    ],
)
def test_folders_that_are_split_already(tmp_path, counts, sizes):
    data = load_folder(fill(tmp_path, counts), size=8)
    assert [len(getattr(data, f"{split}_labels")) for split in SPLITS] == sizes
    assert len({image.numpy().tobytes() for image in everything(data)[0]}) == sum(sizes)


def test_images_may_lie_deeper_and_the_root_may_be_called_train(tmp_path):
    for place in ("indoors", "outdoors"):
        for name in CLASSES:
            for number in range(2):
                write(tmp_path / "train" / name / place / f"{number}.png")
    data = load_folder(tmp_path / "train", size=8)
    assert data.class_names == CLASSES
    assert len(everything(data)[0]) == 8


def test_the_middle_square_in_colour_and_in_grey(tmp_path):
    """A red square of 20 in the middle of 40 × 20, blue at both sides: only red is left."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[..., 2] = 255
    pixels[:, 10:30] = (255, 0, 0)
    for name in CLASSES:
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    images, _ = everything(load_folder(tmp_path, size=10))
    inner = images[..., 2:-2]  # scaling mixes a little blue into the outermost columns
    assert inner.amin((0, 2, 3)).tolist() == inner.amax((0, 2, 3)).tolist() == [255, 0, 0]
    assert images[:, 0].min() > 230
    grey = load_folder(tmp_path, size=10, channels=1, flip=True)
    assert grey.card.flip
    assert grey.train_images.shape[1:] == (1, 10, 10)
    assert grey.train_images[..., 2:-2].unique().tolist() == [76]  # 0.299 · 255


def test_kinds_of_images(tmp_path):
    """Transparent, palette, grey and 1-bit images become colour; a photograph is turned as its camera says."""
    for name in CLASSES:
        for number, mode in enumerate(("RGBA", "P", "L", "1", "CMYK")):
            (tmp_path / name).mkdir(exist_ok=True)
            suffix = "tif" if mode == "CMYK" else "png"
            Image.new("RGB", (12, 12), (255, 255, 255)).convert(mode).save(tmp_path / name / f"{number}.{suffix}")
    assert everything(load_folder(tmp_path, size=8))[0].unique().tolist() == [255]

    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    for path in tmp_path.rglob("*.*"):
        path.unlink()
    for name in CLASSES:
        for number in range(3):
            image = Image.new("L", (16, 16))
            image.paste(255, (0, 0, 16, 8))
            image.save(tmp_path / name / f"{number}.jpg", exif=exif)
    image = load_folder(tmp_path, size=16).train_images[0, 0]
    assert image[:7].max() < 10
    assert image[-7:].min() > 245


def test_hidden_and_other_files_do_not_count(photos):
    before, _ = everything(load_folder(photos, size=8))
    write(photos / ".ipynb_checkpoints" / "a.png")
    write(photos / "ant" / ".thumbnails" / "a.png")
    (photos / "ant" / ".hidden.png").write_text("")
    (photos / "ant" / "notes.txt").write_text("")
    (photos / "README.txt").write_text("")
    assert torch.equal(everything(load_folder(photos, size=8))[0], before)


def sixteen_bits(path):
    Image.fromarray(np.full((8, 8), 4000, np.uint16)).save(path)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (truncate, "no image that can be read"),
        (no_image, "no image that can be read"),
        (lambda path: path.write_bytes(b""), "no image that can be read"),
        (sixteen_bits, "expected 8 bits per channel, found Pillow's mode I;16"),
    ],
)
def test_a_bad_image_of_ones_own_is_named(photos, damage, problem):
    path = photos / "bee" / "004.png"
    damage(path)
    with pytest.raises(DatasetError, match=problem) as caught:
        load_folder(photos, size=8)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith("To go on: replace or remove it.")


@pytest.mark.parametrize(
    ("counts", "change", "problem"),
    [
        ({}, lambda root: root.rmdir(), "there is no such folder"),
        ({}, lambda _: None, "it has no class folders"),
        ({"": 2}, lambda _: None, "too few images: every split needs one of each class"),
        ({"": 3}, lambda root: (root / "cat").mkdir(), "cat: it has no image"),
        ({"val": 3, "test": 3}, lambda _: None, "train: missing, though there is val"),
        ({"train": 3, "val": 3}, lambda root: write(root / "val/cat/0.png"), "val: the class folder cat is in val"),
        ({"train": 3, "val": 3}, lambda root: write(root / "train/cat/0.png"), "val: the class folder cat is in train"),
    ],
)
def test_folders_that_cannot_be_a_data_set(tmp_path, counts, change, problem):
    root = tmp_path / "photos"
    root.mkdir()
    change(fill(root, counts))
    with pytest.raises(DatasetError, match=problem) as caught:
        load_folder(root, size=8)
    assert str(caught.value).startswith(str(root))
    assert "see load_folder for the folders it expects" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 7}, "size: expected at least 8 pixels, found 7"),
        ({"size": 8.5}, "size: expected at least 8 pixels, found 8.5"),
        ({"channels": 2}, "channels: expected 1 or 3, found 2"),
        ({"train_size": 0}, "train_size: expected 1 to 14 for .*photos, found 0"),
        ({"train_size": 15}, "train_size: expected 1 to 14 for .*photos, found 15"),
    ],
)
def test_impossible_options_are_refused(photos, options, message):
    with pytest.raises(ValueError, match=message):
        load_folder(photos, **options)


def test_a_network_learns_ones_own_images(tmp_path):
    from anytime_core import AdaLoss, ResANN, cross_entropy_per_exit

    for number in range(12):
        write(tmp_path / "dark" / f"{number}.png", number)
        write(tmp_path / "light" / f"{number}.png", 255 - number)
    data = load_folder(tmp_path, size=8)
    torch.manual_seed(0)
    net, weigh = ResANN(n=1, c=4, num_classes=2), AdaLoss(num_exits=3)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05)
    for _ in range(30):
        optimiser.zero_grad()
        weigh(cross_entropy_per_exit(net(data.normalise(data.train_images)), data.train_labels)).backward()
        optimiser.step()
    net.eval()
    assert (net(data.normalise(data.test_images)).argmax(-1) == data.test_labels).all()  # at every exit

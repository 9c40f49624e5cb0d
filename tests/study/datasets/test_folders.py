"""One's own images: a folder of class folders, by the name folder:PATH."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anytime_core.errors import InputError
from anytime_study.datasets import DatasetError, fetch, find_card, load_dataset
from anytime_study.datasets.image_files import read_image
from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import RunRecord

CLASSES = ("ant", "bee")
SPLITS = ("train", "validation", "test")
ALL = dict.fromkeys(SPLITS, 3)


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


@pytest.fixture
def photos(tmp_path):
    return fill(tmp_path / "photos", {"": 10}, suffix=".png")


def everything(data):
    parts = [(getattr(data, f"{split}_images"), getattr(data, f"{split}_labels")) for split in SPLITS]
    return torch.cat([images for images, _ in parts]), torch.cat([labels for _, labels in parts])


# --- splits --------------------------------------------------------------------------------------------------------


def test_one_folder_is_split_by_class(photos):
    data = load_dataset(f"folder:{photos}?size=8")
    assert [getattr(data, f"{split}_labels").bincount().tolist() for split in SPLITS] == [[7, 7], [1, 1], [2, 2]]
    assert (data.class_names, data.card.image_shape, data.card.flip) == (CLASSES, (3, 8, 8), False)
    images, _ = everything(data)
    assert len({image.numpy().tobytes() for image in images}) == 20  # no image is in two splits
    assert data.train_labels.tolist() != sorted(data.train_labels.tolist())
    part = load_dataset(f"folder:{photos}?size=8", train_size=5)
    assert torch.equal(part.train_images, data.train_images[:5])
    assert torch.equal(part.test_images, data.test_images)


@pytest.mark.parametrize(
    ("counts", "sizes"),
    [
        ({"train": 8, "validation": 3, "test": 2}, [16, 6, 4]),
        ({"": 3}, [2, 2, 2]),
    ],
)
def test_folders_that_are_split_already(tmp_path, counts, sizes):
    data = load_dataset(f"folder:{fill(tmp_path, counts)}?size=8")
    assert [len(getattr(data, f"{split}_labels")) for split in SPLITS] == sizes
    assert len({image.numpy().tobytes() for image in everything(data)[0]}) == sum(sizes)


def test_images_may_lie_deeper_and_what_is_hidden_or_no_image_does_not_count(photos):
    before, _ = everything(load_dataset(f"folder:{photos}?size=8"))
    write(photos / "ant" / ".thumbnails" / "a.png")
    (photos / "ant" / "._000.png").write_text("")
    (photos / "ant" / "notes.txt").write_text("")
    (photos / "README.txt").write_text("")
    assert torch.equal(everything(load_dataset(f"folder:{photos}?size=8"))[0], before)
    write(photos / "ant" / "outdoors" / "a.png")
    assert len(everything(load_dataset(f"folder:{photos}?size=8"))[0]) == 21


@pytest.mark.parametrize(
    ("counts", "change", "problem"),
    [
        ({}, lambda root: root.rmdir(), "No such file"),
        ({}, lambda _: None, "find any class folder"),
        ({"": 1}, lambda _: None, "too few images: every split needs one of each class"),
        ({"": 3}, lambda root: (root / "cat").mkdir(), "no valid file for the classes cat"),
        ({"": 3}, lambda root: write(root / ".hidden/a.png"), "no valid file for the classes .hidden"),
        ({"train": 3, "test": 3}, lambda _: None, "validation: .*No such file"),
        (ALL, lambda root: write(root / "test/cat/0.png"), "test: the class folder cat is in test"),
        (ALL, lambda root: write(root / "train/cat/0.png"), "validation: the class folder cat is in train"),
    ],
)
def test_folders_that_cannot_be_a_data_set(tmp_path, counts, change, problem):
    root = tmp_path / "photos"
    root.mkdir()
    change(fill(root, counts))
    with pytest.raises(InputError, match=problem) as caught:
        find_card(f"folder:{root}")
    assert str(caught.value).startswith(f"folder:{root}: ")


# --- images --------------------------------------------------------------------------------------------------------


def test_the_middle_square_in_colour_and_in_grey(tmp_path):
    """A red square of 20 in the middle of 40 × 20, blue at both sides: only red is left."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[..., 2] = 255
    pixels[:, 10:30] = (255, 0, 0)
    for name in CLASSES:
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    images, _ = everything(load_dataset(f"folder:{tmp_path}?size=10"))
    inner = images[..., 2:-2]  # scaling mixes a little blue into the outermost columns
    assert inner.amin((0, 2, 3)).tolist() == inner.amax((0, 2, 3)).tolist() == [255, 0, 0]
    assert images[:, 0].min() > 230
    grey = load_dataset(f"folder:{tmp_path}?size=10&channels=1&flip=yes")
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
    assert everything(load_dataset(f"folder:{tmp_path}?size=8"))[0].unique().tolist() == [255]

    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    for path in tmp_path.rglob("*.*"):
        path.unlink()
    for name in CLASSES:
        for number in range(3):
            image = Image.new("L", (16, 16))
            image.paste(255, (0, 0, 16, 8))
            image.save(tmp_path / name / f"{number}.jpg", exif=exif)
    image = load_dataset(f"folder:{tmp_path}?size=16").train_images[0, 0]
    assert image[:7].max() < 10
    assert image[-7:].min() > 245


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "no image that can be read"),
        (lambda path: path.write_text("<html>not found</html>"), "no image that can be read"),
        (
            lambda path: Image.fromarray(np.full((8, 8), 4000, np.uint16)).save(path),
            "expected 8 bits per channel, found Pillow's mode I;16",
        ),
    ],
)
def test_a_bad_image_is_named(photos, damage, problem):
    path = photos / "bee" / "004.png"
    damage(path)
    with pytest.raises(DatasetError, match=problem) as caught:
        load_dataset(f"folder:{photos}?size=8")
    assert f"{path}: " in str(caught.value)
    assert "remove" not in str(caught.value)  # nobody shall delete photographs because of one file


def test_a_large_photograph_is_read_without_a_warning(photos, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)  # Pillow takes up to twice as many, and warns
    assert read_image(photos / "bee" / "004.png", (1, 8, 8)).shape == (1, 8, 8)
    assert recwarn.list == []


# --- the name ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("size=7", "size: .*8, found '7'"),
        ("size=100000", "size: .*1024, found '100000'"),  # of memory there is less
        ("channels=2", "channels: expected '1' or '3'"),
        ("sice=8", "did you mean size"),
    ],
)
def test_impossible_options_are_refused(photos, query, problem):
    with pytest.raises(InputError, match=problem):
        find_card(f"folder:{photos}?{query}")
    with pytest.raises(InputError, match="expected folder:PATH"):
        find_card(f"folder:?{query}")


def test_the_name_says_all_and_needs_no_folder_once_it_is_known(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    card = find_card("folder:photos?size=8&flip=yes")
    assert card.name == find_card(card.name).name == find_card(f"folder:{photos}?flip=yes&size=8").name
    shutil.rmtree(photos)
    assert find_card(card.name) == card
    assert (card.class_names, card.num_train, card.num_validation, card.num_test) == (CLASSES, 14, 2, 4)
    with pytest.raises(DatasetError, match="No such file"):
        load_dataset(card.name)


def test_a_run_is_named_by_the_images_and_not_by_their_place(photos, tmp_path):
    def name(root, query="size=8", **fields):
        return RunConfig(dataset=f"folder:{root}?{query}", batch_size=4, **fields).name

    first = name(photos)
    assert first.startswith("folder-")
    moved = Path(shutil.copytree(photos, tmp_path / "elsewhere" / "pictures"))
    assert name(moved) == first
    assert len({first, name(photos, "size=9"), name(photos, "size=8&flip=yes"), name(photos, seed=1)}) == 4
    (moved / "ant" / "000.png").rename(moved / "ant" / "new.png")
    assert name(moved) != first
    write(photos / "ant" / "000.png", 3)
    assert name(photos) != first


def test_images_that_changed_since_are_not_trained_on(photos):
    config = RunConfig(dataset=f"folder:{photos}?size=8", batch_size=4)
    write(photos / "ant" / "more.png")
    with pytest.raises(DatasetError, match="changed: expected images with the digest"):
        load_dataset(config.dataset)


def test_the_command_trains_on_a_folder(photos, tmp_path, anytime, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--network", "resann(n=1, c=4)", "--epochs", 1, "--batch-size", 4, "--records-dir", tmp_path / "one"]
    status, _, err = anytime("train", "--dataset", "folder:photos?size=8", *options)
    assert status == 0, err
    (path,) = (tmp_path / "one").glob("*.json")
    record = RunRecord.load(path)
    assert not record.stale
    assert json.loads(path.read_text())["config"]["dataset"].startswith(f"folder:{photos}?size=8&")
    assert fetch(record.config.dataset) == photos

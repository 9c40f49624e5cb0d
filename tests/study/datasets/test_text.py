"""Texts, character by character; the book's own pages are the texts."""

import hashlib
from dataclasses import replace

import pytest
import torch

from anytime_core.errors import InputError
from anytime_study.datasets import DATASETS, DatasetError, fetch, find_card, load_dataset
from anytime_study.datasets import text as texts
from anytime_study.studies.study import ROOT

PAGE = ROOT / "book" / "cookbook.md"
NAME = f"text:{PAGE}?context=32"


@pytest.fixture(scope="module")
def data():
    return load_dataset(NAME)


def written(data, ids):
    return "".join(data.class_names[number] for number in ids)


def batches(data, size=50, *, augment=False, **options):
    order, crops = (torch.Generator().manual_seed(seed) for seed in (0, 1))
    return list(data.train_batches(size, order=order, crops=crops, augment=augment, **options))


def test_the_splits_are_the_text_in_its_order(data):
    page = PAGE.read_text(encoding="utf-8")
    tenth = len(page) // 10
    assert written(data, data.validation) == page[-2 * tenth : -tenth]
    assert written(data, data.test) == page[-tenth:]
    train = page[: -2 * tenth]
    assert len(train) - 32 < len(data.train) <= len(train)  # whole windows, and one more to shift within
    assert written(data, data.train) == train[: len(data.train)]
    assert data.class_names == tuple(sorted(set(page)))


def test_each_label_is_the_next_character(data):
    (inputs, labels), *_ = batches(data, augment=True)
    assert inputs.shape == labels.shape == (50, 32)
    assert torch.equal(inputs[:, 1:], labels[:, :-1])
    text = written(data, data.train)
    assert all(written(data, [*row, following[-1]]) in text for row, following in zip(inputs, labels, strict=True))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_all_windows_of_a_split_follow_each_other(data, split):
    found = torch.cat([inputs for inputs, _ in data.batches(split, batch_size=7)])
    assert len(found) == getattr(data.card, f"num_{split}")
    assert torch.equal(found.flatten(), getattr(data, split)[: found.numel()])


def test_an_epoch_has_each_window_once_and_shifts_them_anew(data):
    size = data.card.num_train // 4
    plain = torch.cat([inputs for inputs, _ in batches(data, size)])
    every = torch.cat([inputs for inputs, _ in data.batches("train")])
    assert len(plain) == 4 * size
    assert {tuple(row) for row in plain.tolist()} <= {tuple(row) for row in every.tolist()}
    shifted = torch.cat([inputs for inputs, _ in batches(data, size, augment=True)])
    assert not torch.equal(shifted, plain)


def test_a_pass_that_goes_on_and_the_shares_of_processes(data):
    whole = batches(data)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(batches(data, skip=2), whole[2:], strict=True))
    halves = [batches(data, augment=True, share=(rank, 2)) for rank in (0, 1)]
    for (first, _), (second, _), (both, _) in zip(*halves, batches(data, augment=True), strict=True):
        assert torch.equal(torch.cat([first, second]), both)


def test_a_smaller_training_set_is_the_beginning(data):
    small = load_dataset(NAME, train_size=10)
    assert torch.equal(small.train, data.train[: 11 * 32])
    assert torch.equal(small.test, data.test)


def test_a_name_tells_all_without_the_file_and_a_slug_not_where_it_lies(tmp_path):
    card = find_card(NAME)
    copy = tmp_path / "copy.md"
    copy.write_bytes(PAGE.read_bytes())
    moved = find_card(f"text:{copy}?context=32")
    assert (moved.slug, moved.num_train) == (card.slug, card.num_train)
    assert find_card(f"text:{copy}?context=64").slug != card.slug
    copy.unlink()
    assert find_card(moved.name) == moved
    with pytest.raises(DatasetError, match=r"copy.md: No such file"):
        load_dataset(moved.name)
    copy.write_text(PAGE.read_text(encoding="utf-8").replace("a", "b", 1), encoding="utf-8")
    assert find_card(f"text:{copy}?context=32").slug != card.slug
    with pytest.raises(DatasetError, match="SHA-256 expected"):
        load_dataset(moved.name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text:", "which has no path"),
        ("text:{folder}/nothing.txt", "expected a file of text in UTF-8, found: .*No such file"),
        ("text:{folder}", "expected a file of text in UTF-8, found: "),
        ("text:{folder}/image.png", "no text in UTF-8 .* at byte 0"),
        ("text:{folder}/short.txt?context=8", "expected a tenth of it to be longer than a window"),
        ("text:{folder}/short.txt?context=2", "context: "),
        ("text:{folder}/short.txt?size=2", "size: there is no such name"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, name, message):
    (tmp_path / "short.txt").write_text("To be, or not to be")
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=message):
        find_card(name.format(folder=tmp_path))


# --- tiny-shakespeare ----------------------------------------------------------------------------------------------


@pytest.fixture
def published(monkeypatch):
    """What a download of tiny-shakespeare gives here: a text of as many characters; its checksum is the right one."""
    card = texts.SHAKESPEARE
    text = ("".join(card.class_names) * 20_000)[:1_115_394]
    reader = texts.TextReader("input.txt", hashlib.sha256(text.encode()).hexdigest(), "https://where")
    monkeypatch.setitem(DATASETS, card.name, replace(card, reader=reader))
    given = [text]

    def download(url, folder, file):
        assert url == "https://where"
        (folder / file).write_text(given[0])

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download)
    return given


def test_it_is_downloaded_checked_and_read(published, tmp_path):
    folder = fetch("tiny-shakespeare", tmp_path)
    assert (folder / "input.txt").exists()
    data = load_dataset("tiny-shakespeare", cache_dir=tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (6_971 * 128, 111_539, 111_539)
    assert data.card.num_classes == 65
    published[0] = published[0][:-1]
    with pytest.raises(DatasetError, match=r"Tiny Shakespeare: .*input.txt: truncated or altered: SHA-256 expected"):
        fetch("tiny-shakespeare", tmp_path / "other")
    assert not (tmp_path / "other" / "tiny-shakespeare").exists()

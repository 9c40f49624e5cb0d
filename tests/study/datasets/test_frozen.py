"""Records name data sets by their names alone, so what a name stands for never changes."""

import hashlib

import pytest
from torchvision.datasets import SVHN, utils

from anytime_study.datasets import DATASETS, default_cache_dir, load_dataset
from anytime_study.datasets.svhn_train import FILE

# SHA-256 of all splits with 1000 training images, and of mean and deviation. Should one of these change, records of the
# set are of another set: undo the change, or give the set another name.
DIGESTS = {
    "digits": "347ee7c7a1d6c9bb",
    "fashion-mnist": "415a474596153c5a",
    "fashion-noise-30": "66633eb58f830a31",
    "fashion-noise-60": "b7026af0bfe444d8",
    "fashion-coarse": "1a2961886304cf09",
    "multi-fashion": "c3bd21d5d2637bfa",
    "cifar10": "7a59537e529d7bfb",
    "cifar100": "286f41004ce9082f",
    "svhn-train": "67afc9fda6bad5df",  # of the rebuilt file
    "tiny-shakespeare": "8e61e5592e69b79b",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_a_data_set_never_changes(name):
    card = DATASETS[name]
    if card.reader.installed() is None and not (default_cache_dir() / card.folder).is_dir():
        pytest.skip(f"{name} is not on this machine")
    if name == "svhn-train" and utils.check_integrity(default_cache_dir() / name / FILE, SVHN.split_list["train"][2]):
        pytest.skip("the digest is of the rebuilt file; here is the official one")
    data, digest = load_dataset(name, train_size=1000), hashlib.sha256()
    if card.reads_text:
        for split in (data.train, data.validation, data.test):
            digest.update(split.numpy().tobytes())
        assert digest.hexdigest()[:16] == DIGESTS[name]
        return
    for part in (f"{split}_{kind}" for split in ("train", "validation", "test") for kind in ("images", "labels")):
        digest.update(getattr(data, part).numpy().tobytes())
    digest.update(data.mean.numpy().tobytes() + data.std.numpy().tobytes())
    assert digest.hexdigest()[:16] == DIGESTS[name]

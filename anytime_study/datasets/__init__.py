"""The data sets of the study, with fixed splits, held in memory as uint8 images.

    data = load_dataset("digits")
    images = data.normalise(data.train_images[:64])            # float32 [64, 1, 8, 8]
    photos = load_dataset("folder:photos?size=64&flip=yes")    # one's own images, one folder per class
    novel = load_dataset("text:novel.txt")                     # a text of one's own, character by character

The splits are the same in every run: they never depend on a run's seed. Importing this package is cheap; PyTorch,
torchvision and scikit-learn are loaded with the first data set.
"""

from anytime_study.datasets.card import DataCard, DatasetError
from anytime_study.datasets.cards import DATASETS, find_card
from anytime_study.datasets.loading import default_cache_dir, fetch, load_dataset

__all__ = ["DATASETS", "DataCard", "DatasetError", "default_cache_dir", "fetch", "find_card", "load_dataset"]

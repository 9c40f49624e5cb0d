import pytest
import torch

from anytime_core import load_dataset
from anytime_core.batches import evaluation_batches


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_evaluation_goes_through_a_split_once_in_its_order_normalised(split):
    data = load_dataset("digits", train_size=30)
    batches = list(evaluation_batches(data, split, batch_size=64))
    assert all(len(labels) == 64 for _, labels in batches[:-1])
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert torch.equal(images, data.normalise(getattr(data, f"{split}_images")))
    assert torch.equal(labels, getattr(data, f"{split}_labels"))

import pytest
import torch

from anytime_study.datasets import load_dataset
from anytime_study.datasets.batches import evaluation_batches, train_batches


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_evaluation_goes_through_a_split_once_in_its_order_normalised(split):
    data = load_dataset("digits", train_size=30)
    batches = list(evaluation_batches(data, split, batch_size=64))
    assert all(len(labels) == 64 for _, labels in batches[:-1])
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert torch.equal(images, data.normalise(getattr(data, f"{split}_images")))
    assert torch.equal(labels, getattr(data, f"{split}_labels"))


def test_a_pass_that_goes_on_leaves_out_its_first_batches_and_nothing_else():
    data = load_dataset("digits", train_size=50)

    def batches(skip):
        order, crops = (torch.Generator().manual_seed(seed) for seed in (1, 2))
        return list(train_batches(data, 8, order=order, crops=crops, augment=False, skip=skip))

    whole = batches(0)
    assert len(whole) == 6
    for skip in (1, 5, 6):
        rest = batches(skip)
        assert len(rest) == 6 - skip
        for (images, labels), (same_images, same_labels) in zip(rest, whole[skip:], strict=True):
            assert torch.equal(images, same_images)
            assert torch.equal(labels, same_labels)

import numpy as np
import pytest
import torch
from torch import nn

from anytime_core import AnytimeNetwork, EarlyExit, ResANN, exit_logits
from anytime_core.errors import InputError
from anytime_study.datasets import load_dataset
from anytime_study.training.exit_saving import early_exit_scores


@pytest.fixture
def digits():
    return load_dataset("digits", train_size=50)


class Row(nn.Module):
    """A head that reads row k of each image as its logits, and costs four multiply-adds."""

    def __init__(self, row):
        super().__init__()
        self.row = row
        self.linear = nn.Linear(2, 2, bias=False)
        nn.init.eye_(self.linear.weight)

    def forward(self, x):
        return self.linear(x[:, 0, self.row])


def batches(confidence, right, size=3):
    """Images [N, 1, 2, 2] whose logits at both exits have this confidence, for label 0 where ``right``."""
    odds = np.log(np.array(confidence) / (1 - np.array(confidence)))
    logits = np.stack([odds, np.zeros_like(odds)], -1)
    images = torch.tensor(np.where(np.array(right)[..., None], logits, logits[..., ::-1])).float().transpose(0, 1)
    labels = torch.zeros(len(images), dtype=torch.long)
    return list(zip(images[:, None].split(size), labels.split(size), strict=True))


def test_saving_by_hand():
    net = AnytimeNetwork([nn.Identity(), nn.Identity()], [Row(0), Row(1)])
    first = [0.95, 0.9, 0.8, 0.7]
    validation = batches([first, [0.6] * 4], [[True, False, True, False], [True, True, True, True]])
    # the threshold is 0.925: two of the five test images leave, one of them wrong where the last exit is right
    test = batches(
        [[0.95, 0.95, 0.9, 0.6, 0.6], [0.6] * 5], [[True, False, False, True, True], [True, True, True, True, False]]
    )
    found = early_exit_scores(net, iter(validation), iter(test), (1, 2, 2))
    assert found.thresholds == pytest.approx([0.925])
    assert (found.error, found.last_error) == pytest.approx((2 / 5, 1 / 5))
    assert found.exit_shares == pytest.approx([2 / 5, 3 / 5])
    # 4 MACs up to the first head, 8 up to the second; 4 if the second is run alone
    assert (found.macs, found.last_macs) == (pytest.approx((2 * 4 + 3 * 8) / 5), 4)


def test_a_threshold_that_no_image_reaches_is_none():
    net = AnytimeNetwork([nn.Identity(), nn.Identity()], [Row(0), Row(1)])
    given = batches([[0.9, 0.8], [0.6, 0.6]], [[False, False], [True, True]])
    found = early_exit_scores(net, given, given, (1, 2, 2))
    assert (found.thresholds, found.exit_shares) == ([None], [0, 1])


def test_test_labels_change_errors_and_nothing_else(digits):
    torch.manual_seed(0)
    net = ResANN(n=1, c=4, in_channels=1)
    validation, test = (list(digits.batches(split)) for split in ("validation", "test"))
    swapped = [(images, (labels + 1) % 10) for images, labels in test]
    one, other = (early_exit_scores(net, validation, batches, (1, 8, 8)) for batches in (test, swapped))
    assert one.error != other.error
    assert (one.thresholds, one.macs, one.exit_shares) == (other.thresholds, other.macs, other.exit_shares)
    early = EarlyExit(net, [float("inf") if value is None else value for value in one.thresholds])
    shares = torch.bincount(torch.cat([early.predict(images).exit for images, _ in test]), minlength=4)[1:]
    assert (shares / shares.sum()).tolist() == pytest.approx(one.exit_shares)


def test_images_are_needed(digits):
    with pytest.raises(InputError, match="batches: expected at least one"):
        early_exit_scores(ResANN(n=1, c=4, in_channels=1), [], digits.batches("test"), (1, 8, 8))


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_logits_of_all_exits_in_order(digits, batch_size):
    torch.manual_seed(0)
    net = ResANN(n=1, c=4, in_channels=1).train()
    logits, labels = exit_logits(net, digits.batches("validation", batch_size))
    assert net.training
    assert torch.equal(labels, digits.validation_labels)
    with torch.inference_mode():
        expected = net.eval()(digits.normalise(digits.validation_images))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)

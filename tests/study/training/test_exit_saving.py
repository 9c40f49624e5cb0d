import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from anytime_core import AnytimeNetwork, exit_costs, exit_logits
from anytime_core.errors import InputError
from anytime_core.networks.ensemble import eann
from anytime_core.networks.resann import ResANN
from anytime_study.datasets import load_dataset
from anytime_study.training.artefacts import load_model
from anytime_study.training.exit_saving import early_exit_saving, paired_difference_interval

SHIPPED = Path(__file__).parents[3] / "data" / "models" / "fashion-mnist-resann-adaloss"


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


# --- logits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_logits_of_all_exits_in_order(digits, batch_size):
    torch.manual_seed(0)
    net = ResANN(n=1, c=4, in_channels=1).train()
    logits, labels = exit_logits(net, digits.batches("validation", batch_size))
    assert net.training
    assert (logits.dtype, labels.dtype) == (np.float32, np.int64)
    assert logits.shape == (3, len(digits.validation_labels), 10)
    assert np.array_equal(labels, digits.validation_labels)
    with torch.inference_mode():
        expected = net.eval()(digits.normalise(digits.validation_images))
    torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=1e-4, atol=1e-5)


def test_exits_that_are_not_adopted_have_no_row(digits):
    net = eann(n=(1, 2), c=4, s=1, in_channels=1)
    net.adopt([0.5, 0.4, 0.45, 0.6, 0.3, 0.35, 0.2, 0.1, 0.15])
    batch = digits.normalise(digits.test_images[:5]), digits.test_labels[:5]
    logits, _ = exit_logits(net, [batch])
    with torch.inference_mode():
        expected = net.eval()(batch[0])[[0, 1, 4, 6, 7]]
    torch.testing.assert_close(torch.from_numpy(logits), expected)


def test_logits_need_batches_of_one_task():
    net = ResANN(n=1, c=4, in_channels=1)
    with pytest.raises(InputError, match="batches: expected at least one"):
        exit_logits(net, [])
    with pytest.raises(InputError, match=r"labels: expected one per image, \[N\], found shape \[2, 2\]"):
        exit_logits(net, [(torch.zeros(2, 1, 8, 8), torch.zeros(2, 2, dtype=torch.long))])
    assert net.training


# --- saving --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["geometric", "common"])
def test_saving_by_hand(rule):
    net = AnytimeNetwork([nn.Identity(), nn.Identity()], [Row(0), Row(1)])
    first = [0.95, 0.9, 0.8, 0.7]
    validation = batches([first, [0.6] * 4], [[True, False, True, False], [True, True, True, True]])
    # the threshold is 0.925: two of the five test images leave, one of them wrong where the last exit is right
    test = batches(
        [[0.95, 0.95, 0.9, 0.6, 0.6], [0.6] * 5], [[True, False, False, True, True], [True, True, True, True, False]]
    )
    found = early_exit_saving(net, iter(validation), iter(test), 0.3, validation_margin_points=0, rule=rule)
    assert found["thresholds"] == pytest.approx([0.925])
    assert found["temperatures"] == [1, 1]
    assert found["test_images"] == 5
    assert (found["error"], found["last_error"]) == pytest.approx((2 / 5, 1 / 5))
    assert found["difference_points"] == pytest.approx(20)
    assert found["non_inferior"] is False
    assert found["exit_shares"] == pytest.approx([2 / 5, 3 / 5])
    # 4 MACs up to the first head, 8 up to the second; 4 if the second is run alone
    assert (found["macs"], found["last_macs"]) == (pytest.approx((2 * 4 + 3 * 8) / 5), 4)
    assert found["saved_percent"] == pytest.approx(100 * (1 - 6.4 / 4))


def test_test_labels_change_errors_and_nothing_else(digits):
    torch.manual_seed(0)
    net = ResANN(n=1, c=4, in_channels=1)
    validation, test = (list(digits.batches(split)) for split in ("validation", "test"))
    swapped = [(images, (labels + 1) % 10) for images, labels in test]
    one, other = (
        early_exit_saving(net, validation, batches, validation_margin_points=2) for batches in (test, swapped)
    )
    assert one["error"] != other["error"]
    for key in ("thresholds", "macs", "exit_shares"):
        assert one[key] == other[key]


def test_calibrated_confidences(digits):
    torch.manual_seed(0)
    net = ResANN(n=1, c=4, in_channels=1)
    found = early_exit_saving(net, digits.batches("validation"), digits.batches("test"), calibrated=True)
    assert len(found["temperatures"]) == 3
    assert 1 not in found["temperatures"]


def test_bad_input(digits):
    net = ResANN(n=1, c=4, in_channels=1)
    batch = list(digits.batches("test"))
    with pytest.raises(InputError, match="validation: expected at least one batch"):
        early_exit_saving(net, [], batch)
    with pytest.raises(InputError, match="test: expected at least one batch"):
        early_exit_saving(net, batch, [])
    for margin in (0, math.nan, math.inf):
        with pytest.raises(InputError, match="margin_points: expected above 0"):
            early_exit_saving(net, batch, batch, margin)


def test_interval_by_hand():
    # of 98 images 7 count for the first alone, 3 for the second alone: (8 - 4) / 100 ± 1.96 √((0.12 - 0.04²) / 100)
    first, second = np.zeros(98, dtype=bool), np.zeros(98, dtype=bool)
    first[:27] = True
    second[7:30] = True
    difference, low, high = paired_difference_interval(first, second)
    assert difference == pytest.approx(4 / 98)
    assert (low, high) == pytest.approx((0.04 - 0.06744, 0.04 + 0.06744), abs=1e-4)
    swapped = paired_difference_interval(second, first)
    assert swapped == pytest.approx((-difference, -high, -low))


def test_the_interval_covers_and_is_never_empty():
    same = np.ones(50, dtype=bool)
    difference, low, high = paired_difference_interval(same, same)
    assert difference == 0
    assert low < 0 < high
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        draw = generator.uniform(size=2000)
        _, low, high = paired_difference_interval(draw < 0.02, (draw > 0.01) & (draw < 0.025))  # 0.010 against 0.005
        hits += low < 0.02 - 0.015 < high
    assert 930 <= hits <= 970


@pytest.mark.skipif(not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="needs Fashion-MNIST")
def test_the_shipped_network_saves_compute():
    net, card = load_model(SHIPPED)
    data = load_dataset("fashion-mnist", train_size=128)

    def some(split, count=1000):
        return [(card.normalise(getattr(data, f"{split}_images")[:count]), getattr(data, f"{split}_labels")[:count])]

    found = early_exit_saving(net, some("validation"), some("test"))
    assert found["last_macs"] == exit_costs(net, card.image_shape).macs_fixed[-1]
    assert 20 < found["saved_percent"] < 70
    assert abs(found["difference_points"]) < 1.5
    assert found["low_points"] < found["difference_points"] < found["high_points"]

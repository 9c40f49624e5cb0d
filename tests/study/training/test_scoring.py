"""Scores and record of a trained run."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from anytime_core import AnytimeNetwork, EarlyExit, ResANN, exit_costs
from anytime_core.costs import ExitCosts
from anytime_study.datasets import load_dataset
from anytime_study.runs.config import PROTOCOL
from anytime_study.runs.record import unpacked
from anytime_study.training.loop import TrainingRun, train
from anytime_study.training.scoring import TrainingDiverged, early_exit_scores, evaluate

# --- one evaluation ----------------------------------------------------------------------------------------------


class Table(nn.Module):
    """A net whose logits are written down: image i, whose one pixel holds i, gets ``logits[:, i]``."""

    def __init__(self, logits):
        super().__init__()
        self.register_buffer("logits", torch.as_tensor(logits, dtype=torch.float32))  # [K, N, classes]

    def forward(self, images):
        assert not self.training
        assert not torch.is_grad_enabled()
        return self.logits[:, images.flatten().long()]


def numbered(count):
    return torch.arange(count, dtype=torch.float32).view(count, 1, 1, 1)


def test_by_hand():
    ln3 = math.log(3)
    net = Table([[[0, 0], [0, 0], [0, 0], [0, 0]], [[ln3, 0], [ln3, 0], [0, ln3], [ln3, 0]]])
    losses, correct = evaluate(net, [(numbered(4), torch.tensor([0, 1, 1, 0]))])
    # exit 1: every loss is ln 2, and a tie goes to the first class; exit 2: right on images 1, 3 and 4
    assert losses == pytest.approx([math.log(2), (3 * math.log(4 / 3) + math.log(4)) / 4])
    assert correct.tolist() == [[True, False, False, True], [True, False, True, True]]


@pytest.mark.parametrize("batch_size", [1, 2, 3])  # 2: as many images as exits
def test_exits_with_tasks_of_their_own_are_scored_on_their_own_labels(batch_size):
    right, wrong = [9.0, 0.0], [0.0, 9.0]  # logits that say 0, and 1
    net = Table([[right, right, right], [wrong, right, wrong]])
    labels = torch.tensor([[0, 1], [1, 0], [0, 1]])
    losses, correct = evaluate(net, zip(numbered(3).split(batch_size), labels.split(batch_size), strict=True))
    assert correct.tolist() == [[True, False, True], [True] * 3]
    assert losses == pytest.approx([3, 0], abs=1e-3)
    assert evaluate(net, [(numbered(3), labels.flip(1))])[1].tolist() == [[False, True, False], [False] * 3]


@pytest.mark.parametrize("batch_size", [1, 3, 7, 1000])
def test_the_last_batch_counts_by_its_size(batch_size):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 7, 5, generator=generator)
    labels = torch.randint(5, (7,), generator=generator)
    losses, correct = evaluate(Table(logits), zip(numbered(7).split(batch_size), labels.split(batch_size), strict=True))
    expected = [nn.functional.cross_entropy(each, labels).item() for each in logits]
    assert losses == pytest.approx(expected, rel=1e-6)
    assert torch.equal(correct, logits.argmax(-1) == labels)


def test_the_network_is_left_as_it_was():
    net = ResANN(n=1, c=2, in_channels=1).train()
    next(part for part in net.modules() if isinstance(part, nn.BatchNorm2d)).eval()  # frozen
    modes = [part.training for part in net.modules()]
    before = {key: value.clone() for key, value in net.state_dict().items()}
    evaluate(net, [(torch.zeros(2, 1, 8, 8), torch.tensor([0, 1]))])
    assert [part.training for part in net.modules()] == modes
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())  # batch norm above all
    with pytest.raises(ValueError, match="at least one"):
        evaluate(net, [])


# --- early exit --------------------------------------------------------------------------------------------------


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


# --- the record --------------------------------------------------------------------------------------------------


def trained(config):
    run = TrainingRun(config)
    run.fit(progress=False)
    return run


def test_the_record_is_consistent(tiny_config, tiny_record):
    config, record = tiny_config(), tiny_record
    assert (record.config, record.name, record.protocol) == (config, config.name, PROTOCOL)
    assert not record.stale
    exits = config.build_network().num_exits
    assert record.num_exits == exits == 3
    for table in (record.epoch_losses, record.epoch_weights):
        assert [len(row) for row in table] == [exits] * config.epochs
    for scores, images in [(record.train, 128), (record.validation, 180), (record.test, 360)]:
        assert len(scores.loss) == len(scores.error) == exits
        assert all(error * images == pytest.approx(round(error * images)) for error in scores.error)
    assert ExitCosts(**{key: tuple(value) for key, value in record.costs}) == exit_costs(
        config.build_network(), (1, 8, 8)
    )
    answers = unpacked(record.test_correct, 360)  # [K, N]
    assert (1 - answers.mean(axis=1)).tolist() == pytest.approx(record.test.error)
    assert record.timing.seconds > 0
    assert record.timing.images_per_second * record.timing.seconds == pytest.approx(2 * 128)
    assert record.provenance.threads == 1


def test_an_eann_adopts_exits_by_their_validation_error(tiny_config):
    record = train(tiny_config(network="eann(n=(1, 2), c=4)", epochs=4), progress=False)
    assert record.num_exits == 9
    falls = [after <= before for before, after in pairwise(record.validation.error)]
    assert all(falls)  # an exit that is no better repeats the best answer so far
    costs = record.costs
    assert costs.macs_cumulative[3] - costs.macs_cumulative[2] == costs.macs_fixed[3]  # the second member starts anew


def test_early_exit_is_measured_on_the_trained_network_and_changes_no_other_result(tiny_config, tiny_record):
    run = trained(tiny_config(early_exit=True))
    record = run.record()
    labels = run.data.test_labels
    found = record.early_exit
    early = EarlyExit(run.network, [math.inf if value is None else value for value in found.thresholds])
    prediction = early.predict(run.data.normalise(run.data.test_images))
    assert found.error == pytest.approx((prediction.logits.argmax(1) != labels).double().mean().item())
    assert found.macs == pytest.approx(prediction.mean_macs)
    assert found.last_macs == record.costs.macs_fixed[-1]
    assert found.last_error == pytest.approx(record.test.error[-1])
    assert sum(found.exit_shares) == pytest.approx(1)
    plain = {key: value for key, value in tiny_record.results().items() if key not in ("name", "config", "early_exit")}
    assert {key: record.results()[key] for key in plain} == plain
    assert tiny_record.early_exit is None


def test_a_trained_network_without_numbers_has_diverged(tiny_config):
    config = tiny_config()
    run = trained(config)
    torch.nn.init.constant_(next(run.network.heads[1].parameters()), math.nan)
    with pytest.raises(TrainingDiverged, match=r": the train loss of the trained network is nan; try a") as caught:
        run.record()
    found = caught.value.record
    assert (found.exit, found.epoch, len(found.epoch_losses)) == (2, config.epochs + 1, config.epochs)

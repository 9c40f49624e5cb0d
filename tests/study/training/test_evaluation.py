import math

import pytest
import torch
from torch import nn

from anytime_core import ResANN
from anytime_core.inference.logits import exit_logits
from anytime_study.datasets import load_dataset
from anytime_study.training.evaluation import evaluate


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
    scores = evaluate(net, [(numbered(4), torch.tensor([0, 1, 1, 0]))])
    # exit 1: every loss is ln 2, and a tie goes to the first class; exit 2: right on images 1, 3 and 4
    assert scores.loss == pytest.approx([math.log(2), (3 * math.log(4 / 3) + math.log(4)) / 4])
    assert scores.error == [0.5, 0.25]
    assert scores.correct.tolist() == [[True, False, False, True], [True, False, True, True]]


@pytest.mark.parametrize("batch_size", [1, 2, 3])  # 2: as many images as exits
def test_exits_with_tasks_of_their_own_are_scored_on_their_own_labels(batch_size):
    right, wrong = [9.0, 0.0], [0.0, 9.0]  # logits that say 0, and 1
    net = Table([[right, right, right], [wrong, right, wrong]])
    labels = torch.tensor([[0, 1], [1, 0], [0, 1]])
    scores = evaluate(net, zip(numbered(3).split(batch_size), labels.split(batch_size), strict=True))
    assert scores.error == pytest.approx([1 / 3, 0])  # image 2 is wrong at exit 1
    assert scores.loss == pytest.approx([3, 0], abs=1e-3)
    swapped = evaluate(net, [(numbered(3), labels.flip(1))])
    assert swapped.error == pytest.approx([2 / 3, 1])


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 8, 1000])
def test_the_last_batch_counts_by_its_size(batch_size):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 7, 5, generator=generator)
    labels = torch.randint(5, (7,), generator=generator)
    scores = evaluate(Table(logits), zip(numbered(7).split(batch_size), labels.split(batch_size), strict=True))
    expected = [nn.functional.cross_entropy(exit_logits, labels).item() for exit_logits in logits]
    assert scores.loss == pytest.approx(expected, rel=1e-6)
    assert scores.error == [(exit_logits.argmax(1) != labels).double().mean().item() for exit_logits in logits]


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(training):
    torch.manual_seed(0)
    net = ResANN(n=1, c=2, in_channels=1).train(training)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    data = load_dataset("digits", train_size=50)
    first = evaluate(net, data.batches("test", 100))
    assert net.training is training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())  # batch norm above all
    assert evaluate(net, data.batches("test", 100)) == first
    assert all(0 <= error <= 1 for error in first.error)


def test_no_batch_is_an_error_and_the_network_is_left_as_it_was():
    net = ResANN(n=1, c=2, in_channels=1)
    with pytest.raises(ValueError, match="at least one"):
        evaluate(net, [])
    assert net.training


@pytest.mark.parametrize("look", [evaluate, exit_logits])
def test_parts_that_were_frozen_stay_frozen(look):
    net = ResANN(n=1, c=2, in_channels=1).train()
    frozen = [part for part in net.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    for part in frozen:
        part.eval()
    look(net, [(torch.zeros(2, 1, 8, 8), torch.tensor([0, 1]))])
    assert net.training
    assert not any(part.training for part in frozen)

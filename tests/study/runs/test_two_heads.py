import pytest
import torch

from anytime_core import ResANN, exit_costs
from anytime_study.runs.config import RunConfig
from anytime_study.runs.two_heads import TwoHeads
from anytime_study.training.loop import TrainingRun


@pytest.fixture
def net():
    torch.manual_seed(0)
    return TwoHeads(n=1, c=4, num_classes=7, in_channels=1)


def test_both_heads_read_the_whole_trunk(net):
    net.eval()
    images = torch.randn(3, 1, 8, 8)
    trunk, nothing = net.segments
    assert not list(nothing.parameters())
    features = trunk(images)
    assert net(images).shape == (2, 3, 7)
    for head, logits in zip(net.heads, net(images), strict=True):
        torch.testing.assert_close(head(features), logits)
    assert not torch.equal(net.heads[0].linear.weight, net.heads[1].linear.weight)


def test_the_trunk_is_that_of_a_resann_with_one_exit():
    torch.manual_seed(0)
    plain = ResANN(n=2, c=4, s=6, in_channels=1)
    torch.manual_seed(0)
    two = TwoHeads(n=2, c=4, in_channels=1)
    shared = plain.state_dict()
    assert all(torch.equal(two.state_dict()[key], value) for key, value in shared.items())
    assert len(two.state_dict()) == len(shared) + 2  # weight and bias of the second head


def test_a_task_moves_its_own_head_and_the_trunk(net):
    net(torch.randn(4, 1, 8, 8))[0].sum().backward()
    assert all(parameter.grad is not None for parameter in net.segments.parameters())
    assert net.heads[0].linear.weight.grad.abs().sum() > 0
    other = net.heads[1].linear.weight.grad
    assert other is None or other.count_nonzero() == 0


def test_costs(net):
    costs = exit_costs(net, (1, 8, 8))
    alone = exit_costs(ResANN(n=1, c=4, s=3, num_classes=7, in_channels=1), (1, 8, 8))
    assert costs.macs_fixed == alone.macs_fixed * 2
    assert costs.macs_cumulative == (alone.macs_fixed[0], alone.macs_fixed[0] + 16 * 7)


@pytest.mark.parametrize("weighting", ["const", "uw"])
def test_both_tasks_are_learnt(weighting):
    """Digits with a second label: whether the digit is odd."""
    config = RunConfig(network="two_heads(n=1, c=8)", train_size=512, batch_size=32, epochs=6, weighting=weighting)
    run = TrainingRun(config)
    for split in ("train", "validation", "test"):
        labels = getattr(run.data, f"{split}_labels")
        object.__setattr__(run.data, f"{split}_labels", torch.stack([labels, labels % 2], dim=1))
    run.fit(progress=False)
    record = run.record()
    assert all(last < 0.7 * first for first, last in zip(record.epoch_losses[0], record.epoch_losses[-1], strict=True))
    assert record.test.error[0] < 0.5  # chance is 0.9
    assert record.test.error[1] < 0.3  # chance is 0.5

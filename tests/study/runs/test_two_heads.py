import pytest
import torch
from torch import nn

from anytime_core import ResANN, exit_costs
from anytime_study.runs.config import RunConfig
from anytime_study.runs.registries import NETWORKS
from anytime_study.runs.two_heads import TwoHeads
from anytime_study.training.loop import TrainingRun, train


@pytest.fixture
def net():
    torch.manual_seed(0)
    return TwoHeads(n=1, c=4, num_classes=7, in_channels=1)


def test_two_rows_of_logits(net):
    assert net(torch.zeros(5, 1, 28, 28)).shape == (2, 5, 7)
    assert net.num_exits == 2


def test_both_heads_read_the_whole_trunk(net):
    net.eval()
    images = torch.randn(3, 1, 8, 8)
    trunk, nothing = net.segments
    assert not list(nothing.parameters())
    features = trunk(images)
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


@pytest.mark.parametrize("head", ["linear", "1x1", "bn", "msdense", "rescale"])
def test_heads_are_of_one_kind_and_start_alike(head):
    torch.manual_seed(0)
    net = TwoHeads(n=1, c=16, head=head)
    first, second = net.heads
    assert type(first) is type(second)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert one.shape == other.shape
        assert other.std(correction=0).item() == pytest.approx(one.std(correction=0).item(), rel=0.25)
    linear = net.heads[1].linear
    assert linear.bias.count_nonzero() == 0
    assert linear.weight.std().item() == pytest.approx((2 / linear.in_features) ** 0.5, rel=0.1)


def test_a_task_moves_its_own_head_and_the_trunk(net):
    net(torch.randn(4, 1, 8, 8))[0].sum().backward()
    assert all(parameter.grad is not None for parameter in net.segments.parameters())
    assert net.heads[0].linear.weight.grad.abs().sum() > 0
    other = net.heads[1].linear.weight.grad
    assert other is None or other.count_nonzero() == 0


def test_costs(net):
    costs = exit_costs(net, (1, 8, 8))
    alone = exit_costs(ResANN(n=1, c=4, s=3, num_classes=7, in_channels=1), (1, 8, 8))
    head = 16 * 7
    assert costs.macs_fixed == alone.macs_fixed * 2
    assert costs.macs_cumulative == (alone.macs_fixed[0], alone.macs_fixed[0] + head)
    assert costs.parameters_cumulative[-1] == sum(parameter.numel() for parameter in net.parameters())


def test_the_second_task_is_computed_when_it_is_asked_for(net):
    calls = []
    net.heads[1].register_forward_hook(lambda *_: calls.append(1))
    stream = net.stream(torch.zeros(1, 1, 8, 8))
    next(stream)
    assert calls == []
    next(stream)
    assert calls == [1]


def test_registered_and_shown():
    net = NETWORKS.build("two_heads(n=2, c=8)", num_classes=3, in_channels=1)
    assert isinstance(net, TwoHeads)
    assert "n=2, c=8, head=linear" in repr(net)
    assert sum(isinstance(module, nn.Conv2d) for module in net.modules()) == 13


@pytest.mark.parametrize(
    ("options", "message"),
    [({"n": 0}, "TwoHeads n: expected at least 1, found 0"), ({"c": 3}, "c: expected an even number")],
)
def test_bad_sizes_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TwoHeads(**options)


# --- in a run ------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_second_task():
    """Digits with a second label: whether the digit is odd."""

    def change(run):
        for split in ("train", "validation", "test"):
            labels = getattr(run.data, f"{split}_labels")
            object.__setattr__(run.data, f"{split}_labels", torch.stack([labels, labels % 2], dim=1))
        return run

    return change


@pytest.mark.parametrize("weighting", ["const", "adaloss_formula", "uw"])
def test_both_tasks_are_learnt(with_second_task, weighting):
    config = RunConfig(network="two_heads(n=1, c=8)", train_size=512, batch_size=32, epochs=6, weighting=weighting)
    run = with_second_task(TrainingRun(config))
    run.fit(progress=False)
    record = run.record()
    assert record.num_exits == 2
    assert all(last < 0.7 * first for first, last in zip(record.epoch_losses[0], record.epoch_losses[-1], strict=True))
    assert record.test.error[0] < 0.5  # chance is 0.9
    assert record.test.error[1] < 0.3  # chance is 0.5


def test_one_label_may_be_learnt_by_both(tiny_config):
    record = train(tiny_config(network="two_heads(n=1, c=4)"), progress=False)
    assert (record.num_exits, len(record.test.error)) == (2, 2)

"""The other side of the comparison computes the same."""

import pytest
import torch

from anytime_core import ResANN
from anytime_core.costs import exit_costs
from anytime_study.datasets import load_dataset
from benchmarks.convolutions import convolutions_of
from benchmarks.plain_network import PlainResANN
from benchmarks.plain_training import PlainTraining


@pytest.mark.parametrize(("n", "c", "channels", "size"), [(1, 4, 1, 8), (2, 6, 3, 28)])
@pytest.mark.parametrize("training", [True, False])
def test_the_plain_network_has_the_packages_logits(n, c, channels, size, training):
    torch.manual_seed(0)
    network = ResANN(n=n, c=c, num_classes=10, in_channels=channels).train(training)
    plain = PlainResANN(n, c, num_classes=10, in_channels=channels).train(training)
    # both list the stem, the units and the heads in this order
    names = list(plain.state_dict())
    plain.load_state_dict(dict(zip(names, network.state_dict().values(), strict=True)))
    images = torch.randn(5, channels, size, size)
    torch.testing.assert_close(torch.stack(plain(images)), network(images))


def test_the_plain_loop_learns_with_the_weights_of_adaloss():
    torch.manual_seed(0)
    plain = PlainTraining(
        PlainResANN(1, 4, num_classes=10, in_channels=1),
        load_dataset("digits"),
        batch_size=32,
        workers=0,
        threads=1,
        device=torch.device("cpu"),
    )
    batches = plain.batches()
    images, labels = next(batches)
    assert images.shape == (32, 1, 8, 8)
    plain.step(images, labels)
    first = list(plain.averages)
    for _ in range(99):
        plain.step(images, labels)
    assert sum(plain.averages) < sum(first)
    assert max(plain.weights) == pytest.approx(1)
    smallest = min(plain.averages)
    assert plain.weights == pytest.approx([0.93 * smallest / average + 0.07 for average in plain.averages])


def test_all_convolutions_are_found_once_per_occurrence():
    network = ResANN(n=2, c=4, in_channels=1)
    shapes = convolutions_of(network, torch.randn(3, 1, 28, 28))
    assert sum(shapes.values()) == 1 + 2 * 6
    assert [shape.first for shape in shapes].count(True) == 1
    first = next(shape for shape in shapes if shape.first)
    linear = sum(head.linear.weight.numel() for head in network.heads)
    forward = sum((shape.macs // (2 if shape.first else 3)) * count for shape, count in shapes.items()) / 3
    assert first.macs == 2 * 3 * 28 * 28 * 9 * 4
    assert forward + linear == exit_costs(network, (1, 28, 28)).macs_cumulative[-1]

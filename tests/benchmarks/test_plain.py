"""The other side of the comparison computes the same."""

import pytest
import torch

from anytime_core import ResANN
from benchmarks.machine import Settings
from benchmarks.plain import PlainResANN, PlainTraining
from tests.core.weighting.reference import adaloss_weights


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
    plain = PlainTraining(Settings(quick=True, device="cpu", threads=1), workers=0)
    batches = plain.batches()
    images, labels = next(batches)
    assert images.shape == (32, 1, 8, 8)
    plain.step(images, labels)
    first = list(plain.averages)
    for _ in range(99):
        plain.step(images, labels)
    assert sum(plain.averages) < sum(first)
    (weights,) = adaloss_weights([plain.averages], refresh_period=1)
    assert plain.weights == pytest.approx(weights)

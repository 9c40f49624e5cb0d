"""He initialisation, fan-in, truncated normal (He et al. 2015; the released code of Hu et al. 2019)."""

import math

import pytest
import torch
from torch import nn

from anytime_core import DenseANN, MSDNet, ResANN


@pytest.mark.parametrize(
    "build",
    [
        lambda: ResANN(n=2, c=32, num_classes=1000),
        lambda: DenseANN(n=2, growth=16, num_classes=100),
        lambda: MSDNet((2, 2), growth=32),
    ],
    ids=["ResANN", "DenseANN", "MSDNet"],
)
def test_weights_and_biases(build):
    torch.manual_seed(0)
    for module in build().modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            std = math.sqrt(2 / module.weight[0].numel())
            values = module.weight.detach().flatten()
            tolerance = 4 * std / math.sqrt(2 * len(values))  # fan-out would be off by √2 where channels double
            assert values.std().item() == pytest.approx(std, abs=tolerance)
            assert values.mean().item() == pytest.approx(0, abs=5 * std / math.sqrt(len(values)))
            assert values.abs().max() <= 2 * std / 0.8796  # truncated at two standard deviations of the uncut normal
            assert (module.bias is None) == isinstance(module, nn.Conv2d)
            assert module.bias is None or not module.bias.any()
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert not module.bias.any()


def test_the_seed_decides_the_weights():
    def weights(seed):
        torch.manual_seed(seed)
        return ResANN(n=1, c=4).state_dict()

    first, again, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["segments.0.0.weight"], other["segments.0.0.weight"])

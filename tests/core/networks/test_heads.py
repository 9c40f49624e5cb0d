import math

import pytest
import torch
from torch import nn

from anytime_core import DenseANN
from anytime_core.networks.heads import global_average, linear_head
from anytime_core.networks.msdnet import CoarsestHead

SCALE = 1 / math.sqrt(1 + 1e-5)  # what batch norm multiplies by before it has seen data


def fill(head, *, conv=0.0, linear=2.0):
    """Set every weight of the convolutions and of the linear layer (bias 0.5)."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, conv)
    nn.init.constant_(head.linear.weight, linear)
    nn.init.constant_(head.linear.bias, 0.5)
    return head.eval()


def test_linear_by_hand():
    head = linear_head(2, 1)
    head.linear.weight.data = torch.tensor([[1.0, 10.0]])
    head.linear.bias.data = torch.tensor([0.5])
    x = torch.tensor([[[4.0, -4], [0, 0]], [[-1, -1], [-1, -1]]])[None]  # ReLU comes before the mean
    assert head(x).item() == 1 * 1.0 + 10 * 0.0 + 0.5


def test_the_exit_of_msdnet_by_hand():
    # 1×1 image: a padded 3×3 convolution is its centre weight; on large images it is as wide as the map
    head = fill(CoarsestHead(2, 1, large_images=True).head, conv=3.0)
    x = torch.tensor([4.0, -4.0]).view(1, 2, 1, 1)
    assert head(x).item() == pytest.approx(2 * 2 * (2 * 3) * (3 * 4) * SCALE**2 + 0.5)
    assert head(-x.abs()).item() == 0.5
    assert CoarsestHead(2, 1, large_images=False).head.linear.in_features == 128


def test_the_exit_of_msdnet_reads_the_coarsest_map_and_halves_its_size_twice():
    head, sizes = CoarsestHead(3, 10, large_images=True), []
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *hooked: sizes.append(tuple(hooked[2].shape[1:])))
    head([torch.randn(2, 5, 26, 16), torch.randn(2, 3, 13, 8)])
    assert sizes == [(3, 7, 4), (3, 4, 2)]


def test_the_exit_of_a_dense_network_by_hand():
    head = DenseANN(n=1, growth=2, s=3, num_classes=1).heads[0]
    fill(head, linear=0.25)  # four channels
    x = torch.tensor([4.0, -4.0]).expand(1, 4, 1, 2)
    head.body[0].running_mean.fill_(3.0)  # batch norm comes first, then the ReLU
    assert head(x).item() == pytest.approx(0.25 * 4 * 1 / 2 * SCALE + 0.5)


def test_global_average_is_the_mean_over_pixels():
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(global_average(x), x.mean((2, 3)))

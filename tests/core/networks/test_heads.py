import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from anytime_core import DenseANN
from anytime_core.networks.heads import global_average, make_head

KINDS = ["linear", "1x1", "bn", "msdense", "rescale"]
SCALE = 1 / math.sqrt(1 + 1e-5)  # what batch norm multiplies by before it has seen data


def fill(head, *, conv=0.0, linear=2.0):
    """Set every weight of the convolutions and of the linear layer (bias 0.5)."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, conv)
    nn.init.constant_(head.linear.weight, linear)
    nn.init.constant_(head.linear.bias, 0.5)
    return head.eval()


def image(*rows):
    """One image of one channel."""
    return torch.tensor(rows)[None, None]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("last_stage", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 8)])
def test_any_map_gives_logits(kind, last_stage, size):
    head = make_head(kind, 6, 10, last_stage=last_stage, width=5)
    assert head(torch.randn(2, 6, *size)).shape == (2, 10)
    assert head.linear.in_features == (5 if kind == "msdense" else 6)  # the width is that of no other


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="head: expected one of linear, 1x1, bn, msdense, rescale, found 'bnn'"):
        make_head("bnn", 4, 10)


# --- by hand -------------------------------------------------------------------------------------------------------


def test_linear_by_hand():
    head = make_head("linear", 2, 1)
    head.linear.weight.data = torch.tensor([[1.0, 10.0]])
    head.linear.bias.data = torch.tensor([0.5])
    x = torch.tensor([[[4.0, -4], [0, 0]], [[-1, -1], [-1, -1]]])[None]  # ReLU comes before the mean
    assert head(x).item() == 1 * 1.0 + 10 * 0.0 + 0.5


def test_1x1_by_hand():
    x = image([4.0, -4.0])
    assert fill(make_head("1x1", 1, 1), conv=3.0)(x).item() == pytest.approx(2 * (3 * 4 * SCALE) / 2 + 0.5)
    # the second ReLU stops what the convolution made negative
    assert fill(make_head("1x1", 1, 1), conv=-3.0)(x).item() == 0.5


def test_bn_by_hand():
    head = fill(make_head("bn", 1, 1))
    assert head(image([4.0, -4.0])).item() == pytest.approx(2 * 4 / 2 * SCALE + 0.5)
    head.body[1].running_mean.fill_(3.0)  # no ReLU after batch norm: the mean may be negative
    assert head(image([4.0, -4.0])).item() == pytest.approx(2 * (2 - 3) * SCALE + 0.5)


def test_msdense_by_hand():
    # 1×1 image: a padded 3×3 convolution is its centre weight
    head = fill(make_head("msdense", 1, 1, width=2), conv=3.0)
    assert head(image([4.0])).item() == pytest.approx(2 * 2 * (2 * 3) * 3 * 4 * SCALE**2 + 0.5)  # 2 channels twice
    assert head(image([-4.0])).item() == 0.5


def test_msdense_halves_the_size_twice():
    head, sizes = make_head("msdense", 3, 10, width=4), []
    for module in head.body:
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *hooked: sizes.append(tuple(hooked[2].shape[1:])))
    head(torch.randn(2, 3, 13, 8))
    assert sizes == [(4, 7, 4), (4, 4, 2)]


def test_rescale_by_hand():
    x = image([4.0, -2.0])
    # without a ReLU before the convolution, a negative weight lets the negative half through
    assert fill(make_head("rescale", 1, 1), conv=-3.0)(x).item() == pytest.approx(2 * 6 / 2 * SCALE + 0.5)
    enlarged = F.interpolate(x, (7, 7), mode="bilinear", align_corners=False)
    expected = 2 * (-3 * enlarged).relu().mean().item() * SCALE + 0.5
    head = fill(make_head("rescale", 1, 1, last_stage=False), conv=-3.0)
    assert head(x).item() == pytest.approx(expected)


def test_the_exit_of_a_dense_network_by_hand():
    head = DenseANN(n=1, growth=2, s=3, num_classes=1).heads[0]
    fill(head, linear=0.25)  # six channels
    x = torch.tensor([4.0, -4.0]).expand(1, 5, 1, 2)[:, : head.linear.in_features]
    width = x.shape[1]
    head.body[0].running_mean.fill_(3.0)  # batch norm comes first, then the ReLU
    assert head(x).item() == pytest.approx(0.25 * width * 1 / 2 * SCALE + 0.5)


def test_global_average_is_the_mean_over_pixels():
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(global_average(x), x.mean((2, 3)))

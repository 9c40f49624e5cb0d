import math
import typing

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from anytime_core.networks.heads import (
    DenseHead,
    HeadKind,
    LinearHead,
    MSDenseHead,
    NormHead,
    PointwiseHead,
    RescaleHead,
    make_head,
)

KINDS = {"linear": LinearHead, "1x1": PointwiseHead, "bn": NormHead, "msdense": MSDenseHead, "rescale": RescaleHead}
SCALE = 1 / math.sqrt(1 + 1e-5)  # what batch norm multiplies by before it has seen data


def fill(head, *, conv, linear):
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


# --- by name -------------------------------------------------------------------------------------------------------


def test_every_kind_has_a_head():
    assert typing.get_args(HeadKind) == tuple(KINDS)
    for kind, expected in KINDS.items():
        assert type(make_head(kind, 4, 10)) is expected


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="head: expected one of linear, 1x1, bn, msdense, rescale, found 'bnn'"):
        make_head("bnn", 4, 10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("last_stage", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 8)])
def test_any_map_gives_logits(kind, last_stage, size):
    head = make_head(kind, 6, 10, last_stage=last_stage, width=5)
    assert head(torch.randn(2, 6, *size)).shape == (2, 10)


def test_the_width_is_that_of_msdense_and_of_no_other():
    def inner(kind):
        return [
            module.weight.shape[0] for module in make_head(kind, 6, 10, width=5).modules() if hasattr(module, "weight")
        ]

    assert inner("msdense") == [5, 5, 5, 5, 10]
    assert inner("1x1") == inner("rescale") == [6, 6, 10]
    assert make_head("msdense", 6, 10).conv1.out_channels == 128


@pytest.mark.parametrize("kind", KINDS)
def test_convolutions_have_no_bias_and_the_linear_layer_has_one(kind):
    head = make_head(kind, 6, 10)
    assert all(module.bias is None for module in head.modules() if isinstance(module, nn.Conv2d))
    assert head.linear.bias is not None


def test_only_rescale_in_the_last_stage_keeps_the_size():
    assert make_head("rescale", 4, 10, last_stage=True).size is None
    assert make_head("rescale", 4, 10, last_stage=False).size == 7
    assert "size=7" in repr(make_head("rescale", 4, 10, last_stage=False))
    assert "size kept" in repr(make_head("rescale", 4, 10))


# --- by hand -------------------------------------------------------------------------------------------------------


def test_linear_by_hand():
    head = LinearHead(2, 1)
    head.linear.weight.data = torch.tensor([[1.0, 10.0]])
    head.linear.bias.data = torch.tensor([0.5])
    x = torch.tensor([[[4.0, -4], [0, 0]], [[-1, -1], [-1, -1]]])[None]  # ReLU comes before the mean
    assert head(x).item() == 1 * 1.0 + 10 * 0.0 + 0.5


def test_1x1_by_hand():
    x = image([4.0, -4.0])
    assert fill(PointwiseHead(1, 1), conv=3.0, linear=2.0)(x).item() == pytest.approx(2 * (3 * 4 * SCALE) / 2 + 0.5)
    # the second ReLU stops what the convolution made negative
    assert fill(PointwiseHead(1, 1), conv=-3.0, linear=2.0)(x).item() == 0.5


def test_bn_by_hand():
    head = fill(NormHead(1, 1), conv=0, linear=2.0)
    assert head(image([4.0, -4.0])).item() == pytest.approx(2 * 4 / 2 * SCALE + 0.5)
    head.norm.running_mean.fill_(3.0)  # no ReLU after batch norm: the mean may be negative
    assert head(image([4.0, -4.0])).item() == pytest.approx(2 * (2 - 3) * SCALE + 0.5)


def test_msdense_by_hand():
    # 1×1 image: a padded 3×3 convolution is its centre weight
    head = fill(MSDenseHead(1, 1, width=2), conv=3.0, linear=2.0)
    assert head(image([4.0])).item() == pytest.approx(2 * 2 * (2 * 3) * 3 * 4 * SCALE**2 + 0.5)  # 2 channels twice
    assert head(image([-4.0])).item() == 0.5


def test_msdense_halves_the_size_twice():
    head, sizes = MSDenseHead(3, 10, width=4), []
    for convolution in (head.conv1, head.conv2):
        convolution.register_forward_hook(lambda *hooked: sizes.append(tuple(hooked[2].shape[1:])))
    head(torch.randn(2, 3, 13, 8))
    assert sizes == [(4, 7, 4), (4, 4, 2)]


def test_rescale_by_hand():
    x = image([4.0, -2.0])
    # without a ReLU before the convolution, a negative weight lets the negative half through
    assert fill(RescaleHead(1, 1, size=None), conv=-3.0, linear=2.0)(x).item() == pytest.approx(2 * 6 / 2 * SCALE + 0.5)
    enlarged = F.interpolate(x, (5, 5), mode="bilinear", align_corners=False)
    expected = 2 * (-3 * enlarged).relu().mean().item() * SCALE + 0.5
    assert fill(RescaleHead(1, 1, size=5), conv=-3.0, linear=2.0)(x).item() == pytest.approx(expected)


def test_the_exit_of_a_dense_network_by_hand():
    head = fill(DenseHead(1, 1), conv=0, linear=2.0)
    assert head(image([4.0, -4.0])).item() == pytest.approx(2 * 4 / 2 * SCALE + 0.5)
    head.norm.running_mean.fill_(3.0)  # batch norm comes first, then the ReLU
    assert head(image([4.0, -4.0])).item() == pytest.approx(2 * 1 / 2 * SCALE + 0.5)

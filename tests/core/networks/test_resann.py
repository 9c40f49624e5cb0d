import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from anytime_core import ResANN, exit_costs
from anytime_core.networks.units import BasicUnit
from anytime_study.runs.imagenet import BottleneckUnit, resann_imagenet


def convolutions(net):
    return [module for module in net.modules() if isinstance(module, nn.Conv2d)]


def without_residual(channels_in, channels_out):
    """A unit whose residual is zero, so that its shortcut is seen alone."""
    unit = BasicUnit(channels_in, channels_out).eval()
    nn.init.zeros_(unit.norm3.weight)
    return unit


# --- size ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "c"), [(1, 2), (1, 16), (2, 8), (5, 16), (7, 32), (9, 16), (3, 64)])
def test_multiply_adds_and_parameters_of_the_convolutions(n, c):
    with torch.device("meta"):
        net = ResANN(n=n, c=c, s=3 * n)  # one exit
    head = 4 * c * 10
    assert exit_costs(net, (3, 32, 32)).macs_fixed == (9 * 1024 * c**2 * (6 * n - 1) + 27 * 1024 * c + head,)
    assert sum(module.weight.numel() for module in convolutions(net)) == 27 * c + c**2 * (378 * n - 90)


def test_the_sizes_that_the_literature_quotes():
    with torch.device("meta"):
        costs = exit_costs(ResANN(n=5, c=16), (3, 32, 32))
    assert len(costs.macs_fixed) == 15
    assert costs.macs_fixed[-1] == pytest.approx(6.89e7, rel=1e-3)
    assert costs.parameters_fixed[-1] == pytest.approx(0.461e6, rel=1e-2)


@pytest.mark.parametrize(
    ("n", "s", "units"),
    [
        (1, 1, [1, 1, 1]),
        (1, 2, [1, 2]),
        (1, 3, [3]),
        (3, 4, [1, 4, 4]),
        (3, 5, [4, 5]),
        (3, 2, [1, 2, 2, 2, 2]),
        (3, 8, [1, 8]),
        (3, 9, [9]),
        (25, 3, [3] * 25),
    ],
)
def test_exits_are_counted_back_from_the_last_unit(n, s, units):
    with torch.device("meta"):
        net = ResANN(n=n, c=2, s=s)
    assert [sum(isinstance(module, BasicUnit) for module in segment) for segment in net.segments] == units
    assert net.num_exits == 1 + (3 * n - 1) // s
    assert sum(isinstance(module, nn.Conv2d) for segment in net.segments for module in segment) == 1  # the first one


def test_channels_double_and_sizes_halve_from_stage_to_stage():
    net = ResANN(n=2, c=4, num_classes=7, in_channels=1).eval()
    state, shapes = torch.zeros(3, 1, 32, 32), []
    for segment in net.segments:
        state = segment(state)
        shapes.append(tuple(state.shape))
    assert shapes == [(3, 4, 32, 32)] * 2 + [(3, 8, 16, 16)] * 2 + [(3, 16, 8, 8)] * 2
    assert [head.linear.in_features for head in net.heads] == [4, 4, 8, 8, 16, 16]
    assert net(torch.zeros(3, 1, 32, 32)).shape == (6, 3, 7)


@pytest.mark.parametrize(
    ("size", "sizes"),
    [(28, [28, 14, 7]), (14, [14, 7, 4]), (7, [7, 4, 2]), (8, [8, 4, 2]), (1, [1, 1, 1]), (5, [5, 3, 2])],
)
def test_odd_and_small_images(size, sizes):
    net = ResANN(n=1, c=2, in_channels=1).eval()
    state, found = torch.randn(2, 1, size, size), []
    for segment in net.segments:
        state = segment(state)
        found.append(state.shape[-1])
    assert found == sizes
    assert net(torch.randn(2, 1, size, size)).isfinite().all()


# --- units by hand -------------------------------------------------------------------------------------------------


def test_the_shortcut_keeps_x_where_nothing_changes():
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(without_residual(4, 4)(x), x)


def test_the_shortcut_averages_and_pads_zero_channels_on_both_sides():
    x = torch.tensor([[[1.0, 2], [3, 4]], [[10, 20], [30, 40]]])[None]  # [1, 2, 2, 2]
    assert without_residual(2, 4)(x).flatten().tolist() == [0, 2.5, 25, 0]


def test_the_shortcut_of_an_odd_size_averages_what_exists_at_the_border():
    x = torch.arange(1.0, 10).view(1, 1, 3, 3).expand(1, 2, 3, 3)
    out = without_residual(2, 4)(x)
    assert out[0, 1].tolist() == [[(1 + 2 + 4 + 5) / 4, (3 + 6) / 2], [(7 + 8) / 2, 9]]
    assert torch.equal(out[0, 1], out[0, 2])
    assert out[0, [0, 3]].count_nonzero() == 0


def test_a_unit_by_hand():
    # 1×1 image: a padded 3×3 convolution is its centre weight; batch norm starts as x / sqrt(1 + 1e-5)
    unit = BasicUnit(1, 1).eval()
    for convolution, centre in [(unit.conv1, -2.0), (unit.conv2, 3.0)]:
        nn.init.zeros_(convolution.weight)
        convolution.weight.data[0, 0, 1, 1] = centre
    unit.norm2.bias.data.fill_(5.0)
    scale = 1 / math.sqrt(1 + 1e-5)

    def by_hand(x):
        return x + scale * 3 * max(0, scale * -2 * max(0, scale * x) + 5)

    for x in (-1.0, 0.0, 1.0, 4.0):
        assert unit(torch.full((1, 1, 1, 1), x)).item() == pytest.approx(by_hand(x), rel=1e-6)
    assert unit(torch.full((1, 1, 1, 1), -1.0)).item() > 0  # no activation before the sum: x itself passes …
    nn.init.zeros_(unit.norm3.weight)
    assert unit(torch.full((1, 1, 1, 1), -1.0)).item() == -1  # … and none after it


# --- for ImageNet --------------------------------------------------------------------------------------------------


def imagenet(*args, **options):
    with torch.device("meta"):
        return resann_imagenet(*args, **options)


def units_of(net):
    return [module for module in net.modules() if isinstance(module, BasicUnit | BottleneckUnit)]


# --- size ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("depth", "segments"),
    [
        (14, [1, 1, 1, 1]),
        (18, [2, 2, 2, 2]),
        (26, [2, 2, 2, 2]),
        (34, [2] * 8),
        (50, [2] * 8),
        (101, [3] * 11),
        (152, [5] * 10),
    ],
)
def test_units_and_exits_of_every_depth(depth, segments):
    net = imagenet(depth)
    assert [len(units_of(segment)) for segment in net.segments] == segments
    kind, layers = (BasicUnit, 2) if depth in (18, 34) else (BottleneckUnit, 3)
    assert {type(unit) for unit in units_of(net)} == {kind}
    assert 2 + layers * sum(segments) == depth  # with the first convolution and the linear layer


@pytest.mark.parametrize(("depth", "widths"), [(18, [64, 128, 256, 512]), (14, [256, 512, 1024, 2048])])
def test_maps_at_the_exits(depth, widths):
    net, state, shapes = imagenet(depth), torch.empty(1, 3, 224, 224, device="meta"), []
    for segment in net.segments:
        state = segment(state)
        shapes.append(tuple(state.shape[1:]))
    assert shapes == [(width, size, size) for width, size in zip(widths, [56, 28, 14, 7], strict=True)]
    assert [head.linear.in_features for head in net.heads] == widths


def test_shortcuts_are_projections_where_a_stage_starts():
    for depth, starts in [(26, [1, 3, 5, 7]), (50, [1, 4, 8, 14])]:
        projected = [number for number, unit in enumerate(units_of(imagenet(depth)), 1) if len(unit.shortcut)]
        assert projected == starts
    strides = [unit.conv2.stride[0] for unit in units_of(imagenet(50))]
    assert strides == [1] * 3 + [2] + [1] * 3 + [2] + [1] * 5 + [2] + [1] * 2


# --- parts by hand -------------------------------------------------------------------------------------------------


def test_a_bottleneck_unit_by_hand():
    torch.manual_seed(0)
    unit = BottleneckUnit(8, 16).eval()
    for module in unit.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight.data, module.bias.data, module.running_mean):
                values.normal_()
            module.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 8, 5, 5)
    inner = F.conv2d(F.relu(unit.norm1(x)), unit.conv1.weight)
    inner = F.conv2d(F.relu(unit.norm2(inner)), unit.conv2.weight, stride=2, padding=1)
    residual = unit.norm4(F.conv2d(F.relu(unit.norm3(inner)), unit.conv3.weight))
    shortcut = unit.shortcut[1](F.conv2d(x, unit.shortcut[0].weight, stride=2))  # of x itself
    assert unit(x).shape == (2, 16, 3, 3)
    torch.testing.assert_close(unit(x), shortcut + residual)


def test_a_unit_without_projection_keeps_x():
    unit = BottleneckUnit(8, 8).eval()
    nn.init.zeros_(unit.norm4.weight)
    x = torch.randn(2, 8, 3, 3)
    assert torch.equal(unit(x), x)

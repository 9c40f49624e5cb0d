"""Units, transitions and heads by hand, and the weights that they start with."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from anytime_core import DenseANN, MSDNet, ResANN
from anytime_core.networks.heads import global_average, linear_head
from anytime_core.networks.msdnet import CoarsestHead, DenseLayer, Transition
from anytime_core.networks.units import BasicUnit, DenseUnit
from anytime_study.runs.imagenet import BottleneckUnit

SCALE = 1 / math.sqrt(1 + 1e-5)  # what batch norm multiplies by before it has seen data


def pixel(*channels):
    """A map of one pixel, [1, C, 1, 1]: a padded 3×3 convolution is its centre weight there."""
    return torch.tensor(channels).view(1, -1, 1, 1)


def trained(module):
    """In evaluation mode, with batch norms that do something."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values in (part.weight.data, part.bias.data, part.running_mean):
                values.normal_()
            part.running_var.uniform_(0.5, 2)
    return module.eval()


# --- residual units ------------------------------------------------------------------------------------------------


def without_residual(channels_in, channels_out):
    """A unit whose residual is zero, so that its shortcut is seen alone."""
    unit = BasicUnit(channels_in, channels_out).eval()
    nn.init.zeros_(unit.norm3.weight)
    return unit


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


def test_a_basic_unit_by_hand():
    unit = BasicUnit(1, 1).eval()
    for convolution, centre in [(unit.conv1, -2.0), (unit.conv2, 3.0)]:
        nn.init.zeros_(convolution.weight)
        convolution.weight.data[0, 0, 1, 1] = centre
    unit.norm2.bias.data.fill_(5.0)

    def by_hand(x):
        return x + SCALE * 3 * max(0, SCALE * -2 * max(0, SCALE * x) + 5)

    for x in (-1.0, 0.0, 1.0, 4.0):
        assert unit(pixel(x)).item() == pytest.approx(by_hand(x), rel=1e-6)
    assert unit(pixel(-1.0)).item() > 0  # no activation before the sum: x itself passes …
    nn.init.zeros_(unit.norm3.weight)
    assert unit(pixel(-1.0)).item() == -1  # … and none after it


def test_a_bottleneck_unit_by_hand():
    unit = trained(BottleneckUnit(8, 16))
    x = torch.randn(2, 8, 5, 5)
    inner = F.conv2d(F.relu(unit.norm1(x)), unit.conv1.weight)
    inner = F.conv2d(F.relu(unit.norm2(inner)), unit.conv2.weight, stride=2, padding=1)
    residual = unit.norm4(F.conv2d(F.relu(unit.norm3(inner)), unit.conv3.weight))
    shortcut = unit.shortcut[1](F.conv2d(x, unit.shortcut[0].weight, stride=2))  # of x itself
    assert unit(x).shape == (2, 16, 3, 3)
    torch.testing.assert_close(unit(x), shortcut + residual)
    unit = BottleneckUnit(8, 8).eval()
    nn.init.zeros_(unit.norm4.weight)
    assert torch.equal(unit(x), x)  # without projection


# --- dense units ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bottleneck", [False, True])
def test_a_dense_unit_by_hand(bottleneck):
    unit = trained(DenseUnit(6, 3, bottleneck=bottleneck, dropout=0.5))
    x = torch.randn(2, 6, 5, 5)
    norms = [module for module in unit.modules() if isinstance(module, nn.BatchNorm2d)]
    weights = [module.weight for module in unit.modules() if isinstance(module, nn.Conv2d)]
    new = F.relu(norms[0](x))
    if bottleneck:
        assert weights[0].shape == (12, 6, 1, 1)
        new = F.relu(norms[1](F.conv2d(new, weights[0])))
    assert weights[-1].shape == (3, 12 if bottleneck else 6, 3, 3)
    out = unit(x)
    assert torch.equal(out[:, :6], x)  # what came before is still there
    torch.testing.assert_close(out[:, 6:], F.conv2d(new, weights[-1], padding=1))


def test_a_transition_by_hand():
    net = trained(DenseANN(n=1, growth=2, s=1))
    norm, _, conv, _, _ = transition = net.segments[1][0]
    x = torch.randn(1, 6, 3, 3)
    full = F.conv2d(F.relu(norm(x)), conv.weight)
    out = transition(x)
    assert out.shape == (1, 3, 2, 2)
    torch.testing.assert_close(out[..., 0, 0], full[..., :2, :2].mean((2, 3)))
    torch.testing.assert_close(out[..., 1, 1], full[..., 2, 2])  # the border averages what exists


def test_dropout_follows_every_convolution_of_units_and_transitions():
    net = DenseANN(n=2, growth=4, s=2, bottleneck=True, dropout=0.2)
    for part in [*(part for part in net.modules() if isinstance(part, DenseUnit)), net.segments[1][0]]:
        modules = [module for module in part.modules() if not isinstance(module, nn.Sequential | DenseUnit)]
        after = [type(modules[number + 1]) for number, module in enumerate(modules) if isinstance(module, nn.Conv2d)]
        assert set(after) == {nn.Dropout}
    assert {module.p for module in net.modules() if isinstance(module, nn.Dropout)} == {0.2}
    images = torch.randn(2, 3, 8, 8)
    assert not torch.equal(net(images), net(images))
    assert torch.equal(net.eval()(images), net(images))


# --- of several scales ---------------------------------------------------------------------------------------------


def ones(module):
    """Every convolution sums what it sees; batch norm changes nothing (its ε apart)."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.ones_(part.weight)
    return module.eval()


@pytest.mark.parametrize("drops_finest", [False, True])
def test_a_dense_layer_by_hand(drops_finest):
    # an edge with all weights 1 gives sum · factor · out
    layer = ones(DenseLayer([1, 2], [2, 4], growth=1, drops_finest=drops_finest))
    *fine, coarse = layer([pixel(3.0), pixel(5.0, 5.0)])
    own, strided = (5 + 5) * (4 * 2), 3 * (2 * 2)  # of 4 new channels, 2 from each source; the factor is the source's
    assert coarse.flatten().tolist() == pytest.approx([5, 5, own, own, strided, strided], rel=1e-4)
    assert len(fine) == (not drops_finest)
    for x in fine:
        assert x.flatten().tolist() == pytest.approx([3, 3 * (2 * 2), 3 * (2 * 2)], rel=1e-4)


def test_a_transition_of_every_map_by_hand():
    halved = ones(Transition([2, 5], [1, 2]))([torch.ones(1, 2, 3, 3), torch.ones(1, 5, 2, 2)])
    assert [tuple(x.shape) for x in halved] == [(1, 1, 3, 3), (1, 2, 2, 2)]
    assert [x.mean().item() for x in halved] == pytest.approx([2, 5], rel=1e-4)


# --- heads ---------------------------------------------------------------------------------------------------------


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
    head = fill(CoarsestHead(2, 1, large_images=True).head, conv=3.0)  # as wide as the map on large images
    x = pixel(4.0, -4.0)
    assert head(x).item() == pytest.approx(2 * 2 * (2 * 3) * (3 * 4) * SCALE**2 + 0.5)
    assert head(-x.abs()).item() == 0.5
    assert CoarsestHead(2, 1, large_images=False).head.linear.in_features == 128


def test_the_exit_of_a_dense_network_by_hand():
    head = DenseANN(n=1, growth=2, s=3, num_classes=1).heads[0]
    fill(head, linear=0.25)  # four channels
    x = torch.tensor([4.0, -4.0]).expand(1, 4, 1, 2)
    head.body[0].running_mean.fill_(3.0)  # batch norm comes first, then the ReLU
    assert head(x).item() == pytest.approx(0.25 * 4 * 1 / 2 * SCALE + 0.5)


def test_global_average_is_the_mean_over_pixels():
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(global_average(x), x.mean((2, 3)))


# --- initialisation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        lambda: ResANN(n=2, c=32, num_classes=1000),
        lambda: DenseANN(n=2, growth=16, num_classes=100),
        lambda: MSDNet((2, 2), growth=32),
    ],
    ids=["ResANN", "DenseANN", "MSDNet"],
)
def test_he_initialisation(build):
    """Fan-in, truncated normal (He et al. 2015; the released code of Hu et al. 2019)."""
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

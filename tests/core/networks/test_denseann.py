import pytest
import torch
import torch.nn.functional as F
from torch import nn

from anytime_core import DenseANN
from anytime_core.networks.units import DenseUnit
from anytime_study.runs.imagenet import denseann_imagenet


def on_meta(constructor=denseann_imagenet, *args, **options):
    with torch.device("meta"):
        return constructor(*args, **options)


def units_of(net):
    return [module for module in net.modules() if isinstance(module, DenseUnit)]


def exits_of(net):
    """Units, numbered from 1, that are followed by an exit."""
    counts = [len(units_of(segment)) for segment in net.segments]
    return [sum(counts[: number + 1]) for number in range(len(counts))]


# --- size ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("depth", "blocks", "exits"),
    [
        (121, [6, 12, 24, 16], [13, 22, 31, 40, 49, 58]),
        (169, [6, 12, 32, 32], [12, 26, 40, 54, 68, 82]),
        (201, [6, 12, 48, 32], [13, 30, 47, 64, 81, 98]),
    ],
)
def test_exits_and_channels_of_every_depth(depth, blocks, exits):
    net = on_meta(denseann_imagenet, depth)
    assert exits_of(net) == exits
    assert 5 + 2 * sum(blocks) == depth  # with the first convolution, three transitions and the linear layer
    found, channels = [unit.added[0].num_features for unit in units_of(net)], 64
    for block, count in enumerate(blocks):
        channels = channels // 2 if block else channels
        assert found[:count] == [channels + 32 * number for number in range(count)]
        found, channels = found[count:], channels + 32 * count
    assert net.heads[-1].linear.in_features == channels
    assert all(unit.added[2].out_channels == 128 for unit in units_of(net))  # the bottleneck


def test_maps_at_the_exits():
    # 8 channels, then 4 more by every unit, halved between blocks: 8 12 16 | 8 12 16 | 8 12 16
    net, state, shapes = DenseANN(n=2, growth=4, s=1), torch.randn(2, 3, 32, 32), []
    for segment in net.segments:
        state = segment(state)
        shapes.append(tuple(state.shape[1:]))
    assert shapes == [(width, size, size) for size in (32, 16, 8) for width in (12, 16)]
    assert [head.linear.in_features for head in net.heads] == [12, 16] * 3
    assert [head.body[0].num_features for head in net.heads] == [12, 16] * 3  # each exit has its own batch norm


def test_a_transition_opens_the_segment_of_the_next_blocks_first_unit():
    def parts(segment):
        return [type(module).__name__ for module in segment]

    every = DenseANN(n=2, growth=4, s=1).segments
    assert parts(every[0]) == ["Conv2d", "DenseUnit"]
    assert [parts(segment) for segment in every[1:]] == [["DenseUnit"], ["Sequential", "DenseUnit"]] * 2 + [
        ["DenseUnit"]
    ]
    assert parts(DenseANN(n=2, growth=4, s=3).segments[1]) == ["DenseUnit", "Sequential", "DenseUnit", "DenseUnit"]


@pytest.mark.parametrize("size", [(28, 28), (7, 7), (5, 9), (1, 1)])
def test_odd_and_small_images(size):
    logits = DenseANN(n=1, growth=2, s=1, in_channels=1).eval()(torch.randn(2, 1, *size))
    assert logits.shape == (3, 2, 10)
    assert logits.isfinite().all()


# --- parts by hand -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bottleneck", [False, True])
def test_a_unit_by_hand(bottleneck):
    torch.manual_seed(0)
    unit = DenseUnit(6, 3, bottleneck=bottleneck, dropout=0.5).eval()
    for module in unit.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
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
    torch.manual_seed(0)
    net = DenseANN(n=1, growth=2, s=1).eval()
    norm, _, conv, _, _ = transition = net.segments[1][0]
    x = torch.randn(1, 6, 3, 3)
    full = F.conv2d(F.relu(norm(x)), conv.weight)
    out = transition(x)
    assert out.shape == (1, 3, 2, 2)
    torch.testing.assert_close(out[..., 0, 0], full[..., :2, :2].mean((2, 3)))
    torch.testing.assert_close(out[..., 1, 1], full[..., 2, 2])  # the border averages what exists


def test_dropout_follows_every_convolution_of_units_and_transitions():
    net = DenseANN(n=2, growth=4, s=2, bottleneck=True, dropout=0.2)
    for part in [*units_of(net), net.segments[1][0]]:
        modules = [module for module in part.modules() if not isinstance(module, nn.Sequential | DenseUnit)]
        after = [type(modules[number + 1]) for number, module in enumerate(modules) if isinstance(module, nn.Conv2d)]
        assert set(after) == {nn.Dropout}
    assert {module.p for module in net.modules() if isinstance(module, nn.Dropout)} == {0.2}
    images = torch.randn(2, 3, 8, 8)
    assert not torch.equal(net(images), net(images))
    assert torch.equal(net.eval()(images), net(images))

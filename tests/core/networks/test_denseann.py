import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from anytime_core import AnytimeNetwork
from anytime_core.networks.dense_network import DenseUnit
from anytime_core.networks.denseann import DenseANN
from anytime_core.networks.denseann_imagenet import DenseANNImageNet

SMALL = {  # options of networks that are trained here
    "plain": {"n": 2, "growth": 4, "s": 2},
    "bottleneck": {"n": 2, "growth": 4, "s": 2, "bottleneck": True},
    "dropout": {"n": 2, "growth": 4, "s": 4, "bottleneck": True, "dropout": 0.2},
    "wide": {"n": 1, "growth": 6, "s": 1, "reduction": 1.0},
}


@pytest.fixture(params=SMALL.values(), ids=SMALL.keys())
def net(request):
    torch.manual_seed(0)
    return DenseANN(**request.param)


def on_meta(constructor=DenseANN.imagenet, *args, **options):
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
    ("n", "s", "first_exit", "exits"),
    [
        (1, 1, 1, [1, 2, 3]),
        (2, 2, 1, [2, 4, 6]),
        (2, 4, 1, [2, 6]),
        (2, 6, 1, [6]),
        (3, 4, 2, [5, 9]),
        (2, 1, 6, [6]),
        (16, 3, 1, list(range(3, 49, 3))),
    ],
)
def test_exits_are_counted_back_from_the_last_unit(n, s, first_exit, exits):
    net = on_meta(DenseANN, n=n, growth=2, s=s, first_exit=first_exit)
    assert exits_of(net) == exits
    assert net.num_exits == 1 + (3 * n - first_exit) // s


@pytest.mark.parametrize(
    ("depth", "blocks", "exits"),
    [
        (121, [6, 12, 24, 16], [13, 22, 31, 40, 49, 58]),
        (169, [6, 12, 32, 32], [12, 26, 40, 54, 68, 82]),
        (201, [6, 12, 48, 32], [13, 30, 47, 64, 81, 98]),
    ],
)
def test_exits_and_channels_of_every_depth(depth, blocks, exits):
    net = on_meta(DenseANN.imagenet, depth)
    assert isinstance(net, DenseANNImageNet)
    assert exits_of(net) == exits
    assert 5 + 2 * sum(blocks) == depth  # with the first convolution, three transitions and the linear layer
    found, channels = [unit.added[0].num_features for unit in units_of(net)], 64
    for block, count in enumerate(blocks):
        channels = channels // 2 if block else channels
        assert found[:count] == [channels + 32 * number for number in range(count)]
        found, channels = found[count:], channels + 32 * count
    assert net.heads[-1].linear.in_features == channels
    assert all(unit.added[2].out_channels == 128 for unit in units_of(net))  # the bottleneck


def test_the_first_exit_of_imagenet_can_be_moved():
    assert exits_of(on_meta(DenseANN.imagenet, 121, first_exit=1)) == [4, 13, 22, 31, 40, 49, 58]
    assert exits_of(on_meta(DenseANN.imagenet, 121, s=20, first_exit=30)) == [38, 58]


def test_maps_at_the_exits():
    # 8 channels, then 4 more by every unit, halved between blocks: 8 12 16 | 8 12 16 | 8 12 16
    net, state, shapes = DenseANN(n=2, growth=4, s=1), torch.randn(2, 3, 32, 32), []
    for segment in net.segments:
        state = segment(state)
        shapes.append(tuple(state.shape[1:]))
    assert shapes == [(width, size, size) for size in (32, 16, 8) for width in (12, 16)]
    assert [head.linear.in_features for head in net.heads] == [12, 16] * 3
    assert [head.norm.num_features for head in net.heads] == [12, 16] * 3  # each exit has its own batch norm


def test_a_transition_opens_the_segment_of_the_next_blocks_first_unit():
    def parts(segment):
        return [type(module).__name__ for module in segment]

    every = DenseANN(n=2, growth=4, s=1).segments
    assert parts(every[0]) == ["Conv2d", "DenseUnit"]
    assert [parts(segment) for segment in every[1:]] == [["DenseUnit"], ["Sequential", "DenseUnit"]] * 2 + [
        ["DenseUnit"]
    ]
    assert parts(DenseANN(n=2, growth=4, s=3).segments[1]) == ["DenseUnit", "Sequential", "DenseUnit", "DenseUnit"]


@pytest.mark.parametrize(("reduction", "channels"), [(1.0, 12), (0.5, 6), (0.4, 4), (0.01, 1)])
def test_reduction_rounds_down_and_keeps_at_least_one_channel(reduction, channels):
    units = units_of(DenseANN(n=1, growth=4, s=3, reduction=reduction))
    assert units[1].added[0].num_features == channels


@pytest.mark.parametrize("size", [(28, 28), (7, 7), (5, 9), (1, 1)])
def test_odd_and_small_images(size):
    logits = DenseANN(n=1, growth=2, s=1, in_channels=1).eval()(torch.randn(2, 1, *size))
    assert logits.shape == (3, 2, 10)
    assert logits.isfinite().all()


def test_other_images_and_classes():
    net = DenseANN(n=1, growth=2, s=3, num_classes=7, in_channels=1)
    assert net(torch.randn(2, 1, 8, 8)).shape == (1, 2, 7)
    small = on_meta(DenseANN.imagenet, num_classes=7, in_channels=1)
    assert small(torch.empty(2, 1, 64, 64, device="meta")).shape == (6, 2, 7)


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


# --- as a network --------------------------------------------------------------------------------------------------


def test_stream_equals_forward_bit_for_bit(net):
    images = torch.randn(2, 3, 28, 28)
    streamed = list(net.eval().stream(images))
    assert isinstance(net, AnytimeNetwork)
    assert len(streamed) == net.num_exits
    assert torch.equal(torch.stack(streamed), net(images))


def test_asking_for_k_exits_runs_k_segments_and_k_heads(net):
    ran = []
    for kind, modules in [("segment", net.segments), ("head", net.heads)]:
        for number, module in enumerate(modules):
            module.register_forward_hook(lambda *_, kind=kind, number=number: ran.append((kind, number)))
    stream = net.eval().stream(torch.zeros(1, 3, 8, 8))
    for asked in range(1, net.num_exits + 1):
        next(stream)
        assert ran == [(kind, number) for number in range(asked) for kind in ("segment", "head")]


@pytest.mark.parametrize("size", [28, 32])
def test_one_step_of_training(net, size):
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    logits = net(torch.randn(4, 3, size, size))
    F.cross_entropy(logits.flatten(0, 1), torch.arange(4).repeat(net.num_exits)).backward()
    optimiser.step()
    assert logits.shape == (net.num_exits, 4, 10)
    assert not any(torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True))


def test_imagenet_trains_on_small_images_too():
    torch.manual_seed(0)
    net = DenseANN.imagenet(121, s=29, first_exit=29, num_classes=10)
    logits = net(torch.randn(2, 3, 32, 32))
    logits.square().mean().backward()
    assert logits.shape == (2, 2, 10)
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in net.parameters())


def test_compiles_without_a_graph_break(net):
    torch.compiler.reset()
    images = torch.randn(2, 3, 8, 8)
    compiled = torch.compile(net.eval(), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(images), net(images))


def test_without_gradient_each_segment_is_trained_by_its_own_exit():
    torch.manual_seed(0)
    net = DenseANN(n=2, growth=4, s=2, gradient_passed=0.0)
    images = torch.randn(4, 3, 8, 8)
    outputs = net.eval()(images)
    net.gradient_passed = 1.0
    assert torch.equal(outputs, net(images))
    net.gradient_passed = 0.0
    logits, parameters = net.train()(images), list(net.segments[0].parameters())
    own, later = (torch.autograd.grad(exit.square().sum(), parameters, retain_graph=True) for exit in logits[:2])
    assert all(gradient.count_nonzero() > 0 for gradient in own)
    assert all(gradient.count_nonzero() == 0 for gradient in later)


@torch.no_grad()
def test_a_real_image():
    torch.manual_seed(0)
    logits = DenseANN.imagenet(121).eval()(torch.randn(1, 3, 224, 224))
    assert logits.shape == (6, 1, 1000)
    assert logits.isfinite().all()
    assert len({exit.argmax().item() for exit in logits}) > 1  # exits are different networks


def test_he_initialisation_with_fan_in():
    torch.manual_seed(0)
    for module in DenseANN(n=2, growth=16, s=3, num_classes=100).modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            std = math.sqrt(2 / module.weight[0].numel())
            assert module.weight.std().item() == pytest.approx(std, abs=4 * std / math.sqrt(2 * module.weight.numel()))
            assert module.bias is None or module.bias.count_nonzero() == 0


def test_repr_shows_the_size():
    assert repr(DenseANN(n=1, growth=4, s=2)).splitlines()[:2] == [
        "DenseANN(",
        "  n=1, growth=4, bottleneck=False, s=2, reduction=0.5, dropout=0.0, first_exit=1, gradient_passed=1.0, "
        "num_exits=2",
    ]
    assert repr(on_meta(DenseANN.imagenet, 169, dropout=0.1)).splitlines()[:2] == [
        "DenseANNImageNet(",
        "  depth=169, s=14, reduction=0.5, dropout=0.1, first_exit=11, gradient_passed=1.0, num_exits=6",
    ]


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n: expected at least 1, found 0"),
        ({"growth": 0}, "growth: expected at least 1, found 0"),
        ({"num_classes": 0}, "num_classes: expected at least 1, found 0"),
        ({"in_channels": -1}, "in_channels: expected at least 1, found -1"),
        ({"n": 2, "s": 7}, "s: expected 1 to 6, the number of units, found 7"),
        ({"n": 2, "s": 0}, "s: expected 1 to 6, the number of units, found 0"),
        ({"n": 2, "first_exit": 7}, "first_exit: expected 1 to 6, the number of units, found 7"),
        ({"reduction": 0.0}, "reduction: expected above 0 and at most 1, found 0.0"),
        ({"reduction": 1.5}, "reduction: expected above 0 and at most 1, found 1.5"),
        ({"dropout": 1.0}, "dropout: expected at least 0 and below 1, found 1.0"),
        ({"dropout": -0.1}, "dropout: expected at least 0 and below 1, found -0.1"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=rf"^DenseANN {message}$"):
        on_meta(DenseANN, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 100}, r"\.imagenet depth: expected one of 121, 169, 201, found 100"),
        ({"num_classes": 0}, r"\.imagenet num_classes: expected at least 1, found 0"),
        ({"in_channels": 0}, r"\.imagenet in_channels: expected at least 1, found 0"),
        ({"s": 59}, " s: expected 1 to 58, the number of units, found 59"),
        ({"first_exit": 0}, " first_exit: expected 1 to 58, the number of units, found 0"),
    ],
)
def test_what_does_not_fit_imagenet_is_refused(options, message):
    with pytest.raises(ValueError, match=rf"^DenseANN{message}$"):
        on_meta(**options)

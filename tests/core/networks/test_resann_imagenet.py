import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from anytime_core import AnytimeNetwork, ResANN
from anytime_core.networks.resann_imagenet import ResANNImageNet, imagenet_stem
from anytime_core.networks.residual_units import BasicUnit, BottleneckUnit

DEPTHS = [14, 18, 26, 34, 50, 101, 152]
SMALL = {  # options of networks that are trained here
    "basic": {"depth": 18},
    "bottleneck": {"depth": 14},
    "resnext": {"depth": 14, "resnext": True},
    "bn": {"depth": 14, "s": 3, "head": "bn"},
    "rescale": {"depth": 14, "s": 3, "head": "rescale"},
    "msdense": {"depth": 18, "s": 4, "head": "msdense"},
}


@pytest.fixture(params=SMALL.values(), ids=SMALL.keys())
def net(request):
    torch.manual_seed(0)
    return ResANN.imagenet(**request.param, num_classes=10)


def on_meta(*args, **options):
    with torch.device("meta"):
        return ResANN.imagenet(*args, **options)


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
    net = on_meta(depth)
    assert isinstance(net, ResANNImageNet)
    assert [len(units_of(segment)) for segment in net.segments] == segments
    kind, layers = (BasicUnit, 2) if depth in (18, 34) else (BottleneckUnit, 3)
    assert {type(unit) for unit in units_of(net)} == {kind}
    assert 2 + layers * sum(segments) == depth  # with the first convolution and the linear layer


def test_exits_can_be_placed_otherwise():
    segments = on_meta(50, s=3, first_exit=4).segments
    assert [len(units_of(segment)) for segment in segments] == [4, 3, 3, 3, 3]


@pytest.mark.parametrize(("depth", "widths"), [(18, [64, 128, 256, 512]), (14, [256, 512, 1024, 2048])])
def test_maps_at_the_exits(depth, widths):
    net, state, shapes = on_meta(depth), torch.empty(1, 3, 224, 224, device="meta"), []
    for segment in net.segments:
        state = segment(state)
        shapes.append(tuple(state.shape[1:]))
    assert shapes == [(width, size, size) for width, size in zip(widths, [56, 28, 14, 7], strict=True)]
    assert [head.linear.in_features for head in net.heads] == widths


def test_the_inner_widths_of_resnext_are_32_times_4_doubled_at_every_stage():
    units = units_of(on_meta(50, resnext=True))
    inner = [32 * paths for paths, count in zip([4, 8, 16, 32], [3, 4, 6, 3], strict=True) for _ in range(count)]
    assert [unit.conv2.out_channels for unit in units] == inner
    assert [unit.conv1.out_channels for unit in units] == inner
    assert {unit.conv2.groups for unit in units} == {32}
    assert [unit.conv3.out_channels for unit in units] == [8 * width // 4 for width in inner]


def test_shortcuts_are_projections_where_a_stage_starts():
    for depth, starts in [(26, [1, 3, 5, 7]), (50, [1, 4, 8, 14])]:
        projected = [number for number, unit in enumerate(units_of(on_meta(depth)), 1) if len(unit.shortcut)]
        assert projected == starts
    strides = [unit.conv2.stride[0] for unit in units_of(on_meta(50))]
    assert strides == [1] * 3 + [2] + [1] * 3 + [2] + [1] * 5 + [2] + [1] * 2


def test_heads_know_the_stage_and_the_width():
    assert [head.size for head in on_meta(26, s=1, head="rescale").heads] == [7] * 6 + [None] * 2
    heads = on_meta(18, head="msdense").heads
    assert [head.conv1.out_channels for head in heads] == [64, 128, 256, 512]  # as wide as the map


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


@pytest.mark.parametrize(
    ("channels", "inner", "stride", "projected"),
    [((64, 256), 64, 1, True), ((256, 256), 64, 1, False), ((256, 512), 128, 2, True), ((512, 512), 128, 1, False)],
)
def test_the_shape_of_a_bottleneck_unit(channels, inner, stride, projected):
    unit = BottleneckUnit(*channels)
    assert [unit.conv1.out_channels, unit.conv2.out_channels, unit.conv3.out_channels] == [inner, inner, channels[1]]
    assert unit.conv2.stride == (stride, stride)
    assert bool(len(unit.shortcut)) == projected
    if projected:
        assert unit.shortcut[0].stride == (stride, stride)


def test_a_unit_without_projection_keeps_x():
    unit = BottleneckUnit(8, 8).eval()
    nn.init.zeros_(unit.norm4.weight)
    x = torch.randn(2, 8, 3, 3)
    assert torch.equal(unit(x), x)


@pytest.mark.parametrize("inner", [64, 128, 256, 512])
def test_resnext_units_have_about_as_many_parameters(inner):
    with torch.device("meta"):
        plain, grouped = (BottleneckUnit(4 * inner, 4 * inner, groups) for groups in (1, 32))
    counts = [sum(parameter.numel() for parameter in unit.parameters()) for unit in (plain, grouped)]
    assert counts[1] == pytest.approx(counts[0], rel=0.05)


def test_the_stem_divides_the_size_by_four():
    stem = imagenet_stem(3, 8)
    for size, expected in [(224, 56), (32, 8), (28, 7), (30, 8), (1, 1)]:
        assert stem(torch.randn(2, 3, size, size)).shape == (2, 8, expected, expected)
    assert (stem(torch.randn(2, 3, 9, 9)) >= 0).all()


# --- as a network --------------------------------------------------------------------------------------------------


def test_stream_equals_forward_bit_for_bit(net):
    images = torch.randn(2, 3, 32, 32)
    streamed = list(net.eval().stream(images))
    assert isinstance(net, AnytimeNetwork)
    assert len(streamed) == net.num_exits
    assert torch.equal(torch.stack(streamed), net(images))


def test_asking_for_two_exits_runs_two_segments_and_two_heads(net):
    ran = []
    for kind, modules in [("segment", net.segments), ("head", net.heads)]:
        for number, module in enumerate(modules):
            module.register_forward_hook(lambda *_, kind=kind, number=number: ran.append((kind, number)))
    stream = net.eval().stream(torch.zeros(1, 3, 32, 32))
    next(stream)
    next(stream)
    assert ran == [("segment", 0), ("head", 0), ("segment", 1), ("head", 1)]


def test_one_step_of_training_at_32_pixels(net):
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    logits = net(torch.randn(4, 3, 32, 32))
    F.cross_entropy(logits.flatten(0, 1), torch.arange(4).repeat(net.num_exits)).backward()
    optimiser.step()
    assert logits.shape == (net.num_exits, 4, 10)
    after = [parameter.detach() for parameter in net.parameters()]
    assert all(values.isfinite().all() for values in after)
    assert not any(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_compiles_without_a_graph_break(net):
    torch.compiler.reset()
    images = torch.randn(1, 3, 32, 32)
    compiled = torch.compile(net.eval(), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(images), net(images))


def test_without_gradient_each_segment_is_trained_by_its_own_exit():
    torch.manual_seed(0)
    net = ResANN.imagenet(14, gradient_passed=0.0, num_classes=10)
    images = torch.randn(2, 3, 32, 32)
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
    logits = ResANN.imagenet(26).eval()(torch.randn(1, 3, 224, 224))
    assert logits.shape == (4, 1, 1000)
    assert logits.isfinite().all()
    assert len({exit.argmax().item() for exit in logits}) > 1  # exits are different networks


def test_he_initialisation_with_fan_in():
    torch.manual_seed(0)
    for module in ResANN.imagenet(14, resnext=True).modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            std = math.sqrt(2 / module.weight[0].numel())  # of a group, where there are groups
            assert module.weight.std().item() == pytest.approx(std, abs=4 * std / math.sqrt(2 * module.weight.numel()))


def test_repr_shows_the_size():
    first_lines = repr(on_meta(50, resnext=True)).splitlines()[:2]
    assert first_lines == [
        "ResANNImageNet(",
        "  depth=50, s=2, head=linear, resnext=True, first_exit=1, gradient_passed=1.0, num_exits=8",
    ]


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 20}, "depth: expected one of 14, 18, 26, 34, 50, 101, 152, found 20"),
        ({"depth": 18, "resnext": True}, "resnext: expected a depth of 14, 26, 50, 101, 152 with it, found 18"),
        ({"depth": 26, "s": 9}, "s: expected 1 to 8, the units of depth 26, found 9"),
        ({"depth": 26, "s": 0}, "s: expected 1 to 8, the units of depth 26, found 0"),
        ({"depth": 14, "first_exit": 5}, "first_exit: expected 1 to 4, the units of depth 14, found 5"),
        ({"num_classes": 0}, "num_classes: expected at least 1, found 0"),
        ({"in_channels": -1}, "in_channels: expected at least 1, found -1"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=rf"^ResANN\.imagenet {message}$"):
        on_meta(**options)


def test_other_options_are_checked_by_what_they_belong_to():
    with pytest.raises(ValueError, match="gradient_passed: expected 0 to 1, found 2"):
        on_meta(14, gradient_passed=2)
    with pytest.raises(ValueError, match=r"head: expected one of linear, .*, found 'fc'"):
        on_meta(14, head="fc")

import logging
import math

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from anytime_core import exit_costs
from anytime_core.networks.msdnet import CoarsestHead, DenseLayer, FirstLayer, MSDNet, Transition


def small(**options):
    torch.manual_seed(0)
    return MSDNet(**{"blocks": (2, 3, 2), "growth": 2, "s": 2, **options})


def by_hand(blocks, growth, s, first_exit, classes, channels, size, head_width=128):
    """MACs of the segments and of the head at each exit of a network for small images; ``size`` a multiple of 16.

    The channels of scale w before a unit follow from the units alone: they begin at 2·g·f_w, a dense layer adds g·f_w
    and a transition halves them. An edge from a to b channels costs a·(f·b) at its source and 9·(f·b)·b at its target.
    """
    factors = [1, 2, 4, 4][: len(blocks)]
    area = [(size // 2**w) ** 2 for w in range(len(blocks))]
    width = [2 * growth * f for f in factors]
    macs, total, heads, unit = 9 * channels * width[0] * area[0], 0, 0, 0
    macs += sum(9 * width[w - 1] * width[w] * area[w] for w in range(1, len(blocks)))
    rows = []
    for stage, block in enumerate(blocks):
        for layer in range(block):
            if layer == 0 and stage:
                for w in range(stage - 1, len(blocks)):  # the scale that goes next is still read once
                    macs += width[w] * (width[w] // 2) * area[w]
                    width[w] //= 2
            elif layer:
                before = list(width)
                for w in range(stage, len(blocks)):
                    finer = w > stage or (stage > 0 and layer == 1)
                    added = growth * factors[w] // (2 if finer else 1)
                    inner = factors[w] * added
                    macs += (before[w] * inner + 9 * inner * added) * area[w]
                    if finer:
                        inner = factors[w - 1] * added
                        macs += before[w - 1] * inner * area[w - 1] + 9 * inner * added * area[w]
                    width[w] += growth * factors[w]
            unit += 1
            total += macs
            macs = 0
            if unit >= first_exit and (sum(blocks) - unit) % s == 0:
                head = 9 * width[-1] * head_width * area[-1] // 4 + 9 * head_width**2 * area[-1] // 16
                heads += head + head_width * classes
                rows.append((total + heads, total + head + head_width * classes))
    return tuple(zip(*rows, strict=True))


# --- size ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocks", "growth", "s", "first_exit"),
    [((5, 5, 5), 6, 3, 1), ((2, 3, 2), 2, 1, 1), ((4, 2, 3), 3, 2, 2), ((3, 3), 6, 1, 3), ((4,), 5, 2, 1)],
)
def test_multiply_adds_by_hand_at_every_exit(blocks, growth, s, first_exit):
    with torch.device("meta"):
        net = MSDNet(blocks, growth, s, first_exit=first_exit, num_classes=7, in_channels=1)
    costs = exit_costs(net, (1, 32, 32))
    assert (costs.macs_cumulative, costs.macs_fixed) == by_hand(blocks, growth, s, first_exit, 7, 1, 32)
    assert net.num_exits == 1 + (sum(blocks) - first_exit) // s


def test_agrees_with_fvcore():
    net = MSDNet((3, 3, 3), growth=16).eval()  # wide, as it also counts batch norm
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    analysis = FlopCountAnalysis(net, torch.randn(1, 3, 32, 32)).unsupported_ops_warnings(False)  # counts MACs
    macs = exit_costs(net, (3, 32, 32)).macs_cumulative[-1]
    assert analysis.by_operator()["conv"] + analysis.by_operator()["linear"] == macs
    assert analysis.total() == pytest.approx(macs, rel=0.01)


@pytest.mark.parametrize(
    ("depth", "exits", "macs", "parameters"),
    [(23, 5, 1.326e9, 24.6e6), (32, 4, 2.074e9, 48.0e6), (33, 5, 2.601e9, 54.1e6), (38, 5, 3.347e9, 71.65e6)],
)
def test_the_networks_for_imagenet(depth, exits, macs, parameters):
    with torch.device("meta"):
        net = MSDNet.imagenet(depth)
    costs = exit_costs(net, (3, 224, 224))
    assert net.num_exits == exits
    assert sum(net.blocks) == depth
    assert costs.macs_cumulative[-1] == pytest.approx(macs, rel=1e-3)
    assert costs.parameters_cumulative[-1] == pytest.approx(parameters, rel=2e-3)


def test_the_sizes_that_the_paper_quotes():
    with torch.device("meta"):
        costs = {depth: exit_costs(MSDNet.imagenet(depth), (3, 224, 224)) for depth in (32, 38)}
    assert costs[38].flops_cumulative[-1] == pytest.approx(6.6e9, rel=0.02)
    assert costs[38].parameters_cumulative[-1] == pytest.approx(72e6, rel=0.01)
    assert costs[32].flops_cumulative[-1] == pytest.approx(4.0e9, rel=0.05)  # its stages are not in the paper


@pytest.mark.parametrize(
    ("depth", "units"),
    [(38, [10, 17, 24, 31, 38]), (32, [11, 18, 25, 32]), (23, [7, 11, 15, 19, 23]), (33, [9, 15, 21, 27, 33])],
)
def test_where_the_exits_are(depth, units):
    with torch.device("meta"):
        net = MSDNet.imagenet(depth)
    kinds = FirstLayer | DenseLayer | Transition
    sizes = [sum(isinstance(unit, kinds) for unit in segment) for segment in net.segments]
    assert [sum(sizes[: k + 1]) for k in range(len(sizes))] == units


def test_scales_are_dropped_stage_by_stage():
    net = MSDNet((2, 2, 2), growth=6, s=1).eval()
    state, seen = torch.zeros(1, 3, 32, 32), []
    for segment in net.segments:
        state = segment(state)
        seen.append([(x.shape[1], x.shape[2]) for x in state])
    assert seen == [
        [(12, 32), (24, 16), (48, 8)],  # first layer
        [(18, 32), (36, 16), (72, 8)],  # dense layer: + 6, 12, 24
        [(9, 32), (18, 16), (36, 8)],  # transition
        [(30, 16), (60, 8)],  # dense layer, which reads the finest map for the last time
        [(15, 16), (30, 8)],
        [(54, 8)],
    ]


@pytest.mark.parametrize("size", [28, 8, 7, 1])
def test_odd_and_small_images(size):
    assert small(in_channels=1).eval()(torch.randn(2, 1, size, size)).isfinite().all()


def test_images_need_not_be_square():
    assert small()(torch.randn(2, 3, 17, 32)).shape == (4, 2, 10)


def test_large_images_for_real():
    torch.manual_seed(0)
    net = MSDNet.imagenet(23).eval()
    with torch.no_grad():
        logits = net(torch.randn(1, 3, 224, 224))
    assert logits.shape == (5, 1, 1000)
    assert logits.isfinite().all()


# --- units by hand -------------------------------------------------------------------------------------------------


def ones(module):
    """Every convolution sums what it sees; batch norm changes nothing (its ε apart)."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.ones_(part.weight)
    return module.eval()


@pytest.mark.parametrize("drops_finest", [False, True])
def test_a_dense_layer_by_hand(drops_finest):
    # 1×1 maps: a padded 3×3 convolution is its centre weight, so an edge with all weights 1 gives sum · factor · out
    layer = ones(DenseLayer([1, 2], [2, 4], growth=1, drops_finest=drops_finest))
    *fine, coarse = layer([torch.full((1, 1, 1, 1), 3.0), torch.full((1, 2, 1, 1), 5.0)])
    own, strided = (5 + 5) * (4 * 2), 3 * (2 * 2)  # of 4 new channels, 2 from each source; the factor is the source's
    assert coarse.flatten().tolist() == pytest.approx([5, 5, own, own, strided, strided], rel=1e-4)
    assert len(fine) == (not drops_finest)
    for x in fine:
        assert x.flatten().tolist() == pytest.approx([3, 3 * (2 * 2), 3 * (2 * 2)], rel=1e-4)


def test_a_transition_by_hand():
    halved = ones(Transition([2, 5]))([torch.ones(1, 2, 3, 3), torch.ones(1, 5, 2, 2)])
    assert [tuple(x.shape) for x in halved] == [(1, 1, 3, 3), (1, 2, 2, 2)]
    assert [x.mean().item() for x in halved] == pytest.approx([2, 5], rel=1e-4)


def test_heads_read_the_coarsest_map():
    head = CoarsestHead(2, 3, 4).eval()
    maps = [torch.randn(1, 7, 8, 8), torch.randn(1, 2, 4, 4)]
    assert torch.equal(head(maps), head.head(maps[1]))


# --- contract ------------------------------------------------------------------------------------------------------


def test_stream_equals_forward_bit_for_bit():
    net = small().eval()
    images = torch.randn(2, 3, 16, 16)
    streamed = list(net.stream(images))
    assert len(streamed) == net.num_exits == 4
    assert torch.equal(torch.stack(streamed), net(images))


@pytest.mark.parametrize("asked", range(5))
def test_asking_for_k_exits_runs_k_segments_and_k_heads(asked):
    net = small().eval()
    ran = []
    for kind, modules in [("segment", net.segments), ("head", net.heads)]:
        for number, module in enumerate(modules):
            module.register_forward_hook(lambda *_, kind=kind, number=number: ran.append((kind, number)))
    stream = net.stream(torch.zeros(1, 3, 8, 8))
    for _ in range(asked):
        next(stream)
    assert ran == [(kind, number) for number in range(asked) for kind in ("segment", "head")]


def test_compiles_without_a_graph_break():
    net = small().eval()
    images = torch.randn(2, 3, 9, 9)
    torch.testing.assert_close(torch.compile(net, fullgraph=True, backend="eager")(images), net(images))


@pytest.mark.parametrize("size", [28, 32])
def test_one_step_of_training_moves_every_parameter(size):
    net = small()
    before = [parameter.detach().clone() for parameter in net.parameters()]
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    logits = net(torch.randn(4, 3, size, size))
    nn.functional.cross_entropy(logits.flatten(0, 1), torch.arange(4).repeat(net.num_exits)).backward()
    optimiser.step()
    assert not any(torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True))


def test_gradient_passed_scales_what_flows_back_through_all_maps():
    def gradient(factor):
        net = small(gradient_passed=factor, s=4)
        net(torch.ones(2, 3, 8, 8))[-1].sum().backward()
        return next(net.segments[0].parameters()).grad

    torch.testing.assert_close(gradient(0.5), 0.5 * gradient(1.0))


def test_he_initialisation_with_fan_in():
    torch.manual_seed(0)
    for module in MSDNet((2, 2), growth=32).modules():
        if isinstance(module, nn.Conv2d):
            std = math.sqrt(2 / module.weight[0].numel())
            assert module.bias is None
            assert module.weight.std().item() == pytest.approx(std, rel=0.2)


# --- errors and repr -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [(), (3, 1), (2, 2, 2, 2, 2)])
def test_blocks_out_of_range_are_refused(blocks):
    with pytest.raises(ValueError, match=r"MSDNet blocks: expected 1 to 4 numbers, all at least 2, found \("):
        MSDNet(blocks)


@pytest.mark.parametrize("name", ["growth", "num_classes", "in_channels"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(ValueError, match=rf"MSDNet {name}: expected at least 1, found 0"):
        MSDNet(**{name: 0})


@pytest.mark.parametrize("name", ["s", "first_exit"])
@pytest.mark.parametrize("value", [0, 16])
def test_units_that_do_not_exist_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"MSDNet {name}: expected 1 to 15, the number of units, found {value}"):
        MSDNet(**{name: value})


def test_an_unknown_depth_is_refused():
    with pytest.raises(ValueError, match=r"MSDNet.imagenet depth: expected one of 23, 32, 33, 38, found 50"):
        MSDNet.imagenet(50)


def test_repr_shows_the_size():
    assert "  blocks=(2, 3, 2), growth=2, s=2, num_exits=4\n" in repr(small())
    with torch.device("meta"):
        assert "growth=16, s=4, first_exit=5, large_images=True, num_exits=5\n" in repr(MSDNet.imagenet(23))

import pytest
import torch
from torch import nn

from anytime_core import exit_costs
from anytime_core.networks.msdnet import DenseLayer, FirstLayer, MSDNet, Transition
from anytime_study.runs.imagenet import msdnet_imagenet


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


@pytest.mark.parametrize(
    ("depth", "exits", "macs", "parameters"),
    [(23, 5, 1.326e9, 24.6e6), (32, 4, 2.074e9, 48.0e6), (33, 5, 2.601e9, 54.1e6), (38, 5, 3.347e9, 71.65e6)],
)
def test_the_networks_for_imagenet(depth, exits, macs, parameters):
    with torch.device("meta"):
        net = msdnet_imagenet(depth)
    costs = exit_costs(net, (3, 224, 224))
    assert net.num_exits == exits
    assert sum(net.options["blocks"]) == depth
    assert costs.macs_cumulative[-1] == pytest.approx(macs, rel=1e-3)
    assert costs.parameters_cumulative[-1] == pytest.approx(parameters, rel=2e-3)


def test_the_sizes_that_the_paper_quotes():
    with torch.device("meta"):
        costs = {depth: exit_costs(msdnet_imagenet(depth), (3, 224, 224)) for depth in (32, 38)}
    assert costs[38].flops_cumulative[-1] == pytest.approx(6.6e9, rel=0.02)
    assert costs[38].parameters_cumulative[-1] == pytest.approx(72e6, rel=0.01)
    assert costs[32].flops_cumulative[-1] == pytest.approx(4.0e9, rel=0.05)  # its stages are not in the paper


@pytest.mark.parametrize(
    ("depth", "units"),
    [(38, [10, 17, 24, 31, 38]), (32, [11, 18, 25, 32]), (23, [7, 11, 15, 19, 23]), (33, [9, 15, 21, 27, 33])],
)
def test_where_the_exits_are(depth, units):
    with torch.device("meta"):
        net = msdnet_imagenet(depth)
    kinds = FirstLayer | DenseLayer | Transition
    sizes = [sum(isinstance(unit, kinds) for unit in segment) for segment in net.segments]
    assert [sum(sizes[: k + 1]) for k in range(len(sizes))] == units


ORIGINAL = {  # million multiply-adds at the exits, million parameters: kalviny/MSDNet-PyTorch counted by PyTorch
    10: ([14.97, 25.26, 37.47, 51.67, 61.74, 73.59, 87.21, 99.48, 109.55, 121.09], 4.96),
    7: ([14.97, 25.26, 36.78, 45.97, 56.93, 66.53, 75.49], 3.07),
}


@pytest.mark.parametrize("num_exits", ORIGINAL)
def test_the_network_of_huang_et_al_on_cifar_100(num_exits):
    with torch.device("meta"):
        costs = exit_costs(MSDNet.original(num_exits), (3, 32, 32))
    macs, parameters = ORIGINAL[num_exits]
    assert [round(found / 1e6, 2) for found in costs.macs_cumulative] == macs
    assert round(costs.parameters_cumulative[-1] / 1e6, 2) == parameters


def test_segments_of_the_original_may_grow():
    with torch.device("meta"):
        net = MSDNet.original(5, base=1, step=1, growing=True)
    assert [sum(isinstance(unit, DenseLayer) for unit in segment) for segment in net.segments] == [1, 2, 3, 4, 5]
    assert round(exit_costs(net, (3, 32, 32)).parameters_cumulative[-1] / 1e6, 2) == 2.08


def test_a_transition_of_the_original_follows_the_layer_that_drops_the_finest_map():
    with torch.device("meta"):
        net = MSDNet.original(3, base=2, step=2)  # six layers, two for each number of scales
    kinds = [type(unit).__name__ for segment in net.segments for unit in segment]
    assert kinds == ["FirstLayer", *["DenseLayer"] * 3, "Transition", *["DenseLayer"] * 2, "Transition", "DenseLayer"]


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
    halved = ones(Transition([2, 5], [1, 2]))([torch.ones(1, 2, 3, 3), torch.ones(1, 5, 2, 2)])
    assert [tuple(x.shape) for x in halved] == [(1, 1, 3, 3), (1, 2, 2, 2)]
    assert [x.mean().item() for x in halved] == pytest.approx([2, 5], rel=1e-4)

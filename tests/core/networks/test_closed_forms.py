"""Costs, and with them where exits are and how wide and large maps are: against closed forms, written from the sizes of
units alone, against fvcore, against the original code, and against the paper's figures."""

import logging
from itertools import accumulate

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from anytime_core import AnytimeNetwork, DenseANN, ExitCosts, MSDNet, ResANN, exit_costs
from anytime_core.networks.msdnet import DenseLayer, FirstLayer, Transition
from anytime_study.runs.imagenet import denseann_imagenet, msdnet_imagenet, resann_imagenet


class Tally:
    """Adds up multiply-adds and parameters; convolutions have no bias, batch norm costs parameters only."""

    def __init__(self):
        self.macs = self.parameters = 0

    def conv(self, before, after, kernel, area):
        weights = kernel**2 * before * after
        self.macs += weights * area
        self.parameters += weights

    def norm(self, *channels):
        self.parameters += 2 * sum(channels)

    def linear(self, before, after):
        self.macs += before * after
        self.parameters += (before + 1) * after


def exit_rows(rows):
    """ExitCosts from (trunk up to here, head) of every exit."""
    table, passed_macs, passed_parameters = [], 0, 0
    for (trunk_macs, trunk_parameters), head in rows:
        passed_macs, passed_parameters = passed_macs + head.macs, passed_parameters + head.parameters
        table.append(
            (
                trunk_macs + passed_macs,
                trunk_macs + head.macs,
                trunk_parameters + passed_parameters,
                trunk_parameters + head.parameters,
            )
        )
    return ExitCosts(*zip(*table, strict=True))


def cost_of_head(channels, classes, *, norm=False):
    head = Tally()
    if norm:
        head.norm(channels)
    head.linear(channels, classes)
    return head


def cost_of_stem(tally, channels, width, size):
    tally.conv(channels, width, 7, (size // 2) ** 2)
    tally.norm(width)


def resann_by_hand(n, c, s, *, first_exit=1, classes, channels, size):
    """Costs of a ResANN; ``size`` is divisible by 4. The first of a unit's two convolutions may double the channels."""
    trunk, rows, before = Tally(), [], c
    trunk.conv(channels, c, 3, size**2)
    for unit in range(1, 3 * n + 1):
        stage = (unit - 1) // n
        width, area = c * 2**stage, (size // 2**stage) ** 2
        trunk.conv(before, width, 3, area)
        trunk.conv(width, width, 3, area)
        trunk.norm(before, width, width)
        before = width
        if unit >= first_exit and (3 * n - unit) % s == 0:
            rows.append(((trunk.macs, trunk.parameters), cost_of_head(width, classes)))
    return exit_rows(rows)


RESANN_STAGES = {
    14: [1, 1, 1, 1],
    18: [2, 2, 2, 2],
    26: [2, 2, 2, 2],
    34: [3, 4, 6, 3],
    50: [3, 4, 6, 3],
    101: [3, 4, 23, 3],
    152: [3, 8, 36, 3],
}


def resann_imagenet_by_hand(depth, s, *, size, classes=1000, channels=3):
    """Costs of an ImageNet ResANN; ``size`` is divisible by 32.

    Bottleneck unit, inner width b = 64 … 512: 1×1 at the area before the stride, 3×3 and 1×1
    after it; projection where a stage starts. Basic unit: two 3×3 convolutions after the stride.
    """
    trunk, rows, unit, before = Tally(), [], 0, 64
    cost_of_stem(trunk, channels, 64, size)
    for stage, count in enumerate(RESANN_STAGES[depth]):
        b, side = 64 * 2**stage, size // 4 // 2**stage
        for number in range(count):
            area = side**2
            if depth in (18, 34):
                after = b
                trunk.conv(before, b, 3, area)
                trunk.conv(b, b, 3, area)
                trunk.norm(before, b, b)
            else:
                after = 4 * b
                trunk.conv(before, b, 1, 4 * area if stage and not number else area)
                trunk.conv(b, b, 3, area)
                trunk.conv(b, after, 1, area)
                trunk.norm(before, b, b, after)
                if not number:
                    trunk.conv(before, after, 1, area)
                    trunk.norm(after)
            before, unit = after, unit + 1
            if (sum(RESANN_STAGES[depth]) - unit) % s == 0:
                rows.append(((trunk.macs, trunk.parameters), cost_of_head(after, classes)))
    return exit_rows(rows)


def denseann_by_hand(trunk, blocks, growth, exits, *, side, bottleneck, classes):
    """Costs of a DenseANN after the stem that ``trunk`` holds already; ``side`` is that of the first block's maps.

    A unit reads w channels: BN and 9·w·g, or BN, w·4g, BN and 9·4g·g per pixel. A transition halves w by w·w/2 per
    pixel before it halves the side, and is paid by the unit after it. A head is BN and a linear layer.
    """
    width, unit, rows = 2 * growth, 0, []
    for block, count in enumerate(blocks):
        if block:
            trunk.norm(width)
            trunk.conv(width, width // 2, 1, side**2)
            width, side = width // 2, side // 2
        for _ in range(count):
            trunk.norm(width)
            inner = width
            if bottleneck:
                inner = 4 * growth
                trunk.conv(width, inner, 1, side**2)
                trunk.norm(inner)
            trunk.conv(inner, growth, 3, side**2)
            width, unit = width + growth, unit + 1
            if unit in exits:
                rows.append(((trunk.macs, trunk.parameters), cost_of_head(width, classes, norm=True)))
    return exit_rows(rows)


def msdnet_by_hand(blocks, growth, s, first_exit, classes, channels, size, head_width=128):
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


def on_meta(constructor, *args, **options):
    with torch.device("meta"):
        return constructor(*args, **options)


def test_any_network_by_hand():
    net = AnytimeNetwork([nn.Flatten(), nn.Linear(12, 5)], [nn.Linear(12, 2), nn.Linear(5, 2, bias=False)])
    costs = exit_costs(net, (3, 2, 2))
    assert costs == ExitCosts((24, 24 + 60 + 10), (24, 70), (26, 26 + 65 + 10), (26, 75))
    assert costs.flops_cumulative == (48, 188)


# --- closed forms --------------------------------------------------------------------------------------------------


def test_the_smallest_network_by_hand():
    costs = exit_costs(ResANN(n=1, c=4, num_classes=10, in_channels=1), (1, 8, 8))
    stem, heads = 9 * 4 * 64, [4 * 10, 8 * 10, 16 * 10]
    units = [2 * 9 * 4**2 * 64, 9 * (4 * 8 + 8 * 8) * 16, 9 * (8 * 16 + 16 * 16) * 4]
    trunk = [stem + units[0], stem + sum(units[:2]), stem + sum(units)]
    assert costs.macs_fixed == (20_776, 34_640, 48_544) == tuple(t + h for t, h in zip(trunk, heads, strict=True))
    assert costs.macs_cumulative == (20_776, 34_640 + 40, 48_544 + 40 + 80)  # the heads passed are paid


@pytest.mark.parametrize(
    ("n", "c", "s", "first_exit", "classes", "channels", "size"),
    [
        (1, 4, 1, 1, 10, 1, 8),
        (2, 8, 1, 1, 10, 3, 32),
        (2, 4, 4, 1, 100, 3, 16),
        (3, 2, 2, 1, 7, 1, 28),
        (2, 4, 6, 1, 5, 2, 12),
        (2, 4, 1, 4, 10, 3, 16),
    ],
)
def test_resann_at_every_exit(n, c, s, first_exit, classes, channels, size):
    sizes = {"classes": classes, "channels": channels, "size": size}
    net = on_meta(ResANN, n, c, s, first_exit=first_exit, num_classes=classes, in_channels=channels)
    assert exit_costs(net, (channels, size, size)) == resann_by_hand(n, c, s, first_exit=first_exit, **sizes)
    assert net.num_exits == 1 + (3 * n - first_exit) // s


@pytest.mark.parametrize(("depth", "s"), [(14, 1), (18, 2), (26, 2), (34, 2), (50, 2), (101, 3), (152, 5)])
def test_resann_for_imagenet_at_every_exit(depth, s):
    expected = resann_imagenet_by_hand(depth, s, size=224)
    assert exit_costs(on_meta(resann_imagenet, depth), (3, 224, 224)) == expected


@pytest.mark.parametrize(
    ("n", "growth", "s", "bottleneck"), [(1, 4, 1, False), (2, 4, 4, True), (12, 12, 4, False), (16, 16, 3, False)]
)
def test_denseann_at_every_exit(n, growth, s, bottleneck):
    trunk = Tally()
    trunk.conv(3, 2 * growth, 3, 32**2)
    exits = [unit for unit in range(1, 3 * n + 1) if (3 * n - unit) % s == 0]
    expected = denseann_by_hand(trunk, [n] * 3, growth, exits, side=32, bottleneck=bottleneck, classes=10)
    net = on_meta(DenseANN, n, growth, s, bottleneck=bottleneck)
    assert exit_costs(net, (3, 32, 32)) == expected


@pytest.mark.parametrize(
    ("depth", "blocks", "exits"),
    [
        (121, [6, 12, 24, 16], [13, 22, 31, 40, 49, 58]),
        (169, [6, 12, 32, 32], [12, 26, 40, 54, 68, 82]),
        (201, [6, 12, 48, 32], [13, 30, 47, 64, 81, 98]),
    ],
)
def test_denseann_for_imagenet_at_every_exit(depth, blocks, exits):
    trunk = Tally()
    cost_of_stem(trunk, 3, 64, 224)
    expected = denseann_by_hand(trunk, blocks, 32, exits, side=56, bottleneck=True, classes=1000)
    assert exit_costs(on_meta(denseann_imagenet, depth), (3, 224, 224)) == expected


@pytest.mark.parametrize(
    ("blocks", "growth", "s", "first_exit"),
    [((5, 5, 5), 6, 3, 1), ((2, 3, 2), 2, 1, 1), ((4, 2, 3), 3, 2, 2), ((3, 3), 6, 1, 3), ((4,), 5, 2, 1)],
)
def test_msdnet_at_every_exit(blocks, growth, s, first_exit):
    net = on_meta(MSDNet, blocks, growth, s, first_exit=first_exit, num_classes=7, in_channels=1)
    costs = exit_costs(net, (1, 32, 32))
    assert (costs.macs_cumulative, costs.macs_fixed) == msdnet_by_hand(blocks, growth, s, first_exit, 7, 1, 32)
    assert net.num_exits == 1 + (sum(blocks) - first_exit) // s


# --- what others say -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("constructor", "args", "size", "macs"),
    [
        (ResANN, (5, 16), 32, 6.89e7),
        (resann_imagenet, (50,), 224, 4.1e9),
        (resann_imagenet, (101,), 224, 7.8e9),
        (resann_imagenet, (152,), 224, 11.5e9),
        (denseann_imagenet, (121,), 224, 2.83e9),
        (denseann_imagenet, (169,), 224, 3.36e9),
        (denseann_imagenet, (201,), 224, 4.29e9),
    ],
)
def test_the_sizes_that_the_literature_quotes(constructor, args, size, macs):
    costs = exit_costs(on_meta(constructor, *args), (3, size, size))
    assert costs.macs_fixed[-1] == pytest.approx(macs, rel=5e-3)


@pytest.mark.parametrize(
    ("constructor", "depth", "flops", "last"),
    [
        (resann_imagenet, 50, [1.15, 2.3, 3.2, 4.35, 5.25, 6.15, 7.3, 8.2], 8),
        (resann_imagenet, 101, [1.6, 3.2, 4.85, 6.15, 7.4, 8.75, 10.1, 11.4, 12.7, 14, 15.6], 11),
        (denseann_imagenet, 169, [4.4, 5.15, 6.2, 6.45, 6.7], 5),
    ],
)
def test_exits_are_where_the_paper_draws_them(constructor, depth, flops, last):
    """Figures 4d and 4f (10⁹ FLOPs), read by eye."""
    costs = exit_costs(on_meta(constructor, depth), (3, 224, 224))
    assert [f / 1e9 for f in costs.flops_cumulative[-last:]] == pytest.approx(flops, abs=0.06)


@pytest.mark.parametrize(
    ("depth", "units", "macs", "parameters"),
    [
        (23, [7, 11, 15, 19, 23], 1.326e9, 24.6e6),
        (32, [11, 18, 25, 32], 2.074e9, 48.0e6),
        (33, [9, 15, 21, 27, 33], 2.601e9, 54.1e6),
        (38, [10, 17, 24, 31, 38], 3.347e9, 71.65e6),  # in the paper 6.6e9 FLOPs and 72e6 parameters
    ],
)
def test_msdnet_for_imagenet(depth, units, macs, parameters):
    net = on_meta(msdnet_imagenet, depth)
    costs = exit_costs(net, (3, 224, 224))
    sizes = [sum(isinstance(unit, FirstLayer | DenseLayer | Transition) for unit in part) for part in net.segments]
    assert list(accumulate(sizes)) == units
    assert costs.macs_cumulative[-1] == pytest.approx(macs, rel=1e-3)
    assert costs.parameters_cumulative[-1] == pytest.approx(parameters, rel=2e-3)


ORIGINAL = {  # million multiply-adds at the exits, million parameters: kalviny/MSDNet-PyTorch counted by PyTorch
    10: ([14.97, 25.26, 37.47, 51.67, 61.74, 73.59, 87.21, 99.48, 109.55, 121.09], 4.96),
    7: ([14.97, 25.26, 36.78, 45.97, 56.93, 66.53, 75.49], 3.07),
}


@pytest.mark.parametrize("num_exits", ORIGINAL)
def test_the_network_of_huang_et_al_on_cifar_100(num_exits):
    costs = exit_costs(on_meta(MSDNet.original, num_exits), (3, 32, 32))
    macs, parameters = ORIGINAL[num_exits]
    assert [round(found / 1e6, 2) for found in costs.macs_cumulative] == macs
    assert round(costs.parameters_cumulative[-1] / 1e6, 2) == parameters


def test_segments_of_the_original_may_grow():
    net = on_meta(MSDNet.original, 5, base=1, step=1, growing=True)
    assert [sum(isinstance(unit, DenseLayer) for unit in segment) for segment in net.segments] == [1, 2, 3, 4, 5]
    assert round(exit_costs(net, (3, 32, 32)).parameters_cumulative[-1] / 1e6, 2) == 2.08


@pytest.mark.parametrize(
    ("constructor", "args", "size"),
    [
        (ResANN, (1, 64), 32),
        (resann_imagenet, (18,), 64),
        (resann_imagenet, (26,), 64),
        (DenseANN, (2, 48, 2), 16),
        (denseann_imagenet, (121,), 64),
        (MSDNet, ((3, 3, 3), 16), 32),  # wide, as fvcore also counts batch norm
    ],
)
def test_agrees_with_fvcore(constructor, args, size):
    net = constructor(*args).eval()
    logging.getLogger("fvcore").setLevel(logging.ERROR)  # it tells which operations it does not count
    analysis = FlopCountAnalysis(net, torch.randn(1, 3, size, size)).unsupported_ops_warnings(False)  # counts MACs
    macs = exit_costs(net, (3, size, size)).macs_cumulative[-1]
    assert analysis.by_operator()["conv"] + analysis.by_operator()["linear"] == macs
    # it also counts batch norm and pooling; each dense unit normalises all the channels before it
    assert analysis.total() == pytest.approx(macs, rel=0.015 if constructor == denseann_imagenet else 0.01)

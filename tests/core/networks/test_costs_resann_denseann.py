"""Costs against closed forms, written from the sizes of units alone, against fvcore and against the paper's figures."""

import logging

import pytest
import torch
from fvcore.nn import FlopCountAnalysis

from anytime_core import DenseANN, ExitCosts, MSDNet, ResANN, exit_costs
from anytime_study.runs.imagenet import denseann_imagenet, resann_imagenet


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


def on_meta(constructor, *args, **options):
    with torch.device("meta"):
        return constructor(*args, **options)


# --- closed forms --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("depth", "s"), [(14, 1), (18, 2), (26, 2), (34, 2), (50, 2), (101, 3), (152, 5)])
def test_resann_for_imagenet_at_every_exit(depth, s):
    assert exit_costs(on_meta(resann_imagenet, depth, s=s), (3, 224, 224)) == resann_imagenet_by_hand(
        depth, s, size=224
    )


def test_resann_exits_from_the_first_one_on():
    every, later = (exit_costs(on_meta(ResANN, n=2, c=4, first_exit=first), (3, 16, 16)) for first in (1, 4))
    assert later.macs_fixed == every.macs_fixed[3:]  # what one exit costs does not depend on the others …
    passed = sum(width * 10 for width in (4, 4, 8))
    assert [macs + passed for macs in later.macs_cumulative] == list(every.macs_cumulative[3:])  # … but for their heads


def test_the_smallest_dense_network_by_hand():
    costs = exit_costs(DenseANN(n=1, growth=2, s=1, in_channels=1), (1, 8, 8))
    stem = 9 * 4 * 64
    units = [9 * 4 * 2 * 64, 6 * 3 * 64 + 9 * 3 * 2 * 16, 5 * 2 * 16 + 9 * 2 * 2 * 4]  # transitions: 6 -> 3, 5 -> 2
    heads = [6 * 10, 5 * 10, 4 * 10]
    trunk = [stem + sum(units[:number]) for number in (1, 2, 3)]
    assert costs.macs_fixed == tuple(t + h for t, h in zip(trunk, heads, strict=True))
    assert costs.macs_cumulative == tuple(t + sum(heads[: k + 1]) for k, t in enumerate(trunk))


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


# --- what others say -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("constructor", "args", "macs"),
    [
        (resann_imagenet, (50,), 4.1e9),
        (resann_imagenet, (101,), 7.8e9),
        (resann_imagenet, (152,), 11.5e9),
        (denseann_imagenet, (121,), 2.83e9),
        (denseann_imagenet, (169,), 3.36e9),
        (denseann_imagenet, (201,), 4.29e9),
    ],
)
def test_the_sizes_that_the_literature_quotes(constructor, args, macs):
    assert exit_costs(on_meta(constructor, *args), (3, 224, 224)).macs_fixed[-1] == pytest.approx(macs, rel=5e-3)


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

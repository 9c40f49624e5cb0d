"""MSDNet: maps of several scales side by side, densely connected, with exits on the coarsest scale."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from anytime_core.networks.base import AnytimeNetwork, check_positive, exit_units, he_initialise, join_units
from anytime_core.networks.heads import Head, convolution
from anytime_core.networks.units import imagenet_stem

# By scale, finest first. A factor multiplies the growth of its scale. It is also the width of the 1×1 convolution in an
# edge that starts at its scale, in multiples of the channels that the edge gives.
FACTORS = (1, 2, 4, 4)


class MSDNet(AnytimeNetwork):
    """Multi-scale dense network: as many stages as scales, one scale less in every further stage.

    The state is a list of maps, finest first; each has half the height and width of the one before it. The units are
    the first layer, then dense layers; the first unit of every further stage is a transition, which halves the channels
    of all maps. The dense layer after it is the last one to read the finest map, and drops it. An exit follows every
    s-th unit, counted back from the last one, and reads the coarsest map.

    Args:
        blocks: Units of each stage, at least 2, for 1 to 4 stages; as many scales as stages. Authors' networks for
            small images have 3 equal stages of 5, 6, 8, 9 or 15 units.
        growth: g, channels that a dense layer adds to the finest map; twice and four times as many to the coarser ones.
        s: Units per segment.
        first_exit: The first unit, numbered from 1, that may have an exit.
        large_images: Begin with a 7×7 convolution and a max pooling, both of stride 2, instead of a 3×3 convolution
            of stride 1; heads as wide as the map that they read, instead of 128.
        num_classes: Classes, the width of every exit.
        in_channels: Channels of the images.

    Shapes: images [N, in_channels, H, W] -> logits [K, N, num_classes], K = 1 + (sum(blocks) - first_exit) // s.

    Raises:
        ValueError: A number out of its range.

    Source: Huang et al. 2018, in the form of the released code of Hu et al. 2019: a stage drops one scale, all
    convolutions are followed by batch norm and ReLU, heads average globally. Where neither says which scale's factor
    sets the 1×1 convolution of a strided edge, it is the finer one's, at which that convolution works.
    """

    def __init__(
        self,
        blocks: tuple[int, ...] = (5, 5, 5),
        growth: int = 6,
        s: int = 3,
        *,
        first_exit: int = 1,
        large_images: bool = False,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        if not 1 <= len(blocks) <= len(FACTORS) or min(blocks) < 2:
            raise ValueError(f"blocks: expected 1 to {len(FACTORS)} numbers, all at least 2, found {blocks}")
        check_positive(growth=growth, num_classes=num_classes, in_channels=in_channels)
        exits = exit_units(sum(blocks), s, first_exit)
        channels = [2 * growth * factor for factor in FACTORS[: len(blocks)]]
        units: list[nn.Module] = [FirstLayer(in_channels, channels, large_images)]
        coarsest = [channels[-1]]  # channels of the coarsest map after each unit
        for stage, block in enumerate(blocks):
            if stage:
                halved = [before // 2 for before in channels]
                units.append(Transition(channels, halved))
                channels = halved
                coarsest.append(channels[-1])
            for layer in range(block - 1):
                drops_finest = stage > 0 and layer == 0
                factors = FACTORS[len(blocks) - len(channels) : len(blocks)]
                units.append(DenseLayer(channels, factors, growth, drops_finest=drops_finest))
                channels = [before + growth * f for before, f in zip(channels, factors, strict=True)][drops_finest:]
                coarsest.append(channels[-1])
        heads = [CoarsestHead(coarsest[unit - 1], num_classes, large_images) for unit in exits]
        options = {"blocks": blocks, "growth": growth, "s": s, "large_images": large_images}
        super().__init__(join_units(units, exits), heads, **options)
        self.apply(he_initialise)

    @staticmethod
    def original(
        num_exits: int = 10,
        *,
        base: int = 4,
        step: int = 2,
        growing: bool = False,
        growth: int = 6,
        channels: int = 16,
        scales: int = 3,
        large_images: bool = False,
        num_classes: int = 100,
        in_channels: int = 3,
    ) -> AnytimeNetwork:
        """The network of Huang et al. 2018 as their code for PyTorch (kalviny/MSDNet-PyTorch) builds it.

        In contrast to :class:`MSDNet`, only dense layers are counted as units, and all stages but the last one have the
        same number of them; a transition follows the layer that drops the finest map, and that layer's segment pays for
        it; the 1×1 convolution of an edge is never wider than what it reads. Here, heads average globally, which is the
        same for maps that they bring to 2×2, and weights start as those of every network here.

        Args:
            num_exits: K (papers: 10, README: 7, on CIFAR-100; 5 on ImageNet and for budgeted batches).
            base: Dense layers of the first segment (``--base``).
            step: Dense layers of every further segment (``--step``).
            growing: Segment k has step · (k - 1) + 1 dense layers instead (``--stepmode lin_grow``).
            growth: g, channels that a dense layer adds to the finest map (``--growthRate``).
            channels: Channels of the finest map after the first layer (``--nChannels``).
            scales: Maps, 1 to 4, with factors 1, 2, 4 and 4 on the number of channels (``--grFactor``, ``--bnFactor``).
            large_images, num_classes, in_channels: As for :class:`MSDNet`.
        """
        sizes = {"base": base, "step": step, "growth": growth, "channels": channels}
        check_positive(num_exits=num_exits, **sizes, num_classes=num_classes, in_channels=in_channels)
        if not 1 <= scales <= len(FACTORS):
            raise ValueError(f"scales: expected 1 to {len(FACTORS)}, found {scales}")
        ends = list(accumulate([base, *(step * k + 1 if growing else step for k in range(1, num_exits))]))
        stage = -(-ends[-1] // scales)  # dense layers, rounded up
        factors, width = FACTORS[:scales], channels
        segments, heads = [], []
        modules: list[nn.Module] = [FirstLayer(in_channels, [width * f for f in factors], large_images)]
        for layer in range(1, ends[-1] + 1):
            drops_finest = layer > 1 and (layer - 1) % stage == 0
            maps = [width * f for f in factors]
            modules.append(DenseLayer(maps, factors, growth, drops_finest=drops_finest, capped=True))
            width += growth
            if drops_finest:
                factors = factors[1:]
                modules.append(Transition([width * f for f in factors], [width // 2 * f for f in factors]))
                width //= 2
            if layer in ends:
                segments.append(nn.Sequential(*modules))
                heads.append(CoarsestHead(width * factors[-1], num_classes, large_images))
                modules = []
        options = {"base": base, "step": step, "growing": growing, "growth": growth, "scales": scales}
        return AnytimeNetwork(segments, heads, **options).apply(he_initialise)


class FirstLayer(nn.Module):
    """Images -> one map per scale; each coarser one by a strided convolution of the one before it."""

    def __init__(self, in_channels: int, channels: Sequence[int], large_images: bool) -> None:
        super().__init__()
        stem = imagenet_stem(in_channels, channels[0]) if large_images else convolution(in_channels, channels[0], 3)
        coarser = [convolution(before, after, 3, stride=2) for before, after in pairwise(channels)]
        self.scales = nn.ModuleList([stem, *coarser])

    def forward(self, images: Tensor) -> list[Tensor]:
        """[N, C, H, W] -> [N, channels[i], ⌈H/2ⁱ⌉, ⌈W/2ⁱ⌉] for every scale i, or a quarter of these sizes."""
        maps, x = [], images
        for scale in self.scales:
            x = scale(x)
            maps.append(x)
        return maps


class DenseLayer(nn.Module):
    """Adds new channels to every map, computed from the map itself and from the finer one next to it.

    Args:
        channels: Channels of the maps, finest first.
        factors: The factors of their scales.
        growth: A map grows by ``growth`` × factor: half of it from each source, or all from itself for the finest.
        drops_finest: Read the finest map, but give it no new channels and do not pass it on.
        capped: No 1×1 convolution gives more channels than it reads.
    """

    def __init__(
        self,
        channels: Sequence[int],
        factors: Sequence[int],
        growth: int,
        *,
        drops_finest: bool,
        capped: bool = False,
    ) -> None:
        super().__init__()
        self.drops_finest = drops_finest
        added = [growth * factor // 2 for factor in factors]  # exact: only the first factor is odd, and it is not used
        self.regular = nn.ModuleList(
            _edge(channels[w], added[w] if w else growth * factors[0], factors[w], capped)
            for w in range(int(drops_finest), len(channels))
        )
        self.strided = nn.ModuleList(
            _edge(channels[w - 1], added[w], factors[w - 1], capped, stride=2) for w in range(1, len(channels))
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """S maps -> S maps, or S - 1 if the finest is dropped; heights and widths are kept."""
        strided = [[edge(finer)] for edge, finer in zip(self.strided, maps, strict=False)]
        kept = maps[1:] if self.drops_finest else maps
        sources = strided if self.drops_finest else [[], *strided]
        grown = zip(kept, self.regular, sources, strict=True)
        return [torch.cat([x, edge(x), *from_finer], 1) for x, edge, from_finer in grown]


class Transition(nn.Module):
    """A 1×1 convolution of every map."""

    def __init__(self, channels: Sequence[int], channels_out: Sequence[int]) -> None:
        super().__init__()
        self.scales = nn.ModuleList(convolution(*pair, 1) for pair in zip(channels, channels_out, strict=True))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """S maps -> S maps of the same heights and widths."""
        return [scale(x) for scale, x in zip(self.scales, maps, strict=True)]


class CoarsestHead(nn.Module):
    """On the coarsest map of the state: ReLU, twice a 3×3 convolution of stride 2, BN and ReLU, then the linear head.

    The convolutions give 128 channels, on large images as many as the map has.
    """

    def __init__(self, channels: int, num_classes: int, large_images: bool) -> None:
        super().__init__()
        width = channels if large_images else 128
        halved = [*convolution(channels, width, 3, stride=2), *convolution(width, width, 3, stride=2)]
        self.head = Head(nn.Sequential(nn.ReLU(), *halved), width, num_classes)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits of this exit."""
        return self.head(maps[-1])


def _edge(channels_in: int, channels_out: int, factor: int, capped: bool, stride: int = 1) -> nn.Sequential:
    """1×1 convolution to ``factor`` times the channels it gives, then a 3×3 one."""
    width = min(channels_in, factor * channels_out) if capped else factor * channels_out
    return nn.Sequential(
        *convolution(channels_in, width, 1),
        *convolution(width, channels_out, 3, stride=stride),
    )

"""What it costs to reach an exit, in multiply-adds (MACs) and parameters.

Unit and convention: one MAC is one multiplication with its addition; FLOPs = 2 × MACs. Counted are convolutions and
matrix products, as PyTorch's own counter does. Element-wise work (batch norm, ReLU, pooling, additions) is not; it adds
about half a per cent to a residual network's operations.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from anytime_core.errors import InputError
from anytime_core.networks.base import AnytimeNetwork
from anytime_core.networks.inputs import example_batch, on_meta, shapes_of


@dataclass(frozen=True)
class ExitCosts:
    """Costs of one sample at each of the K exits; all tuples have length K.

    Attributes:
        macs_cumulative: MACs when every exit on the way is evaluated: this is anytime use, all heads passed are paid.
        macs_fixed: MACs when only this exit is evaluated: its segments and its own head.
        parameters_cumulative: Parameters of the segments and of all heads up to this exit.
        parameters_fixed: Parameters of the segments and of this head only.
    """

    macs_cumulative: tuple[int, ...]
    macs_fixed: tuple[int, ...]
    parameters_cumulative: tuple[int, ...]
    parameters_fixed: tuple[int, ...]

    @property
    def flops_cumulative(self) -> tuple[int, ...]:
        """FLOPs = 2 × MACs, for every exit on the way."""
        return tuple(2 * macs for macs in self.macs_cumulative)


def exit_costs(net: AnytimeNetwork, inputs: Sequence[int] | Any) -> ExitCosts:
    """Count the cost of each exit for one sample.

    The count runs on a copy without data (PyTorch's meta device): nothing is computed and ``net`` is left alone.

    Members of an EANN run one after the other: the cumulative cost of an exit includes all of the members that have
    finished, with their heads; its fixed cost is that of its own member alone.

    Args:
        net: The network.
        inputs: Shape of one sample of numbers of the network's dtype, without N, such as (C, H, W); or a batch, of any
            N, of what the network takes: tensors [N, ...], alone or in lists, tuples and dicts.

    Raises:
        InputError: It is no anytime network, does not take such inputs, or asks for values and not for shapes alone.
    """
    if not hasattr(net, "macs_now"):
        raise InputError(f"net: expected an AnytimeNetwork, found {type(net).__name__}; with_exits makes one of it")
    macs = part_macs(net, inputs)
    passed: set[nn.Parameter] = set()  # parts may share some, such as a head: each counts once
    member: set[nn.Parameter] = set()
    cumulative, fixed = [], []
    for position, (segment, head) in enumerate(zip(net.segments, net.heads, strict=True)):
        member = {*(() if position in net.starts else member), *segment.parameters()}
        passed |= {*segment.parameters(), *head.parameters()}
        cumulative.append(sum(p.numel() for p in passed))
        fixed.append(sum(p.numel() for p in {*member, *head.parameters()}))
    return ExitCosts(*summed(net.starts, macs), tuple(cumulative), tuple(fixed))


def part_macs(net: AnytimeNetwork, inputs: Sequence[int] | Any) -> list[tuple[int, int]]:
    """MACs of each segment and of each head for one sample: K pairs. Arguments and errors of :func:`exit_costs`."""
    if (known := net.macs_now(inputs)) is not None:
        return known
    shadow = on_meta(net)
    for module in shadow.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.forward = nn.Identity().forward  # none of its operations counts, and they take half of the time
    state = given = example_batch(inputs, net)
    pairs = []
    try:
        for position, (segment, head) in enumerate(zip(shadow.segments, shadow.heads, strict=True)):
            macs, state = _count(segment, given if position in net.starts else state)
            pairs.append((macs, _count(head, state)[0]))
    except Exception as error:  # PyTorch and networks have no one error for this
        found = f"{shapes_of(inputs)}: {error}".partition("\n")[0]
        raise InputError(f"inputs: expected a shape that the network takes, found {found}") from error
    return pairs


def summed(starts: Collection[int], parts: list[tuple[int, int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Costs up to each exit, with all heads on the way, and with no other head and no other member."""
    cumulative, fixed = [], []
    spent = member = 0
    for position, (segment, head) in enumerate(parts):
        spent += segment + head
        member = segment if position in starts else member + segment
        cumulative.append(spent)
        fixed.append(member + head)
    return tuple(cumulative), tuple(fixed)


def _count(module: nn.Module, state: Any) -> tuple[int, Any]:
    """MACs of one call, and its result."""
    with torch.no_grad(), torch.device("meta"), FlopCounterMode(display=False) as counter:
        state = module(state)
    return counter.get_total_flops() // 2, state

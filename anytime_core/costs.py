"""What it costs to reach an exit, in multiply-adds (MACs) and parameters.

Unit and convention: one MAC is one multiplication with its addition; FLOPs = 2 × MACs. Counted are convolutions and
matrix products, as PyTorch's own counter does. Element-wise work (batch norm, ReLU, pooling, additions) is not; it adds
about half a per cent to a residual network's operations.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode

from anytime_core.networks.base import AnytimeNetwork
from anytime_core.networks.ensemble import EANN


@dataclass(frozen=True)
class ExitCosts:
    """Costs of one image at each of the K exits; all tuples have length K.

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

    @property
    def flops_fixed(self) -> tuple[int, ...]:
        """FLOPs = 2 × MACs, for this exit only."""
        return tuple(2 * macs for macs in self.macs_fixed)


def exit_costs(net: AnytimeNetwork, inputs: Sequence[int] | Any) -> ExitCosts:
    """Count the cost of each exit for one input.

    The count runs on a copy without data (PyTorch's meta device): nothing is computed and ``net`` is left alone.

    Members of an EANN run one after the other: the cumulative cost of an exit includes all of the members that have
    finished, with their heads; its fixed cost is that of its own member alone.

    Args:
        net: The network.
        inputs: Shape of one input of the network's dtype, without N, such as (C, H, W); or a batch, of any N, of what
            the network takes: tensors [N, ...], alone or in lists, tuples and dicts.
    """
    if isinstance(net, EANN):
        return _in_a_row([exit_costs(member, inputs) for member in net.members])
    trunk_macs = trunk_parameters = 0  # segments up to here
    passed_macs = passed_parameters = 0  # heads up to here
    rows = []
    for (macs, head_macs), segment, head in zip(part_macs(net, inputs), net.segments, net.heads, strict=True):
        trunk_macs += macs
        trunk_parameters += _parameters(segment)
        head_parameters = _parameters(head)
        passed_macs += head_macs
        passed_parameters += head_parameters
        rows.append(
            (
                trunk_macs + passed_macs,
                trunk_macs + head_macs,
                trunk_parameters + passed_parameters,
                trunk_parameters + head_parameters,
            )
        )
    return ExitCosts(*zip(*rows, strict=True))


def part_macs(net: AnytimeNetwork, inputs: Sequence[int] | Any) -> list[tuple[int, int]]:
    """MACs of each segment and of each head for one input: K pairs. Arguments as for :func:`exit_costs`."""
    if isinstance(net, EANN):
        return [pair for member in net.members for pair in part_macs(member, inputs)]
    shadow = _without_norms(copy.deepcopy(net).to("meta").eval())
    state = _one_input(net, inputs)
    pairs = []
    for segment, head in zip(shadow.segments, shadow.heads, strict=True):
        macs, state = _count(segment, state)
        pairs.append((macs, _count(head, state)[0]))
    return pairs


def _one_input(net: nn.Module, inputs: Sequence[int] | Any) -> Any:
    """One input without data."""
    if isinstance(inputs, Sequence) and all(isinstance(size, int) for size in inputs):
        like = next(net.parameters(), torch.empty(0))
        return torch.empty(1, *inputs, dtype=like.dtype, device="meta")
    return tree_map_only(Tensor, lambda x: torch.empty(1, *x.shape[1:], dtype=x.dtype, device="meta"), inputs)


def _in_a_row(members: list[ExitCosts]) -> ExitCosts:
    """Costs of networks that run one after the other."""
    columns: dict[str, list[int]] = {field.name: [] for field in fields(ExitCosts)}
    for member in members:
        finished = {name: costs[-1] if costs and name.endswith("_cumulative") else 0 for name, costs in columns.items()}
        for name, costs in columns.items():
            costs.extend(finished[name] + cost for cost in getattr(member, name))
    return ExitCosts(**{name: tuple(costs) for name, costs in columns.items()})


def _without_norms(net: AnytimeNetwork) -> AnytimeNetwork:
    """The network with nothing in the place of batch norms: no multiply-add of theirs counts, and they take half of
    the time that a count takes.
    """
    norms = [name for name, module in net.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for name in norms:
        net.set_submodule(name, nn.Identity())
    return net


def _count(module: nn.Module, state: Any) -> tuple[int, Any]:
    """MACs of one call, and its result."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        state = module(state)
    return counter.get_total_flops() // 2, state


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())

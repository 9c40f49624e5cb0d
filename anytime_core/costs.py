"""What it costs to reach an exit, in multiply-adds (MACs) and parameters.

Unit and convention: one MAC is one multiplication with its addition; FLOPs = 2 × MACs. Counted are convolutions and
matrix products, as PyTorch's own counter does. Element-wise work (batch norm, ReLU, pooling, additions) is not; it adds
about half a per cent to a residual network's operations.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields

import torch
from torch import nn
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


def exit_costs(net: AnytimeNetwork, image_shape: tuple[int, int, int]) -> ExitCosts:
    """Count the cost of each exit for one image of shape (C, H, W).

    The count runs on a copy without data (PyTorch's meta device): nothing is computed and ``net`` is left alone.

    Members of an EANN run one after the other: the cumulative cost of an exit includes all of the members that have
    finished, with their heads; its fixed cost is that of its own member alone.
    """
    if isinstance(net, EANN):
        return _in_a_row([exit_costs(member, image_shape) for member in net.members])
    shadow = _without_norms(copy.deepcopy(net).to("meta").eval())
    state = torch.empty(1, *image_shape, device="meta")
    trunk_macs = trunk_parameters = 0  # segments up to here
    passed_macs = passed_parameters = 0  # heads up to here
    rows = []
    for exit_number, (segment, head) in enumerate(zip(shadow.segments, shadow.heads, strict=True)):
        macs, state = _count(segment, state)
        trunk_macs += macs
        trunk_parameters += _parameters(net.segments[exit_number])
        head_macs, _ = _count(head, state)
        head_parameters = _parameters(net.heads[exit_number])
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


def _count(module: nn.Module, state: torch.Tensor) -> tuple[int, torch.Tensor]:
    """MACs of one call, and its result."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        state = module(state)
    return counter.get_total_flops() // 2, state


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())

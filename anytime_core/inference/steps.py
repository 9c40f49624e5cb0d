"""A network taken apart for inference: what runs between two answers, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import nn

from anytime_core.costs import part_macs, summed
from anytime_core.errors import InputError
from anytime_core.networks.base import AnytimeNetwork


@dataclass(frozen=True)
class Step:
    """From one answer to the next.

    Attributes:
        exit: The exit that answers, from 1.
        segments: What runs since the step before; several if exits between the two are not adopted.
        head: Head of the exit.
        member_start: Position, from 0, of the first step of the same member: there the segments take the inputs.
    """

    exit: int
    segments: tuple[nn.Module, ...]
    head: nn.Module
    member_start: int


class StepCosts(NamedTuple):
    """MACs of one input up to and with each step, [steps] each.

    Attributes:
        walked: All segments from the first step on, and this head alone.
        fixed: Only the segments of this step's own member, and this head alone.
        streamed: All segments and all heads from the first step on.
    """

    walked: tuple[int, ...]
    fixed: tuple[int, ...]
    streamed: tuple[int, ...]


def ready_for_inference(net: AnytimeNetwork) -> tuple[Step, ...]:
    """Its steps; it is put in evaluation mode and in the layout channels_last, which 3-D convolutions do not have."""
    steps = find_steps(net)
    net.eval()
    if all(parameter.ndim <= 4 for parameter in net.parameters()):
        net.to(memory_format=torch.channels_last)
    return steps


def find_steps(net: AnytimeNetwork) -> tuple[Step, ...]:
    """The steps of a network: one per exit that answers. The device is asked once which those are."""
    if not isinstance(net, AnytimeNetwork):
        raise InputError(f"net: expected an AnytimeNetwork, found {type(net).__name__}; with_exits makes one of it")
    answering = net.answering_exits
    if 1 not in answering:
        raise InputError("EANN adopted: expected True for the first exit, as there is no answer before it")
    steps: list[Step] = []
    member_start, waiting = 0, []
    for position, (segment, head) in enumerate(zip(net.segments, net.heads, strict=True)):
        if position in net.starts:  # what no exit of a member follows that answers is never run
            member_start, waiting = len(steps), []
        waiting.append(segment)
        if position + 1 in answering:
            steps.append(Step(position + 1, tuple(waiting), head, member_start))
            waiting = []
    return tuple(steps)


def step_costs(net: AnytimeNetwork, inputs: Any, steps: Sequence[Step]) -> StepCosts:
    """What each step costs for one input; arguments and errors as for :func:`anytime_core.costs.exit_costs`."""
    with torch.inference_mode(mode=False):  # the count makes a copy, which may outlive this call
        macs = part_macs(net, inputs)
    parts = [
        (sum(segment for segment, _ in macs[step.exit - len(step.segments) : step.exit]), macs[step.exit - 1][1])
        for step in steps
    ]
    streamed, fixed = summed({step.member_start for step in steps}, parts)
    heads_before = accumulate((head for _, head in parts[:-1]), initial=0)
    walked = tuple(all_heads - before for all_heads, before in zip(streamed, heads_before, strict=True))
    return StepCosts(walked, fixed, streamed)

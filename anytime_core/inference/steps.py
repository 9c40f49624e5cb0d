"""A network taken apart for inference: what runs between two answers, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from anytime_core.costs import exit_costs
from anytime_core.errors import InputError
from anytime_core.networks.base import AnytimeNetwork
from anytime_core.networks.ensemble import EANN


@dataclass(frozen=True)
class Step:
    """From one answer to the next.

    Attributes:
        exit: The exit that answers, from 1.
        segments: What runs since the step before; several if exits between the two are not adopted.
        head: Head of the exit.
        member_start: Position, from 0, of the first step of the same member: there the segments take the images.
    """

    exit: int
    segments: tuple[nn.Module, ...]
    head: nn.Module
    member_start: int


class StepCosts(NamedTuple):
    """MACs of one image up to and with each step, [steps] each.

    Attributes:
        walked: All segments from the first step on, and this head alone.
        fixed: Only the segments of this step's own member, and this head alone.
        streamed: All segments and all heads from the first step on.
    """

    walked: tuple[int, ...]
    fixed: tuple[int, ...]
    streamed: tuple[int, ...]


def find_steps(net: AnytimeNetwork) -> tuple[Step, ...]:
    """The steps of a network: one per exit, or in an EANN one per adopted exit. The device is asked once.

    Raises:
        InputError: an EANN within an EANN, or one that has not adopted its first exit.
    """
    members = _members(net)
    adopted = net.adopted.tolist() if isinstance(net, EANN) else [True] * net.num_exits
    if not adopted[0]:
        raise InputError("EANN adopted: expected True for the first exit, as there is no answer before it")
    steps: list[Step] = []
    exit_number = 0
    for member in members:
        member_start = len(steps)
        waiting: list[nn.Module] = []
        for segment, head in zip(member.segments, member.heads, strict=True):
            exit_number += 1
            waiting.append(segment)
            if adopted[exit_number - 1]:  # what no adopted exit of the member follows is never run
                steps.append(Step(exit_number, tuple(waiting), head, member_start))
                waiting = []
    return tuple(steps)


def step_costs(net: AnytimeNetwork, image_shape: tuple[int, int, int]) -> StepCosts:
    """What each step costs for images of one shape (C, H, W).

    Raises:
        InputError: the network does not take images of this shape.
    """
    trunks: list[int] = []  # by exit: segments of its member up to it
    fixed: list[int] = []  # the same with its head
    for member in _members(net):
        # heads that do nothing leave the segments alone to be counted
        trunk = AnytimeNetwork(member.segments, [nn.Identity() for _ in member.heads])
        try:
            trunks.extend(exit_costs(trunk, image_shape).macs_fixed)
            fixed.extend(exit_costs(member, image_shape).macs_fixed)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:  # PyTorch has no one error for this
            problem = str(error).partition("\n")[0]
            raise InputError(
                f"images: expected a shape (C, H, W) that the network takes, found {tuple(image_shape)}: {problem}"
            ) from None
    walked, streamed = [], []
    steps = find_steps(net)
    members_before = heads_before = 0  # segments of the members that have finished; heads that have answered
    for position, step in enumerate(steps):
        if position == step.member_start and position:
            members_before += trunks[steps[position - 1].exit - 1]
        walked.append(members_before + fixed[step.exit - 1])
        streamed.append(walked[-1] + heads_before)
        heads_before += fixed[step.exit - 1] - trunks[step.exit - 1]
    return StepCosts(tuple(walked), tuple(fixed[step.exit - 1] for step in steps), tuple(streamed))


def _members(net: AnytimeNetwork) -> list[AnytimeNetwork]:
    members = list(net.members) if isinstance(net, EANN) else [net]
    if any(isinstance(member, EANN) for member in members):
        raise InputError("EANN members: expected single networks, found an EANN; put its members in its place")
    return members

"""Inputs, checked before a network sees them: what would give an error from its depth or a wrong answer is refused."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map_only

from anytime_core.errors import InputError
from anytime_core.inference.steps import Step, StepCosts, step_costs
from anytime_core.networks.base import AnytimeNetwork

_in_training = attrgetter("training")


class InputChecks:
    """The checks of one network's inputs. Each kind, of any N, is looked at closely once, which takes some 50 ms."""

    def __init__(self, net: AnytimeNetwork, steps: Sequence[Step]) -> None:
        self.net, self._steps = net, steps
        self.like = next(net.parameters(), torch.empty(0, device="cpu"))
        self._leaves = [part for part in net.modules() if not any(part.children())]  # train() of any part reaches some
        self._kinds: dict[Hashable, StepCosts] = {}

    def __call__(self, inputs: Any) -> StepCosts:
        """MACs of one input. Raises InputError for what the network cannot take. On a GPU it waits for the device."""
        if isinstance(inputs, Tensor):  # the fast way: it counts at batch size 1
            leaves, key = [inputs], (inputs.shape[1:], inputs.dtype, inputs.device)
        else:
            leaves, structure = tree_flatten(inputs)
            if not leaves or not all(isinstance(x, Tensor) for x in leaves):
                found = " and ".join(type(x).__name__ for x in leaves) or "none"
                raise InputError(f"inputs: expected tensors [N, ...], also in lists, tuples and dicts, found {found}")
            key = str(structure), tuple((x.shape[1:], x.dtype, x.device) for x in leaves)
        first = leaves[0].shape
        if not first or not first[0] or (len(leaves) > 1 and len({x.shape[:1] for x in leaves}) > 1):
            raise InputError(f"inputs: expected shapes [N, ...], one N > 0, found {' and '.join(described(inputs))}")
        if any(map(_in_training, self._leaves)):  # somebody has trained on: batch norm would answer by batch
            self.net.eval()
        costs = self._kinds.get(key)
        if costs is None:
            costs = self._kinds[key] = self._first_of_a_kind(inputs, leaves)
        elif self.net.macs_now(inputs) is not None:
            costs = step_costs(self.net, inputs, self._steps)
        for x in leaves:  # a sum is the fastest look at all values; it may overflow where every one is finite
            if x.is_floating_point() and not math.isfinite(x.sum().item()) and not bool(x.isfinite().all()):
                raise InputError("inputs: expected finite numbers, found NaN or infinity")
        return costs

    def _first_of_a_kind(self, inputs: Any, leaves: list[Tensor]) -> StepCosts:
        """The checks that depend on structure, dtypes, devices and shapes without N alone."""
        like = self.like = next(self.net.parameters(), self.like)  # others may have been loaded
        for x in leaves:
            if x.device != like.device or (x.is_floating_point() and x.dtype != like.dtype):
                raise InputError(f"inputs: expected {like.dtype} on {like.device}, found {x.dtype} on {x.device}")
        costs = step_costs(self.net, inputs, self._steps)
        if not any(x.is_floating_point() for x in leaves) and self.net.macs_now(inputs) is None:
            # only a real run tells whether it takes whole numbers
            given = tree_map_only(Tensor, lambda x: x[:1], inputs)
            try:
                self.net(*(given if isinstance(given, tuple) else [given]))
            except (RuntimeError, IndexError) as error:
                problem, found = str(error).partition("\n")[0], " and ".join(described(inputs))
                raise InputError(f"inputs: expected what the network takes, found {found}: {problem}") from None
        return costs


def described(inputs: Any) -> tuple[str, ...]:
    """A text such as ``float32 [1, 3, 32, 32]`` for each tensor."""
    leaves = [inputs] if isinstance(inputs, Tensor) else tree_leaves(inputs)  # the fast way again
    return tuple([f"{str(x.dtype).removeprefix('torch.')} {list(x.shape)}" for x in leaves])

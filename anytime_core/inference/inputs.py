"""Inputs, checked before a network sees them: what would give an error from its depth, or a wrong answer, is refused.

Inputs are tensors [N, ...]: images [N, C, H, W], features [N, D], token ids [N, T]; a tuple of such tensors for a
network with several inputs; or lists and dicts of them, where the network takes those.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map_only

from anytime_core.errors import InputError
from anytime_core.inference.steps import StepCosts, step_costs
from anytime_core.networks.base import AnytimeNetwork


class InputKind(NamedTuple):
    """What is known of inputs with the same structure, shapes, dtypes and device.

    Attributes:
        costs: MACs of one input.
        described: A text such as ``float32 [1, 3, 32, 32]`` for each tensor.
    """

    costs: StepCosts
    described: tuple[str, ...]


class InputChecks:
    """The checks of one network's inputs. Each kind of input is looked at closely once, which takes some 50 ms."""

    def __init__(self, net: AnytimeNetwork) -> None:
        self.net, self.like = net, next(net.parameters(), torch.empty(0))
        self._kinds: dict[Hashable, InputKind] = {}

    def __call__(self, inputs: Any) -> InputKind:
        """Refuse what the network cannot take, with an InputError. On a GPU this waits for the device."""
        if isinstance(inputs, Tensor):  # the fast way: it counts at batch size 1
            leaves, key = [inputs], (inputs.shape, inputs.dtype, inputs.device)
        else:
            leaves, structure = tree_flatten(inputs)
            key = str(structure), tuple((x.shape, x.dtype, x.device) for x in leaves if isinstance(x, Tensor))
        if self.net.training:  # somebody has trained on: batch norm would answer by batch
            self.net.eval()
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = self._first_of_a_kind(inputs, leaves)
        elif self.net.macs_now(inputs) is not None:
            kind = kind._replace(costs=step_costs(self.net, inputs))
        for x in leaves:  # a sum is the fastest look at all values; it may overflow where every one is finite
            if x.is_floating_point() and not math.isfinite(x.sum().item()) and not bool(x.isfinite().all()):
                raise InputError("inputs: expected finite numbers, found NaN or infinity")
        return kind

    def _first_of_a_kind(self, inputs: Any, leaves: list[Any]) -> InputKind:
        """The checks that depend on structure, shapes, dtypes and devices alone."""
        if not leaves or not all(isinstance(x, Tensor) for x in leaves):
            found = " and ".join(type(x).__name__ for x in leaves) or "none"
            raise InputError(
                f"inputs: expected a tensor [N, ...], or tensors in lists, tuples and dicts, found {found}"
            )
        if len({tuple(x.shape[:1]) for x in leaves}) > 1 or leaves[0].ndim == 0:
            raise InputError(f"inputs: expected shapes [N, ...] with one N, found {_together(described(inputs))}")
        if len(leaves[0]) == 0:
            raise InputError("inputs: expected at least one, found an empty batch")
        like = self.like
        for x in leaves:
            if x.device != like.device or (x.is_floating_point() and x.dtype != like.dtype):
                network = f"{like.dtype} on {like.device}, as the network is"
                raise InputError(f"inputs: expected {network}, found {x.dtype} on {x.device}")
        kind = InputKind(step_costs(self.net, inputs), described(inputs))
        whole = not any(x.is_floating_point() for x in leaves)
        if whole and self.net.macs_now(inputs) is None:  # only a real run tells whether it takes whole numbers
            given = tree_map_only(Tensor, lambda x: x[:1], inputs)
            try:
                self.net(*(given if isinstance(given, tuple) else [given]))
            except RuntimeError as error:
                problem, found = str(error).partition("\n")[0], _together(kind.described)
                raise InputError(f"inputs: expected what the network takes, found {found}: {problem}") from None
        return kind


def described(inputs: Any) -> tuple[str, ...]:
    """A text such as ``float32 [1, 3, 32, 32]`` for each tensor."""
    return tuple(f"{str(x.dtype).removeprefix('torch.')} {list(x.shape)}" for x in tree_leaves(inputs))


def _together(texts: tuple[str, ...]) -> str:
    return " and ".join(texts)

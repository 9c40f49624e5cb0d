"""Weights that stay as they are."""

from __future__ import annotations

import torch

from anytime_core.weighting.base import LossWeighting


def const(num_exits: int) -> LossWeighting:
    """CONST: every exit weighs 1, so the objective is the plain sum."""
    return LossWeighting(torch.ones(_at_least_one(num_exits)))


def linear(num_exits: int) -> LossWeighting:
    """LINEAR: from 0.25 at the first exit to 1 at the last (as feedback networks do, Zamir et al. 2017)."""
    if _at_least_one(num_exits) == 1:
        return LossWeighting(torch.ones(1))
    return LossWeighting(torch.linspace(0.25, 1, num_exits))


def opt(num_exits: int, exit: int | None = None) -> LossWeighting:
    """OPT_i: weight 1 on exit i alone, 0 elsewhere: the network trained for one exit.

    Args:
        num_exits: K.
        exit: i, from 1 to K; the last exit if left out.

    Raises:
        ValueError: there is no such exit.
    """
    chosen = _at_least_one(num_exits) if exit is None else exit
    if not 1 <= chosen <= num_exits:
        raise ValueError(f"opt exit: expected 1 to {num_exits}, found {exit}")
    weights = torch.zeros(num_exits)
    weights[chosen - 1] = 1
    return LossWeighting(weights)


def _at_least_one(num_exits: int) -> int:
    if num_exits < 1:
        raise ValueError(f"num_exits: expected at least 1, found {num_exits}")
    return num_exits

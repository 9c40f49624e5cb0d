"""One common factor for the weights of all exits."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

Normalisation = Literal["max", "sum", "geometric", "none"]
KINDS: tuple[str, ...] = get_args(Normalisation)


def normalised(weights: Tensor, kind: Normalisation) -> Tensor:
    """Scale weights [K], all above 0, so that something of them is fixed.

    Args:
        weights: [K].
        kind: ``"max"``: the largest is 1. ``"sum"``: they sum to K. ``"geometric"``: their geometric mean is 1.
            ``"none"``: leave them as they are.

    Returns:
        A new tensor [K].
    """
    if kind == "none":
        return weights.clone()
    weights = weights / weights.max()  # first of all, so that no sum overflows
    if kind == "sum":
        return weights * (len(weights) / weights.sum())
    if kind == "geometric":
        # a weight that the division rounded to 0 counts as the smallest number there is
        return weights / weights.clamp(min=torch.finfo(weights.dtype).tiny).log().mean().exp()
    return weights

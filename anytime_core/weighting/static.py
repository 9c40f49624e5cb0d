"""Weights that stay as they are. The largest is 1, and the last exit's, but for OPT and falling weights.

Each of them takes K, the number of exits, and raises ValueError where that is below 1 or an option has no sense.
"""

from __future__ import annotations

import torch

from anytime_core.weighting.base import LossWeighting, require


def const(num_exits: int) -> LossWeighting:
    """CONST: every exit weighs 1, so the objective is the plain sum.

    Source: deeply supervised nets (Lee et al. 2015), MSDNet (Huang et al. 2018) and most networks with exits.
    """
    return LossWeighting(torch.ones(_at_least_one(num_exits)))


def linear(num_exits: int) -> LossWeighting:
    """LINEAR: from 0.25 at the first exit to 1 at the last (as feedback networks do, Zamir et al. 2017)."""
    if _at_least_one(num_exits) == 1:
        return LossWeighting(torch.ones(1))
    full = torch.promote_types(torch.get_default_dtype(), torch.float32)
    return LossWeighting(torch.linspace(0.25, 1, num_exits, dtype=full))


def half_end(num_exits: int) -> LossWeighting:
    """HALF-END: 1 at the last exit, 1 / (K - 1) at each other one, so that the last weighs as much as all others.

    Source: a baseline of the AdaLoss paper (Hu et al. 2019).
    """
    early = _at_least_one(num_exits) - 1
    return LossWeighting([1 / early for _ in range(early)] + [1.0])


def sieve(num_exits: int) -> LossWeighting:
    """SIEVE: early exits at "round" distances from the end weigh more; together they weigh 1, and so does the last.

    At distance j = K - i ≥ 1 from the end, exit i weighs (1 + v₂(j)) / S: v₂(j) is the exponent of 2 in j (0 if j is
    odd) and S = Σ_{j=1}^{K-1} (1 + v₂(j)) = 2 (K - 1) - (number of ones of K - 1 in binary).

    Source: earlier versions of the AdaLoss paper (arXiv 1708.06832 v1, v2), as in the authors' code.
    """
    early = _at_least_one(num_exits) - 1
    total = 2 * early - early.bit_count()
    # j & -j is the largest power of 2 that divides j
    weights = [(j & -j).bit_length() / total for j in range(early, 0, -1)]
    return LossWeighting([*weights, 1.0])


def opt(num_exits: int, exit: int | None = None) -> LossWeighting:
    """OPT_i: weight 1 on exit i alone, 0 elsewhere: the network trained for one exit.

    Args:
        num_exits: K.
        exit: i, from 1 to K; the last exit if left out.
    """
    chosen = _at_least_one(num_exits) if exit is None else exit
    require(1 <= chosen <= num_exits, "opt exit", f"1 to {num_exits}", exit)
    weights = torch.zeros(num_exits)
    weights[chosen - 1] = 1
    return LossWeighting(weights, last_exit=chosen)


def _at_least_one(num_exits: int) -> int:
    require(num_exits >= 1, "num_exits", "at least 1", num_exits)
    return num_exits

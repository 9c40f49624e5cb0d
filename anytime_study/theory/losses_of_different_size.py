"""*What AdaLoss does*, on losses of different size: where each weighting leads when every loss is known."""

from __future__ import annotations

import numpy as np

from anytime_study.theory.geometric_mean import adaloss_fixed_point
from anytime_study.theory.quadratics import Array, QuadraticLosses, require


def fixed_weights(num_exits: int) -> dict[str, Array]:
    """Weights B [K] of CONST and LINEAR, by name: the same as in :mod:`anytime_core.weighting`, without torch.

    Args:
        num_exits: K, at least 2.
    """
    require(num_exits >= 2, "num_exits", "at least 2", num_exits)
    return {"CONST": np.ones(num_exits), "LINEAR": np.linspace(0.25, 1, num_exits)}


def solutions(problem: QuadraticLosses, *, floor: float = 0.07) -> dict[str, Array]:
    """θ [d] where each weighting ends in full batch, by its name in figures and tables.

    AdaLoss and AdaLoss with the floor are the fixed points reached from θ = 0. OPT of the last exit is a network for
    one exit, not an anytime network; it is there to compare with.

    Args:
        problem: The losses of K ≥ 2 exits.
        floor: γ of the second AdaLoss, from 0 to 1.

    Raises:
        ValueError: K is below 2.
        NoFixedPoint: AdaLoss did not come to rest.
    """
    found = {name: problem.minimiser(weights) for name, weights in fixed_weights(problem.num_exits).items()}
    found["AdaLoss"] = adaloss_fixed_point(problem, tolerance=1e-12)
    found["AdaLoss with floor"] = adaloss_fixed_point(problem, floor=floor, tolerance=1e-12)
    found["OPT, last exit"] = problem.minimiser(np.eye(problem.num_exits)[-1])
    return found


def relative_increases(problem: QuadraticLosses, theta: Array) -> Array:
    """ℓ_i(θ) / OPT_i - 1, the measure of the book with losses in place of errors: [d] -> [K]; 0 is the best."""
    return problem.losses(theta) / problem.optima - 1

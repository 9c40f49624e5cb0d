"""*Losses of different size*: where the weightings lead when every loss is known, and whether a better point exists.

θ' *dominates* θ if ℓ_i(θ') ≤ ℓ_i(θ) for every exit and one of them is strictly less. A point that nothing dominates is
*Pareto optimal*.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize

from anytime_study.theory.geometric_mean import adaloss_fixed_point
from anytime_study.theory.quadratics import Array, QuadraticLosses, require


def fixed_weights(num_exits: int) -> dict[str, Array]:
    """Weights B [K] of CONST, LINEAR and SIEVE, by name: the same as in :mod:`anytime_core.weighting`, without torch.

    Args:
        num_exits: K, at least 2.
    """
    require(num_exits >= 2, "num_exits", "at least 2", num_exits)
    early = num_exits - 1
    # at distance j from the end SIEVE weighs 1 + (exponent of 2 in j); j & -j is the largest power of 2 in j
    raw = [(j & -j).bit_length() for j in range(early, 0, -1)]
    return {
        "CONST": np.ones(num_exits),
        "LINEAR": np.linspace(0.25, 1, num_exits),
        "SIEVE": np.array([*(weight / sum(raw) for weight in raw), 1.0]),
    }


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


@dataclass(frozen=True)
class Alternative:
    """What a search for a dominating point found.

    Attributes:
        theta: The best point found, [d]; the point asked about itself if no better one was.
        gain: Σ_i (1 - ℓ_i(theta) / ℓ_i(θ)), 0 or more: how much smaller its losses are, in relative terms.
    """

    theta: Array
    gain: float


def dominating_point(problem: QuadraticLosses, theta: Array, *, seed: int = 0) -> Alternative:
    """Look for a point that is nowhere worse than ``theta`` and somewhere better, as much better as can be.

    SciPy's SLSQP maximises the gain of :class:`Alternative` subject to ℓ_i(θ') ≤ ℓ_i(θ) (1 + 1e-9) for all i. The
    problem is convex; five starts guard against a solver that stops early.

    Args:
        problem: The losses, above 0 at ``theta``.
        theta: The point to improve on, [d]. The first search begins there, the others at normal deviates from it.
        seed: Of these deviates.

    Returns:
        The best point found. A gain that is not much above 1e-9 means that none was.
    """
    reference = problem.losses(theta)

    def ratios(candidate: Array) -> Array:
        return problem.losses(candidate) / reference

    def slopes(candidate: Array) -> Array:
        return problem.gradients(candidate) / reference[:, None]

    generator = np.random.default_rng(seed)
    begins = [theta, *(theta + generator.normal(size=(4, problem.dim)))]
    best = Alternative(theta=theta, gain=0.0)
    for begin in begins:
        found = scipy.optimize.minimize(
            lambda candidate: ratios(candidate).sum(),
            begin,
            jac=lambda candidate: slopes(candidate).sum(axis=0),
            constraints={
                "type": "ineq",
                "fun": lambda candidate: 1 - ratios(candidate),
                "jac": lambda candidate: -slopes(candidate),
            },
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        reached = ratios(found.x)
        gain = float((1 - reached).sum())
        if reached.max() <= 1 + 1e-9 and gain > best.gain:
            best = Alternative(theta=found.x, gain=gain)
    return best


def average_relative_loss(problem: QuadraticLosses, reference: Array, others: Array) -> Array:
    """(1/K) Σ_i ℓ_i(θ') / ℓ_i(θ): below 1 where θ' improves on θ by the mean of the relative changes.

    Args:
        problem: The losses, above 0 at ``reference``.
        reference: θ, [d].
        others: θ', [N, d].

    Returns:
        [N].
    """
    losses = np.array([problem.losses(other) for other in others])
    return (losses / problem.losses(reference)).mean(axis=-1)

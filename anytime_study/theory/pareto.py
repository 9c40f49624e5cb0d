"""Is there a better compromise? A search for a point that no exit would object to, and the average relative loss.

θ' *dominates* θ if ℓ_i(θ') ≤ ℓ_i(θ) for every exit and one of them is strictly less. A point that nothing dominates is
*Pareto optimal*.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from anytime_study.theory.quadratics import Array, QuadraticLosses


@dataclass(frozen=True)
class Alternative:
    """What a search for a dominating point found.

    Attributes:
        theta: The best point found, [d]; the point asked about itself if no better one was.
        gain: Σ_i (1 - ℓ_i(theta) / ℓ_i(θ)), 0 or more: how much smaller its losses are, in relative terms.
    """

    theta: Array
    gain: float


def dominating_point(
    problem: QuadraticLosses, theta: Array, *, starts: int = 5, seed: int = 0, tolerance: float = 1e-9
) -> Alternative:
    """Look for a point that is nowhere worse than ``theta`` and somewhere better, as much better as can be.

    Sequential quadratic programming (SciPy's SLSQP) maximises the gain of :class:`Alternative` subject to
    ℓ_i(θ') ≤ ℓ_i(θ) for all i. The problem is convex, so several starts only guard against a solver that stops early.

    Args:
        problem: The losses, above 0 at ``theta``.
        theta: The point to improve on, [d].
        starts: How many searches; the first begins at ``theta``, the others at normal deviates from it.
        seed: Of these deviates.
        tolerance: By how much, relative to ℓ_i(θ), a loss may exceed it: solvers keep constraints only about.

    Returns:
        The best point found. A gain that is not much above ``tolerance`` means that none was.

    Raises:
        ValueError: no start, or a tolerance below 0.
    """
    if starts < 1:
        raise ValueError(f"starts: expected at least 1, found {starts}")
    if not tolerance >= 0:
        raise ValueError(f"tolerance: expected 0 or more, found {tolerance}")
    reference = problem.losses(theta)

    def ratios(candidate: Array) -> Array:
        return problem.losses(candidate) / reference

    def slopes(candidate: Array) -> Array:
        return problem.gradients(candidate) / reference[:, None]

    generator = np.random.default_rng(seed)
    begins = [theta, *(theta + generator.normal(size=(starts - 1, problem.dim)))]
    best = Alternative(theta=theta, gain=0.0)
    for begin in begins:
        found = optimize.minimize(
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
        if reached.max() <= 1 + tolerance and gain > best.gain:
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

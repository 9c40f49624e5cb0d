"""The objective of AdaLoss, where it is stationary, and how full-batch descent walks.

Notation, as in the whole of :mod:`anytime_study.theory`: ℓ [K] the expected losses, all above 0; g [K, d] their
gradients; S = Σ_i ln ℓ_i; GM = exp(S / K) their geometric mean (``scipy.stats.gmean``).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from anytime_study.theory.quadratics import Array, QuadraticLosses, require

Normaliser = Literal["none", "sum", "max", "geometric"]


class NoFixedPoint(RuntimeError):
    """The iteration of the weights did not come to rest. The message says after how many steps, and how near."""


def log_sum(losses: Array) -> np.float64:
    """S = Σ_i ln ℓ_i over the last axis, the objective of the paper's Eq. 3: [..., K] -> [...]."""
    return np.log(losses).sum(axis=-1)


def log_sum_gradient(losses: Array, gradients: Array) -> Array:
    """∇S = Σ_i g_i / ℓ_i: [K], [K, d] -> [d]."""
    return (1 / losses) @ gradients


def inverse_weights(losses: Array, *, normaliser: Normaliser = "none", floor: float = 0.0) -> Array:
    """AdaLoss's weights, [..., K] -> [..., K]: 1 / ℓ_i over a common number, then mixed with CONST.

    Args:
        losses: ℓ, above 0, or running means of it.
        normaliser: What 1 / ℓ_i is divided by: nothing, or the sum, maximum or geometric mean of all 1 / ℓ_j. The
            authors' code has the maximum.
        floor: γ, from 0 to 1: B_i = (1 - γ) u_i + γ.
    """
    require(0 <= floor <= 1, "floor", "0 to 1", floor)
    require(normaliser in get_args(Normaliser), "normaliser", f"one of {', '.join(get_args(Normaliser))}", normaliser)
    raw = 1 / losses
    if normaliser == "sum":
        raw = raw / raw.sum(axis=-1, keepdims=True)
    elif normaliser == "max":
        raw = raw / raw.max(axis=-1, keepdims=True)
    elif normaliser == "geometric":
        raw = raw / np.exp(np.log(raw).mean(axis=-1, keepdims=True))
    return (1 - floor) * raw + floor


def undetached_objective(losses: Array, *, normaliser: Normaliser = "none") -> np.float64:
    """Σ_i B_i(ℓ) ℓ_i, what a program minimises if it lets the gradient pass through the weights: [..., K] -> [...].

    It is K (``"none"``), the harmonic mean (``"sum"``), K times the smallest loss (``"max"``) or K times the geometric
    mean (``"geometric"``), what AdaLoss is about. Derived here, not in the paper.
    """
    return (inverse_weights(losses, normaliser=normaliser) * losses).sum(axis=-1)


def adaloss_fixed_point(
    problem: QuadraticLosses,
    *,
    start: npt.ArrayLike | None = None,
    floor: float = 0.0,
    tolerance: float = 1e-14,
    max_steps: int = 100_000,
) -> Array:
    """Where full-batch AdaLoss comes to rest: iterate B ← weights(ℓ(θ)), θ ← argmin Σ B_i ℓ_i.

    Without a floor the point is stationary for S, however the weights are normalised. With one (and the maximum as
    normaliser) it is neither stationary for S nor for the sum. There can be several such points; ``start`` chooses.

    Args:
        start: θ [d] to begin at; None begins at θ = 0. In the linear residual network all losses are equal there, so
            None is a warm start from CONST.
        floor: γ, from 0 to 1.
        tolerance: The iteration ends when θ moves by less than this, relative to 1 + ‖θ‖.
        max_steps: After which :class:`NoFixedPoint` is raised.

    Returns:
        θ, [d].

    Raises:
        NoFixedPoint: it did not come to rest.
    """
    theta = np.zeros(problem.dim) if start is None else np.asarray(start, dtype=np.float64)
    step = np.inf
    for _ in range(max_steps):
        moved = problem.minimiser(inverse_weights(problem.losses(theta), normaliser="max", floor=floor))
        step = float(np.linalg.norm(moved - theta) / (1 + np.linalg.norm(moved)))
        theta = moved
        if step < tolerance:
            return theta
    raise NoFixedPoint(f"after {max_steps} steps θ still moves by {step:.2e} (relative), tolerance {tolerance:.0e}")


def descend(
    problem: QuadraticLosses,
    start: npt.ArrayLike,
    *,
    steps: int,
    learning_rate: float,
    normaliser: Normaliser = "max",
    refresh_period: int | None = None,
) -> Array:
    """Gradient descent on Σ_i B_i ℓ_i with AdaLoss's weights without a floor, held constant in each step.

    Args:
        start: θ, [d].
        steps: T.
        learning_rate: η.
        normaliser: Of :func:`inverse_weights`.
        refresh_period: None makes the weights of the losses of each step. P makes them as programs do: all are 1 at
            first; the steps P, 2P, … (counted from 1) make them anew, for the steps that follow.

    Returns:
        θ before every step and after the last, [T + 1, d].
    """
    theta = np.array(start, dtype=np.float64)
    weights = np.ones(problem.num_exits)
    path = [theta]
    for step in range(1, steps + 1):
        made = inverse_weights(problem.losses(theta), normaliser=normaliser)
        gradients = problem.gradients(theta)
        theta = theta - learning_rate * (made if refresh_period is None else weights) @ gradients
        if refresh_period is not None and step % refresh_period == 0:
            weights = made
        path.append(theta)
    return np.array(path)

"""The objective of AdaLoss: the sum of the logarithms of the expected losses, and where it is stationary.

Notation, as in the whole of :mod:`anytime_core.theory`: ℓ [K] the expected losses, all above 0; g [K, d] their
gradients; S = Σ_i ln ℓ_i; GM = exp(S / K) their geometric mean (``scipy.stats.gmean``).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from anytime_core.theory.quadratics import Array, QuadraticLosses

Normaliser = Literal["none", "sum", "max", "geometric"]


class NoFixedPoint(RuntimeError):
    """The iteration of the weights did not come to rest. The message says after how many steps, and how near."""


def log_sum(losses: Array) -> np.float64:
    """S = Σ_i ln ℓ_i over the last axis, the objective of the paper's Eq. 3: [..., K] -> [...]."""
    return np.log(losses).sum(axis=-1)


def log_sum_gradient(losses: Array, gradients: Array) -> Array:
    """∇S = Σ_i g_i / ℓ_i: [K], [K, d] -> [d]."""
    return (1 / losses) @ gradients


def inverse_weights(losses: Array, *, normaliser: Normaliser = "none", floor: float = 0.0, power: float = 1.0) -> Array:
    """AdaLoss's weights in full batch, [K] -> [K]: u_i = ℓ_i^-p, normalised, then B_i = (1 - γ) u_i + γ.

    Args:
        losses: ℓ, above 0.
        normaliser: ``"none"``; ``"sum"``: u sums to 1; ``"max"``: the largest u is 1 (the authors' code);
            ``"geometric"``: the geometric mean of u is 1.
        floor: γ, from 0 to 1.
        power: p. With 1 it is AdaLoss; 0 is CONST, and 2 descends the harmonic mean.

    Raises:
        ValueError: an unknown normaliser.
    """
    raw = losses**-power if power != 1 else 1 / losses  # 1/ℓ is exact for a power of two, a general power is not
    match normaliser:
        case "none":
            scale = 1.0
        case "sum":
            scale = raw.sum()
        case "max":
            scale = raw.max()
        case "geometric":
            scale = np.exp(np.log(raw).mean())
        case _:
            raise ValueError(f"normaliser: expected one of {', '.join(get_args(Normaliser))}, found {normaliser!r}")
    return (1 - floor) * (raw / scale) + floor


def adaloss_fixed_point(
    problem: QuadraticLosses,
    *,
    start: Array | None = None,
    floor: float = 0.0,
    normaliser: Normaliser = "max",
    power: float = 1.0,
    tolerance: float = 1e-14,
    max_steps: int = 100_000,
) -> Array:
    """Where full-batch AdaLoss comes to rest: iterate B ← weights(ℓ(θ)), θ ← argmin Σ B_i ℓ_i.

    Without a floor the normaliser does not matter here, and the point is stationary for S. With one it is neither
    stationary for S nor for the sum. There can be several such points; ``start`` chooses.

    Args:
        problem: The losses.
        start: θ [d] to begin at; None begins at θ = 0.
        floor, normaliser, power: Of :func:`inverse_weights`.
        tolerance: The iteration ends when θ moves by less than this, relative to 1 + ‖θ‖.
        max_steps: After which :class:`NoFixedPoint` is raised.

    Returns:
        θ, [d].

    Raises:
        NoFixedPoint: it did not come to rest.
    """
    theta = np.zeros(problem.dim) if start is None else np.asarray(start, dtype=np.float64)
    for _ in range(max_steps):
        weights = inverse_weights(problem.losses(theta), floor=floor, normaliser=normaliser, power=power)
        moved = problem.minimiser(weights)
        step = float(np.linalg.norm(moved - theta) / (1 + np.linalg.norm(moved)))
        theta = moved
        if step < tolerance:
            return theta
    raise NoFixedPoint(f"after {max_steps} steps θ still moves by {step:.2e} (relative), tolerance {tolerance:.0e}")

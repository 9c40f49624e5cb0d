"""The objective of AdaLoss: the sum of the logarithms of the expected losses, and where it is stationary.

Notation, as in the whole of :mod:`anytime_study.theory`: ℓ [K] the expected losses, all above 0; g [K, d] their
gradients; S = Σ_i ln ℓ_i; GM = exp(S / K) their geometric mean (``scipy.stats.gmean``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from anytime_study.theory.quadratics import Array, QuadraticLosses

Normaliser = Literal["none", "sum", "max", "geometric"]


class NoFixedPoint(RuntimeError):
    """The iteration of the weights did not come to rest. The message says after how many steps, and how near."""


def log_sum(losses: Array) -> np.float64:
    """S = Σ_i ln ℓ_i over the last axis, the objective of the paper's Eq. 3: [..., K] -> [...]."""
    return np.log(losses).sum(axis=-1)


def log_sum_gradient(losses: Array, gradients: Array) -> Array:
    """∇S = Σ_i g_i / ℓ_i: [K], [K, d] -> [d]."""
    return (1 / losses) @ gradients


def normaliser_of(raw: Array, normaliser: Normaliser) -> Array:
    """n, the common divisor of raw weights: [..., K] -> [..., 1]; 1, their sum, their maximum or geometric mean.

    Raises:
        ValueError: an unknown normaliser.
    """
    match normaliser:
        case "none":
            return np.ones_like(raw[..., :1])
        case "sum":
            return raw.sum(axis=-1, keepdims=True)
        case "max":
            return raw.max(axis=-1, keepdims=True)
        case "geometric":
            return np.exp(np.log(raw).mean(axis=-1, keepdims=True))
    raise ValueError(f"normaliser: expected one of {', '.join(get_args(Normaliser))}, found {normaliser!r}")


def inverse_weights(losses: Array, *, normaliser: Normaliser = "none", floor: float = 0.0, power: float = 1.0) -> Array:
    """AdaLoss's weights in full batch, [..., K] -> [..., K]: u_i = ℓ_i^-p, normalised, then B_i = (1 - γ) u_i + γ.

    Args:
        losses: ℓ, above 0.
        normaliser: ``"none"``; ``"sum"``: u sums to 1; ``"max"``: the largest u is 1 (the authors' code);
            ``"geometric"``: the geometric mean of u is 1.
        floor: γ, from 0 to 1.
        power: p. With 1 it is AdaLoss; 0 is CONST, and 2 descends the harmonic mean.

    Raises:
        ValueError: an unknown normaliser.
    """
    raw = inverse_power(losses, power)
    return (1 - floor) * (raw / normaliser_of(raw, normaliser)) + floor


def inverse_power(values: Array, power: float) -> Array:
    """Elementwise x^-p; 1/x for p = 1, which is exact for a factor that is a power of two (a general power is not)."""
    return values**-power if power != 1 else 1 / values


def undetached_objective(losses: Array, *, normaliser: Normaliser = "none", floor: float = 0.0) -> np.float64:
    """Σ_i B_i(ℓ) ℓ_i, what a program minimises if it lets the gradient pass through the weights: [..., K] -> [...].

    Because u_i ℓ_i = 1 / n for every exit, the part of the weights is K / n: K itself (``"none"``), the harmonic mean
    (``"sum"``), K times the smallest loss (``"max"``) or K times the geometric mean (``"geometric"``), the only one of
    the four that is what AdaLoss is about. Derived here, not in the paper.
    """
    return (inverse_weights(losses, normaliser=normaliser, floor=floor) * losses).sum(axis=-1)


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
        start: θ [d] to begin at; None begins at θ = 0. In the linear residual network all losses are equal there, so
            the first step leads to the optimum of CONST: None is a warm start from CONST. Where there are several
            fixed points (correlations near 1), gradient descent from θ = 0 may lead to another one.
        floor, normaliser, power: Of :func:`inverse_weights`.
        tolerance: The iteration ends when θ moves by less than this, relative to 1 + ‖θ‖.
        max_steps: After which :class:`NoFixedPoint` is raised.

    Returns:
        θ, [d].

    Raises:
        NoFixedPoint: it did not come to rest.
    """
    return rest_point(
        problem,
        lambda losses: inverse_weights(losses, floor=floor, normaliser=normaliser, power=power),
        start=start,
        tolerance=tolerance,
        max_steps=max_steps,
    )


def rest_point(
    problem: QuadraticLosses,
    weigh: Callable[[Array], Array],
    *,
    start: Array | None = None,
    tolerance: float = 1e-14,
    max_steps: int = 100_000,
) -> Array:
    """Where descent under weights that follow the losses comes to rest: Σ_i B_i(ℓ(θ)) g_i(θ) = 0.

    Args:
        problem: The losses.
        weigh: ℓ [K] -> B [K], 0 or more.
        start, tolerance, max_steps: Of :func:`adaloss_fixed_point`.

    Returns:
        θ, [d].

    Raises:
        NoFixedPoint: it did not come to rest.
    """
    theta = np.zeros(problem.dim) if start is None else np.asarray(start, dtype=np.float64)
    step = np.inf
    for _ in range(max_steps):
        moved = problem.minimiser(weigh(problem.losses(theta)))
        step = float(np.linalg.norm(moved - theta) / (1 + np.linalg.norm(moved)))
        theta = moved
        if step < tolerance:
            return theta
    raise NoFixedPoint(f"after {max_steps} steps θ still moves by {step:.2e} (relative), tolerance {tolerance:.0e}")

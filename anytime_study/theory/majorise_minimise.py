"""Why AdaLoss descends: its weights are the slopes of tangents that lie above the logarithm.

The weights 1/ℓ_i(a) of an anchor a turn Σ ℓ_i(θ)/ℓ_i(a) into a bound from above on S = Σ ln ℓ_i that touches it at a.
So whatever lowers the weighted sum lowers S: a majorise-minimise scheme. Steps that minimise the weighted sum exactly
are also those of Frank and Wolfe for the concave function Σ ln z_i of the losses z. The paper derives its weights from
a minimisation over both the weights and θ (its Eq. 2); the descent lemma, the powers and the rate are derived here.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.special

from anytime_study.theory.geometric_mean import inverse_power, inverse_weights, log_sum
from anytime_study.theory.quadratics import Array, QuadraticLosses


def majoriser(losses: Array, anchor: Array) -> np.float64:
    """Q = Σ ln a_i + Σ (ℓ_i / a_i - 1), the tangents of the logarithms at a: [..., K], [K] -> [...]; never below S.

    Args:
        losses: ℓ, above 0.
        anchor: a, the losses that the weights 1 / a_i were made of, above 0.
    """
    return log_sum(anchor) + (losses / anchor - 1).sum(axis=-1)


def descent_bound(losses: Array, anchor: Array) -> np.float64:
    """K ln W with W = (1 / K) Σ ℓ_i / a_i, by Jensen never below S(ℓ) - S(a): [..., K], [K] -> [...].

    It is 0 or less as soon as the weighted sum has not risen, W ≤ 1, however θ was found. It is never above what the
    tangents promise, K (W - 1).
    """
    return losses.shape[-1] * np.log((losses / anchor).mean(axis=-1))


def power_sum(losses: Array, power: float) -> np.float64:
    """Φ_p = Σ (ℓ_i^(1-p) - 1) / (1 - p), and Σ ln ℓ_i for p = 1: [..., K] -> [...].

    Its slopes are ℓ_i^-p and it is concave in ℓ for p ≥ 0, so the weights ℓ_i^-p descend it as 1/ℓ_i descends S. p = 0
    is the plain sum (CONST), p = 2 the harmonic mean.
    """
    return scipy.special.boxcox(losses, 1 - power).sum(axis=-1)


def majorise_minimise(problem: QuadraticLosses, start: Array, *, steps: int, power: float = 1.0) -> Array:
    """Repeat B ← ℓ(θ)^-p, θ ← argmin Σ B_i ℓ_i, and keep the way.

    Args:
        problem: The losses.
        start: θ, [d].
        steps: T.
        power: p; 1 is AdaLoss.

    Returns:
        θ before every step and after the last, [T + 1, d].
    """
    path = [np.asarray(start, dtype=np.float64)]
    for _ in range(steps):
        path.append(problem.minimiser(inverse_weights(problem.losses(path[-1]), normaliser="max", power=power)))
    return np.array(path)


def contraction(problem: QuadraticLosses, theta: Array, *, power: float = 1.0) -> float:
    """The factor by which :func:`majorise_minimise` shrinks small distances to its fixed point θ.

    It is the largest eigenvalue of p (Σ ℓ_i^-p H_i)⁻¹ Σ ℓ_i^(-p-1) g_i g_iᵀ, with H_i the Hessian of ℓ_i. All
    eigenvalues are real and 0 or more, so nothing oscillates, and all are below 1 where ∇²Φ_p, which is the matrix in
    brackets less p times the other sum, is positive definite.

    Args:
        problem: The losses; Σ ℓ_i^-p H_i must be positive definite.
        theta: θ, a fixed point, [d].
        power: p.
    """
    losses, gradients = problem.losses(theta), problem.gradients(theta)
    curvature = 2 * np.tensordot(inverse_power(losses, power), problem.curvature, axes=1)  # [d, d]
    spread = power * (gradients.T * inverse_power(losses, power + 1)) @ gradients  # [d, d]
    return float(scipy.linalg.eigh(spread, curvature, eigvals_only=True)[-1])


def random_quadratics(
    random: np.random.Generator, *, num_exits: int = 5, dim: int = 4, mean_floor: float = 0.05
) -> QuadraticLosses:
    """K quadratics ℓ_i = ‖R_i (θ - μ_i)‖² + c_i with nothing in common: problems to look for counterexamples in.

    R_i has a random number of rows from 1 to d, so most exits do not determine θ alone. R and μ are standard normal,
    c_i is exponential.

    Args:
        random: The source of chance.
        num_exits: K.
        dim: d.
        mean_floor: The mean of c.
    """
    roots = random.normal(size=(num_exits, dim, dim))
    roots *= np.arange(dim)[:, None] < random.integers(1, dim + 1, size=num_exits)[:, None, None]
    targets = random.normal(size=(num_exits, dim))
    curvature = roots.transpose(0, 2, 1) @ roots
    slope = np.einsum("kij,kj->ki", curvature, targets)
    remainders = random.exponential(mean_floor, size=num_exits)
    return QuadraticLosses(curvature, slope, np.einsum("ki,ki->k", slope, targets) + remainders)

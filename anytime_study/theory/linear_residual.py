"""The linear residual network, on which most statements of the book are tried.

It has the exits, the shared parameters and the losses of very different size of a deep anytime network, and nothing
has to be trained to know where a weighting leads.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from anytime_study.theory.quadratics import Array, QuadraticLosses, require


def linear_residual(num_exits: int = 6, *, correlation: float = 0.8, sigma2: float = 0.01) -> QuadraticLosses:
    """The linear residual network: exit i predicts Σ_{j ≤ i} θ_j x_j, one more term than the exit before it.

    The inputs are x ~ N(0, Σ) with Σ_jk = ρ^|j-k|, the target is y = Σ_j x_j + N(0, σ²), and ℓ_i is the expected
    squared error of exit i. With P_i the projection on the first i coordinates: A_i = P_i Σ P_i, b_i = P_i Σ 1 and
    c_i = 1ᵀ Σ 1 + σ². An early exit does best if its coefficients also stand in for the inputs that it does not see;
    the last exit does best with θ = 1. So the exits compete, and σ², the loss that the last exit cannot go below, sets
    how far their losses are apart.

    Args:
        num_exits: K, also the number d of inputs and parameters.
        correlation: ρ, between neighbouring inputs; 0 or more and below 1.
        sigma2: σ², above 0.
    """
    require(num_exits >= 1, "num_exits", "at least 1", num_exits)
    require(0 <= correlation < 1, "correlation", "0 or more and below 1", correlation)
    require(0 < sigma2 < np.inf, "sigma2", "a finite number above 0", sigma2)
    covariance = scipy.linalg.toeplitz(correlation ** np.arange(num_exits, dtype=np.float64))  # Σ, [d, d]
    seen = np.tri(num_exits)  # [K, d]: row i has ones for the inputs that exit i sees
    ones = np.ones(num_exits)
    return QuadraticLosses(
        curvature=seen[:, :, None] * covariance * seen[:, None, :],
        slope=seen * (covariance @ ones),
        constant=np.full(num_exits, ones @ covariance @ ones + sigma2),
    )


def two_exits(correlation: float, sigma2: float) -> QuadraticLosses:
    """The same with two exits, as losses of its one free number u. Derived here, not in the paper.

    With θ = (1 + u, 1 - ρ u) exit 2 has chosen its coefficient as well as it can, and with k = 1 - ρ²

        ℓ_1 = (u - ρ)² + k + σ²,        ℓ_2 = k u² + σ².

    Exit 1 wants u = ρ and exit 2 wants u = 0; under weights B they meet at u = ρ B_1 / (B_1 + k B_2).
    """
    k = 1 - correlation**2
    return QuadraticLosses(
        curvature=np.array([[[1.0]], [[k]]]),
        slope=np.array([[correlation], [0.0]]),
        constant=np.array([1 + sigma2, sigma2]),
    )


def two_exits_at_rest(correlation: float, sigma2: float) -> Array:
    """All u of :func:`two_exits` where AdaLoss can rest, from the smallest: one, or three where the exits are close.

    They are the real roots of 2k u³ - 3ρk u² + (σ² + k + kσ²) u - ρσ², which is ½ ℓ_1 ℓ_2 times the derivative of
    ln ℓ_1 + ln ℓ_2. Of three the middle one is a maximum of that sum: a fixed point that repels.
    """
    k = 1 - correlation**2
    roots = np.roots([2 * k, -3 * correlation * k, sigma2 + k + k * sigma2, -correlation * sigma2])
    # a real root comes back with an imaginary part of rounding size
    return np.sort(roots.real[np.abs(roots.imag) <= 1e-10 * (1 + np.abs(roots.real))])


def two_exits_under_adaloss(correlation: float, sigma2: float) -> Array:
    """Of these u the one with the smallest product of losses, [1]."""
    points = two_exits_at_rest(correlation, sigma2)
    return points[[two_exits(correlation, sigma2).losses(points[:, None]).prod(axis=-1).argmin()]]

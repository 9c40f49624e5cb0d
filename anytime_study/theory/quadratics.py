"""Quadratic losses of several exits, whose minimiser is known in closed form for every choice of weights.

The main one is a *linear residual network*: it has the exits, the shared parameters and the losses of very different
size of a deep anytime network, and nothing has to be trained to know where a weighting leads.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.linalg

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)  # arrays have no single answer to ==
class QuadraticLosses:
    """Losses ℓ_i(θ) = θᵀ A_i θ - 2 b_iᵀ θ + c_i of K exits that share the parameters θ in R^d.

    Attributes:
        curvature: A, [K, d, d], each symmetric and positive semi-definite. The Hessian of ℓ_i is 2 A_i.
        slope: b, [K, d].
        constant: c, [K].
    """

    curvature: Array
    slope: Array
    constant: Array

    @property
    def num_exits(self) -> int:
        """K."""
        return len(self.constant)

    @property
    def dim(self) -> int:
        """d, the number of parameters."""
        return self.slope.shape[1]

    def losses(self, theta: Array) -> Array:
        """ℓ(θ): [d] -> [K]."""
        return (self.curvature @ theta) @ theta - 2 * self.slope @ theta + self.constant

    def gradients(self, theta: Array) -> Array:
        """g_i = ∇ℓ_i(θ): [d] -> [K, d]."""
        return 2 * (self.curvature @ theta - self.slope)

    def minimiser(self, weights: npt.ArrayLike) -> Array:
        """argmin_θ Σ_i B_i ℓ_i(θ) = (Σ B_i A_i)⁻¹ Σ B_i b_i: B [K], 0 or more, -> θ [d].

        Where the minimum is reached at many θ (an exit alone does not use the parameters behind it), the shortest.
        Weights whose largest is more than about 10⁹ times the smallest cost digits: what the small ones decide is then
        lost in rounding.
        """
        weights = np.asarray(weights, dtype=np.float64)
        curvature = np.tensordot(weights, self.curvature, axes=1)  # [d, d]
        return scipy.linalg.lstsq(curvature, weights @ self.slope)[0]

    @cached_property
    def optima(self) -> Array:
        """The loss of every exit where it alone is minimised (OPT_i), [K]."""
        alone = np.eye(self.num_exits)
        return np.array([self.losses(self.minimiser(alone[i]))[i] for i in range(self.num_exits)])

    def rescaled(self, factors: npt.ArrayLike, offsets: npt.ArrayLike = 0.0) -> QuadraticLosses:
        """The same exits with losses in other units, a_i ℓ_i + o_i; factors a and offsets o are [K] or scalar.

        Raises:
            ValueError: a factor is not above 0.
        """
        factors = np.broadcast_to(np.asarray(factors, dtype=np.float64), (self.num_exits,))
        if not np.all(factors > 0):
            raise ValueError(f"factors: expected numbers above 0, found {factors.tolist()}")
        return QuadraticLosses(
            curvature=factors[:, None, None] * self.curvature,
            slope=factors[:, None] * self.slope,
            constant=factors * self.constant + offsets,
        )


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

    Raises:
        ValueError: an argument outside its range.
    """
    if num_exits < 1:
        raise ValueError(f"num_exits: expected at least 1, found {num_exits}")
    if not 0 <= correlation < 1:
        raise ValueError(f"correlation: expected 0 or more and below 1, found {correlation}")
    if not 0 < sigma2 < np.inf:
        raise ValueError(f"sigma2: expected a finite number above 0, found {sigma2}")
    covariance = scipy.linalg.toeplitz(correlation ** np.arange(num_exits, dtype=np.float64))  # Σ, [d, d]
    seen = np.tri(num_exits)  # [K, d]: row i has ones for the inputs that exit i sees
    ones = np.ones(num_exits)
    return QuadraticLosses(
        curvature=seen[:, :, None] * covariance * seen[:, None, :],
        slope=seen * (covariance @ ones),
        constant=np.full(num_exits, ones @ covariance @ ones + sigma2),
    )


def two_targets(floor: float) -> QuadraticLosses:
    """Two exits that want one parameter in two places: ℓ_1 = θ² + ε and ℓ_2 = (1 - θ)² + ε.

    Args:
        floor: ε, the loss that neither can go below; 0 or more.

    Raises:
        ValueError: ``floor`` is negative.
    """
    if not floor >= 0:
        raise ValueError(f"floor: expected 0 or more, found {floor}")
    return QuadraticLosses(
        curvature=np.ones((2, 1, 1)), slope=np.array([[0.0], [1.0]]), constant=np.array([floor, 1.0 + floor])
    )


def wanted_places(places: npt.ArrayLike, floor: float) -> QuadraticLosses:
    """Exits that want the parameters in places of their own: ℓ_i = ½ ‖θ - μ_i‖² + ε.

    Args:
        places: μ, one for each exit, [K, d].
        floor: ε, the loss that none can go below; 0 or more.

    Raises:
        ValueError: ``places`` has another shape, or ``floor`` is negative.
    """
    points = np.asarray(places, dtype=np.float64)
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(f"places: expected a row of parameters for each exit, found shape {points.shape}")
    if not floor >= 0:
        raise ValueError(f"floor: expected 0 or more, found {floor}")
    count, dim = points.shape
    curvature = np.repeat(np.eye(dim)[None] / 2, count, axis=0)
    return QuadraticLosses(curvature, points / 2, (points**2).sum(axis=1) / 2 + floor)

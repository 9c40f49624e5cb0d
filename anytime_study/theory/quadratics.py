"""Quadratic losses of several exits, whose minimiser is known in closed form for every choice of weights.

The main one is :mod:`.linear_residual`; here is the one with a choice between two exits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.linalg

Array = npt.NDArray[np.float64]


def require(holds: object, name: str, expected: str, found: object) -> None:
    """Refuse an argument outside its range."""
    if not holds:
        raise ValueError(f"{name}: expected {expected}, found {found!r}")


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
        """ℓ(θ): [..., d] -> [..., K]."""
        pulled = (self.curvature @ theta[..., None, :, None])[..., 0]  # A_i θ, [..., K, d]
        return (pulled * theta[..., None, :]).sum(axis=-1) - 2 * theta @ self.slope.T + self.constant

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

    def increases(self, theta: Array) -> Array:
        """ℓ_i(θ) / OPT_i - 1, the measure of the book with losses in place of errors: [..., d] -> [..., K]."""
        return self.losses(theta) / self.optima - 1

    def rescaled(self, factors: npt.ArrayLike, offsets: npt.ArrayLike = 0.0) -> QuadraticLosses:
        """The same exits with losses in other units, a_i ℓ_i + o_i; factors a and offsets o are [K] or scalar."""
        factors = np.broadcast_to(np.asarray(factors, dtype=np.float64), (self.num_exits,))
        require(np.all(factors > 0), "factors", "numbers above 0", factors.tolist())
        return QuadraticLosses(
            curvature=factors[:, None, None] * self.curvature,
            slope=factors[:, None] * self.slope,
            constant=factors * self.constant + offsets,
        )


def two_targets(floor: float) -> QuadraticLosses:
    """Two exits that want one parameter in two places: ℓ_1 = θ² + ε and ℓ_2 = (1 - θ)² + ε.

    Args:
        floor: ε, the loss that neither can go below; 0 or more.
    """
    require(floor >= 0, "floor", "0 or more", floor)
    return QuadraticLosses(
        curvature=np.ones((2, 1, 1)), slope=np.array([[0.0], [1.0]]), constant=np.array([floor, 1.0 + floor])
    )

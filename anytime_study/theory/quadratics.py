"""Quadratic losses of several exits, whose minimiser is known in closed form for every choice of weights.

The main one is :mod:`.linear_residual`; here are those that show one thing each.
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


def wanted_places(places: npt.ArrayLike, floor: float) -> QuadraticLosses:
    """Exits that want the parameters in places of their own: ℓ_i = ½ ‖θ - μ_i‖² + ε.

    Args:
        places: μ, one for each exit, [K, d].
        floor: ε, the loss that none can go below; 0 or more.
    """
    points = np.asarray(places, dtype=np.float64)
    require(points.ndim == 2 and points.size, "places", "a row of parameters for each exit", points.shape)
    require(floor >= 0, "floor", "0 or more", floor)
    count, dim = points.shape
    curvature = np.repeat(np.eye(dim)[None] / 2, count, axis=0)
    return QuadraticLosses(curvature, points / 2, (points**2).sum(axis=1) / 2 + floor)


def one_loss(floor: float = 0.0) -> QuadraticLosses:
    """One exit alone, ℓ = θ² + ε: an exit whose training loss nothing keeps from its minimum.

    Args:
        floor: ε, 0 or more.
    """
    return QuadraticLosses(np.ones((1, 1, 1)), np.zeros((1, 1)), np.array([floor]))


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

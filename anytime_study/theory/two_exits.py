"""The linear residual network with two exits, solved by hand: one number u says everything about a solution.

With θ = (θ_1, θ_2) and the second coefficient chosen as well as exit 2 can, θ_2 = 1 - ρ u, exit 1 is left free to
place u = θ_1 - 1, and with k = 1 - ρ²

    ℓ_1 = (u - ρ)² + k + σ²,        ℓ_2 = k u² + σ².

Exit 1 wants u = ρ and exit 2 wants u = 0. Derived here, not in the paper; :func:`.quadratics.linear_residual` is the
same network for any number of exits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anytime_study.theory.quadratics import Array


@dataclass(frozen=True)
class TwoExits:
    """The two-exit linear residual network as a function of u, its one free number.

    Attributes:
        correlation: ρ between the two inputs; 0 or more and below 1.
        sigma2: σ², the variance of the noise of the target, above 0.

    Raises:
        ValueError: an attribute outside its range.
    """

    correlation: float
    sigma2: float

    def __post_init__(self) -> None:
        if not 0 <= self.correlation < 1:
            raise ValueError(f"correlation: expected 0 or more and below 1, found {self.correlation}")
        if not 0 < self.sigma2 < np.inf:
            raise ValueError(f"sigma2: expected a finite number above 0, found {self.sigma2}")

    @property
    def unexplained(self) -> float:
        """k = 1 - ρ², the part of one input's variance that the other does not explain."""
        return 1 - self.correlation**2

    @property
    def optima(self) -> Array:
        """OPT_1 = k + σ² and OPT_2 = σ², [2]."""
        return np.array([self.unexplained + self.sigma2, self.sigma2])

    def theta(self, u: float) -> Array:
        """The coefficients (1 + u, 1 - ρ u), [2]."""
        return np.array([1 + u, 1 - self.correlation * u])

    def losses(self, u: npt.ArrayLike) -> Array:
        """ℓ(u): [...] -> [..., 2]."""
        u = np.asarray(u, dtype=np.float64)
        return self.optima + np.stack([(u - self.correlation) ** 2, self.unexplained * u**2], axis=-1)

    def increases(self, u: npt.ArrayLike) -> Array:
        """ℓ_i / OPT_i - 1: [...] -> [..., 2]."""
        return self.losses(u) / self.optima - 1

    def at(self, weights: npt.ArrayLike) -> float:
        """u where B_1 ℓ_1 + B_2 ℓ_2 is least: ρ B_1 / (B_1 + k B_2); B [2] is 0 or more and not all 0."""
        first, second = np.asarray(weights, dtype=np.float64)
        return float(self.correlation * first / (first + self.unexplained * second))

    @property
    def const_last_increase(self) -> float:
        """ℓ_2 / OPT_2 - 1 under CONST: (1 - ρ²) ρ² / ((2 - ρ²)² σ²). It has no upper end as σ² → 0."""
        rho2 = self.correlation**2
        return (1 - rho2) * rho2 / ((2 - rho2) ** 2 * self.sigma2)

    @property
    def adaloss_cubic(self) -> Array:
        """Coefficients, highest power first, of 2k u³ - 3ρk u² + (σ² + k + kσ²) u - ρσ², [4].

        It is ½ ℓ_1 ℓ_2 times the derivative of ln ℓ_1 + ln ℓ_2, so its real roots are where that sum is stationary.
        """
        rho, k, sigma2 = self.correlation, self.unexplained, self.sigma2
        return np.array([2 * k, -3 * rho * k, sigma2 + k + k * sigma2, -rho * sigma2])

    @property
    def adaloss_points(self) -> Array:
        """All u at which AdaLoss without a floor can rest, from the smallest: one, or three where the exits are close.

        Of three the middle one is a maximum of the sum of logarithms: a fixed point that repels.
        """
        roots = np.roots(self.adaloss_cubic)
        # a real root comes back with an imaginary part of rounding size
        return np.sort(roots.real[np.abs(roots.imag) <= 1e-10 * (1 + np.abs(roots.real))])

    @property
    def adaloss(self) -> float:
        """The u at which ℓ_1 ℓ_2 is least of all."""
        points = self.adaloss_points
        return float(points[np.argmin(self.losses(points).prod(axis=-1))])

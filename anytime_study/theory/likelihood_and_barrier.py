"""*Weights as likelihood and as barrier*: a weight 1/ℓ as the profile of a likelihood, and as the answer to a barrier.

The paper's Eq. 1 gives every exit a Gaussian error with a variance of its own, Eq. 2 adds the barrier -λ ln B_i to
B_i ℓ_i, and Eq. 3 is what both become once the variances or the weights have been minimised over: Σ_i ln ℓ_i. The other
families of likelihoods, the two ways to follow the minimum during training and the product of densities are derived
here, not in the paper.

Notation, as in the whole of :mod:`anytime_study.theory`: ℓ [K] the expected losses, all above 0; S = Σ_i ln ℓ_i.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.signal

from anytime_study.theory.quadratics import Array, QuadraticLosses, require

# --- the barrier ---------------------------------------------------------------------------------------------------


def barrier_objective(losses: npt.ArrayLike, weights: npt.ArrayLike, *, barrier: float = 1.0) -> np.float64:
    """Σ_i (B_i ℓ_i - λ ln B_i) over the last axis, the paper's Eq. 2: [..., K], [..., K] -> [...].

    Without the barrier the best weights would be 0. With it they are :func:`barrier_weights`.

    Args:
        losses: ℓ, above 0.
        weights: B, above 0.
        barrier: λ, above 0.
    """
    require(0 < barrier < np.inf, "barrier", "a finite number above 0", barrier)
    weights = np.asarray(weights, dtype=np.float64)
    return (weights * losses - barrier * np.log(weights)).sum(axis=-1)


def barrier_weights(losses: npt.ArrayLike, *, barrier: float = 1.0) -> Array:
    """λ / ℓ_i, the only minimum of :func:`barrier_objective` over the weights, which is strictly convex in them."""
    require(0 < barrier < np.inf, "barrier", "a finite number above 0", barrier)
    return barrier / np.asarray(losses, dtype=np.float64)


def barrier_value(losses: npt.ArrayLike, *, barrier: float = 1.0) -> np.float64:
    """λ S + K λ (1 - ln λ), what :func:`barrier_objective` is at its minimum over the weights: [..., K] -> [...].

    So λ is a factor on the objective, and with it on the learning rate, and moves no minimum over θ.
    """
    require(0 < barrier < np.inf, "barrier", "a finite number above 0", barrier)
    return barrier * (np.log(losses) + 1 - np.log(barrier)).sum(axis=-1)


# --- likelihoods with a scale of their own ---------------------------------------------------------------------------


@dataclass(frozen=True)
class ScaleFamily:
    """A negative log-likelihood in which a loss is divided by a power of a scale: ℓ / (c σ^p) + n ln σ + constant.

    Attributes:
        name: As a table shows it.
        power: p, above 0.
        divisor: c, above 0.
        count: n, how often ln σ is counted: once for every number that is observed; above 0.
    """

    name: str
    power: float
    divisor: float = 1.0
    count: float = 1.0

    def __post_init__(self) -> None:
        for attribute in ("power", "divisor", "count"):
            value = getattr(self, attribute)
            require(0 < value < np.inf, attribute, "a finite number above 0", value)

    def weights(self, scales: npt.ArrayLike) -> Array:
        """1 / (c σ^p), the factor in front of the loss."""
        return 1 / (self.divisor * np.asarray(scales, dtype=np.float64) ** self.power)

    @property
    def share(self) -> float:
        """n / p: the profiled weight is share / ℓ, whatever c is, and the profile is share · ln ℓ + constant."""
        return self.count / self.power

    def profile(self, losses: npt.ArrayLike) -> Array:
        """The likelihood at its best scale σ̂ = (p ℓ / (n c))^(1/p): (n / p) (ln ℓ + ln(p / (n c)) + 1)."""
        return self.share * (np.log(losses) + np.log(self.power / (self.count * self.divisor)) + 1)


def gaussian(dim: int = 1) -> ScaleFamily:
    """Normal errors in ``dim`` dimensions with one variance σ² for all: ℓ = E‖r‖², ℓ / (2σ²) + d ln σ."""
    return ScaleFamily("Gaussian" if dim == 1 else f"Gaussian, {dim} dimensions", power=2, divisor=2, count=dim)


EXPONENTIAL = ScaleFamily("exponential", power=1)  # the loss itself is the observation, its mean is σ
LAPLACE = ScaleFamily("Laplace", power=1)  # ℓ = E|r|
KENDALL_CLASSIFICATION = ScaleFamily("Kendall et al., classification", power=2)  # ℓ / σ² + ln σ, an approximation
PAPER = ScaleFamily("the paper, Eq. 1", power=2, count=2)  # ℓ / σ² + ln σ²


def fit_jointly(
    problem: QuadraticLosses, families: Sequence[ScaleFamily], *, start: Array | None = None
) -> tuple[Array, Array]:
    """Minimise Σ_i NLL_i over the parameters θ and the scales σ at once.

    It knows nothing of the weights 1/ℓ. What is found is a local minimum.

    Args:
        families: One for each exit.
        start: θ [d]; None begins at θ = 0. All scales begin at 1.

    Returns:
        θ [d] and σ [K].

    Raises:
        ValueError: not one family for each exit.
        RuntimeError: the gradient did not become small.
    """
    require(len(families) == problem.num_exits, "families", "one for each exit", len(families))
    theta = np.zeros(problem.dim) if start is None else np.asarray(start, dtype=np.float64)
    powers, counts, divisors = np.array([(family.power, family.count, family.divisor) for family in families]).T

    def split(point: Array) -> tuple[Array, Array, Array]:
        """θ [d], ln σ [K] and the factors of the losses 1 / (c σ^p) [K]."""
        log_scales = point[problem.dim :]
        return point[: problem.dim], log_scales, np.exp(-powers * log_scales) / divisors

    def objective(point: Array) -> tuple[float, Array]:
        theta, log_scales, weights = split(point)
        losses = problem.losses(theta)
        gradient = np.concatenate([weights @ problem.gradients(theta), counts - powers * weights * losses])
        return float(weights @ losses + counts @ log_scales), gradient

    def hessian(point: Array) -> Array:
        theta, _, weights = split(point)
        mixed = -(powers * weights)[:, None] * problem.gradients(theta)  # [K, d]
        return np.block(
            [
                [2 * np.tensordot(weights, problem.curvature, axes=1), mixed.T],
                [mixed, np.diag(powers**2 * weights * problem.losses(theta))],
            ]
        )

    begin = np.concatenate([theta, np.zeros(problem.num_exits)])
    found = scipy.optimize.minimize(
        objective, begin, jac=True, hess=hessian, method="trust-exact", options={"gtol": 1e-9, "maxiter": 1000}
    )
    # where rounding leaves no further descent it stops without success: near enough is enough
    theta, _, weights = split(found.x)
    rounding = 1e-6 * (1 + np.abs(weights[:, None] * problem.gradients(theta)).max())
    if np.abs(found.jac).max() > rounding:
        raise RuntimeError(f"no minimum: the largest part of the gradient is still {np.abs(found.jac).max():.2e}")
    return theta, np.exp(found.x[problem.dim :])


# --- another barrier -------------------------------------------------------------------------------------------------


def liebel_koerner_variance(losses: npt.ArrayLike) -> Array:
    """argmin over v = σ² of ℓ / (2 v) + ln(1 + v): (ℓ + √(ℓ² + 8 ℓ)) / 4 (Liebel and Körner 2018), elementwise.

    ln(1 + v) in place of ln v keeps the objective at 0 or above. The price: it is no longer scale invariant.
    """
    losses = np.asarray(losses, dtype=np.float64)
    return (losses + np.sqrt(losses * (losses + 8))) / 4


def liebel_koerner_profile(losses: npt.ArrayLike) -> Array:
    """ℓ / (2 v) + ln(1 + v) at its minimum over v, elementwise; near √(2ℓ) for small ℓ, ln ℓ + 1 - ln 2 for large."""
    variance = liebel_koerner_variance(losses)
    return np.asarray(losses) / (2 * variance) + np.log1p(variance)


# --- following the minimum during training ---------------------------------------------------------------------------


def learned_variances(losses: npt.ArrayLike, *, rate: float, start: float = 1.0) -> Array:
    """σ² under gradient descent on s = ln σ², as uncertainty weighting learns it: [T] -> [T], after each step.

    The objective of a step is ½ e^-s ℓ + ½ s (Kendall, Gal and Cipolla 2018), so s ← s - ½ η (1 - ℓ / σ²). For small
    steps σ² then obeys dσ²/dt = ½ η (ℓ - σ²), also while ℓ changes: it *is* a running mean with memory 2 / η.

    Args:
        losses: ℓ of each step.
        rate: η, above 0.
        start: σ² before the first step, above 0.
    """
    require(0 < rate < np.inf, "rate", "a finite number above 0", rate)
    require(0 < start < np.inf, "start", "a finite number above 0", start)
    log_variance = np.log(start)
    path = []
    for loss in np.asarray(losses, dtype=np.float64).tolist():
        log_variance -= rate / 2 * (1 - loss * np.exp(-log_variance))
        path.append(log_variance)
    return np.exp(path)


def running_means(losses: npt.ArrayLike, *, momentum: float, start: float = 1.0) -> Array:
    """ℓ̂ ← β ℓ̂ + (1 - β) ℓ, as AdaLoss keeps it: [T] -> [T], after each step.

    Args:
        losses: ℓ of each step.
        momentum: β, 0 or more and below 1; the memory is 1 / (1 - β) steps.
        start: ℓ̂ before the first step.
    """
    require(0 <= momentum < 1, "momentum", "0 or more and below 1", momentum)
    return scipy.signal.lfilter([1 - momentum], [1, -momentum], losses, zi=[momentum * start])[0]


# --- one target, several densities -----------------------------------------------------------------------------------


def product_precisions(moments: Array) -> Array:
    """1/σ_i² of the likeliest *normalised* product of Gaussians for one target, Π_i N(y; ŷ_i, σ_i²) / Z: [K, K] -> [K].

    In y the product is a Gaussian again, with precision T = Σ τ_i and mean Σ τ_i ŷ_i / T, so its mean negative
    log-likelihood is ½ τᵀ M τ / T - ½ ln T + constant. Its minimum over τ ≥ 0 is also that of ½ τᵀ M τ - Σ τ_i, a
    least-squares problem. Where residuals are uncorrelated, τ_i = 1 / ℓ_i, the weights of AdaLoss; else it is not.

    Args:
        moments: M, symmetric.
    """
    root = np.linalg.cholesky(moments).T  # M = Rᵀ R
    return scipy.optimize.nnls(root, np.linalg.solve(root.T, np.ones(len(moments))))[0]

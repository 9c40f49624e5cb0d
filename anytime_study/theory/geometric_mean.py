"""The objective of AdaLoss, why its steps descend it, where they come to rest, and how full-batch descent walks.

The weights 1 / ℓ_i(a) of an anchor a turn Σ ℓ_i(θ) / ℓ_i(a) into a bound from above on S that touches it at a. So
whatever lowers the weighted sum lowers S. But S has no lower end: :func:`.quadratics.two_targets` shows the choice
between exits and what a floor does to it. The paper derives its weights from a minimisation over both the weights and θ
(its Eq. 2) and gives no floor; the descent and its failures are derived here.

Notation, as in the whole of :mod:`anytime_study.theory`: ℓ [K] the expected losses, all above 0; g [K, d] their
gradients; S = Σ_i ln ℓ_i; GM = exp(S / K) their geometric mean (``scipy.stats.gmean``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from anytime_study.theory.quadratics import Array, QuadraticLosses, require

Normaliser = Literal["none", "sum", "max", "geometric"]

_MOST_STEPS = 100_000  # to a fixed point


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


def majoriser(losses: Array, anchor: Array) -> np.float64:
    """Q = Σ ln a_i + Σ (ℓ_i / a_i - 1), the tangents of the logarithms at a: [..., K], [K] -> [...]; never below S.

    Args:
        losses: ℓ, above 0.
        anchor: a, the losses that the weights 1 / a_i were made of, above 0.
    """
    return log_sum(anchor) + (losses / anchor - 1).sum(axis=-1)


class RunningWeights:
    """AdaLoss's weights as programs make them: from running means, anew in every P-th step, for the steps after it.

    In plain floats: with a few exits, NumPy's overhead would make a step ten times as slow.

    Attributes:
        weights: Of the step that comes, one per exit; 1 before the first refresh.

    Args:
        num_exits: K.
        momentum: β of the running means, 0 or more and below 1; they begin with the losses of the first step.
        refresh_period: P.
        floor, normaliser: Of :func:`inverse_weights`.
    """

    def __init__(
        self,
        num_exits: int,
        *,
        momentum: float = 0.0,
        refresh_period: int = 1,
        floor: float = 0.0,
        normaliser: Normaliser = "max",
    ) -> None:
        require(0 <= momentum < 1, "momentum", "0 or more and below 1", momentum)
        require(refresh_period >= 1, "refresh_period", "at least 1 step", refresh_period)
        self.weights = [1.0] * num_exits
        self._kept, self._period, self._floor, self._normaliser = momentum, refresh_period, floor, normaliser
        self._means: list[float] = []
        self._step = 0

    def __call__(self, losses: Sequence[float]) -> list[float]:
        """Take in the losses of a step; gives the weights of the next one."""
        before = self._means or losses
        self._means = [self._kept * mean + (1 - self._kept) * loss for mean, loss in zip(before, losses, strict=True)]
        self._step += 1
        if self._step % self._period == 0:
            made = inverse_weights(np.array(self._means), normaliser=self._normaliser, floor=self._floor)
            self.weights = made.tolist()
        return self.weights


def undetached_objective(losses: Array, *, normaliser: Normaliser = "none") -> np.float64:
    """Σ_i B_i(ℓ) ℓ_i, what a program minimises if it lets the gradient pass through the weights: [..., K] -> [...].

    It is K (``"none"``), the harmonic mean (``"sum"``), K times the smallest loss (``"max"``) or K times the geometric
    mean (``"geometric"``), what AdaLoss is about. Derived here, not in the paper.
    """
    return (inverse_weights(losses, normaliser=normaliser) * losses).sum(axis=-1)


def adaloss_step(problem: QuadraticLosses, theta: Array, *, floor: float = 0.0) -> Array:
    """argmin Σ B_i ℓ_i for the weights at θ: a step that majorises and minimises, which never raises S. [d] -> [d].

    Args:
        floor: γ, from 0 to 1; with one, the step does not descend S.
    """
    return problem.minimiser(inverse_weights(problem.losses(theta), normaliser="max", floor=floor))


def adaloss_fixed_point(
    problem: QuadraticLosses,
    *,
    start: npt.ArrayLike | None = None,
    floor: float = 0.0,
    tolerance: float = 1e-14,
) -> Array:
    """Where full-batch AdaLoss comes to rest: :func:`adaloss_step` until θ moves no more.

    Without a floor the point is stationary for S, however the weights are normalised. With one (and the maximum as
    normaliser) it is neither stationary for S nor for the sum. There can be several such points; ``start`` chooses.

    Args:
        start: θ [d] to begin at; None begins at θ = 0. In the linear residual network all losses are equal there, so
            None is a warm start from CONST.
        floor: γ, from 0 to 1.
        tolerance: The iteration ends when θ moves by less than this, relative to 1 + ‖θ‖.

    Returns:
        θ, [d].

    Raises:
        RuntimeError: it did not come to rest; says how near it came.
    """
    theta = np.zeros(problem.dim) if start is None else np.asarray(start, dtype=np.float64)
    step = np.inf
    for _ in range(_MOST_STEPS):
        moved = adaloss_step(problem, theta, floor=floor)
        step = float(np.linalg.norm(moved - theta) / (1 + np.linalg.norm(moved)))
        theta = moved
        if step < tolerance:
            return theta
    raise RuntimeError(f"after {_MOST_STEPS} steps θ still moves by {step:.2e} (relative), tolerance {tolerance:.0e}")


def loss_floor_fixed_points(epsilon: float) -> Array:
    """Where AdaLoss can rest on the losses θ² + ε and (1 - θ)² + ε: the minima of S, [1] or [2], in rising order.

    S' is proportional to (1 - 2θ) (θ (1 - θ) - ε). From ε = 1/4 on, θ = 1/2 is the only zero. Below, 1/2 becomes a
    maximum and two minima (1 ± √(1 - 4ε)) / 2 leave it: a pitchfork.
    """
    require(epsilon >= 0, "epsilon", "0 or more", epsilon)
    upper = (1 + np.sqrt(max(0.0, 1 - 4 * epsilon))) / 2
    # their product is ε; 1 - √ would cancel for small ε
    return np.array([0.5]) if epsilon >= 0.25 else np.array([epsilon / upper, upper])


def weight_floor_fixed_points(floor: float) -> Array:
    """Where AdaLoss with weight floor γ comes to rest on the losses θ² and (1 - θ)², [1] or [2] in rising order.

    The weights are (1 - γ) min ℓ / ℓ_i + γ. On the side of the first target, r = θ / (1 - θ) moves in one
    :func:`adaloss_step` to (1 - γ) r² + γ, which leaves r = γ / (1 - γ) and r = 1 where they are. So the stable points
    are θ = γ and 1 - γ while γ < 1/2, and 1/2 from there on.
    """
    require(0 <= floor <= 1, "floor", "0 to 1", floor)
    return np.array([0.5]) if floor >= 0.5 else np.array([floor, 1 - floor])


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
        refresh_period: None makes the weights of the losses of each step. P makes them as :class:`RunningWeights` does,
            without a memory.

    Returns:
        θ before every step and after the last, [T + 1, d].
    """
    theta = np.array(start, dtype=np.float64)
    weigh = RunningWeights(problem.num_exits, refresh_period=refresh_period or 1, normaliser=normaliser)
    path = [theta]
    for _ in range(steps):
        before, after = weigh.weights, weigh(problem.losses(theta).tolist())
        weights = np.array(after if refresh_period is None else before)
        theta = theta - learning_rate * weights @ problem.gradients(theta)
        path.append(theta)
    return np.array(path)

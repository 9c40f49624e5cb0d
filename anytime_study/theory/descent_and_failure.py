"""*Why it descends, and where it can fail*: majorise-minimise steps, and losses that come close to zero.

The weights 1/ℓ_i(a) of an anchor a turn Σ ℓ_i(θ)/ℓ_i(a) into a bound from above on S = Σ ln ℓ_i that touches it at a.
So whatever lowers the weighted sum lowers S. But S has no lower end: :func:`.quadratics.two_targets` shows the choice
between exits and what a floor does to it.

The paper derives its weights from a minimisation over both the weights and θ (its Eq. 2) and gives no floor; the
descent lemma and the failures are derived here. Batches are in :mod:`.batch_noise`, an exit that learns slowly is in
:mod:`.slow_exit`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anytime_study.theory.geometric_mean import inverse_weights, log_sum
from anytime_study.theory.quadratics import Array, QuadraticLosses, require


def majoriser(losses: Array, anchor: Array) -> np.float64:
    """Q = Σ ln a_i + Σ (ℓ_i / a_i - 1), the tangents of the logarithms at a: [..., K], [K] -> [...]; never below S.

    Args:
        losses: ℓ, above 0.
        anchor: a, the losses that the weights 1 / a_i were made of, above 0.
    """
    return log_sum(anchor) + (losses / anchor - 1).sum(axis=-1)


def majorise_minimise(problem: QuadraticLosses, start: npt.ArrayLike, *, steps: int) -> Array:
    """Repeat B ← 1 / ℓ(θ), θ ← argmin Σ B_i ℓ_i, and keep the way.

    Args:
        start: θ, [d].
        steps: T.

    Returns:
        θ before every step and after the last, [T + 1, d].
    """
    path = [np.asarray(start, dtype=np.float64)]
    for _ in range(steps):
        path.append(problem.minimiser(inverse_weights(problem.losses(path[-1]), normaliser="max")))
    return np.array(path)


def loss_floor_fixed_points(epsilon: float) -> tuple[Array, Array]:
    """Where AdaLoss can rest on the losses θ² + ε and (1 - θ)² + ε: the minima of S, and its maximum between them.

    S' is proportional to (1 - 2θ) (θ (1 - θ) - ε). From ε = 1/4 on, θ = 1/2 is the only zero. Below, 1/2 becomes a
    maximum and two minima (1 ± √(1 - 4ε)) / 2 leave it: a pitchfork.

    Returns:
        The stable points in rising order, [1] or [2], and the unstable ones, [0] or [1].
    """
    require(epsilon >= 0, "epsilon", "0 or more", epsilon)
    if epsilon >= 0.25:
        return np.array([0.5]), np.array([])
    half = np.sqrt(1 - 4 * epsilon)
    upper = (1 + half) / 2
    return np.array([epsilon / upper, upper]), np.array([0.5])  # their product is ε; 1 - √ would cancel for small ε


def weight_floor_fixed_points(floor: float) -> tuple[Array, Array]:
    """Where AdaLoss with weight floor γ can rest on the losses θ² and (1 - θ)².

    The weights are (1 - γ) min ℓ / ℓ_i + γ. On the side of the first target, r = θ / (1 - θ) moves in one
    majorise-minimise step to (1 - γ) r² + γ, which leaves r = γ / (1 - γ) and r = 1 where they are. So the stable
    points are θ = γ and 1 - γ while γ < 1/2, and 1/2 from there on.

    Returns:
        The stable points in rising order, [1] or [2], and the unstable ones, [0] or [1].
    """
    require(0 <= floor <= 1, "floor", "0 to 1", floor)
    if floor >= 0.5:
        return np.array([0.5]), np.array([])
    return np.array([floor, 1 - floor]), np.array([0.5])


def boole(values: npt.ArrayLike) -> Array:
    """Boole's map x → x - 1/x, elementwise: one step of gradient descent on ln θ², in the unit √(2η).

    θ - η · 2θ / θ² is √(2η) · boole(θ / √(2η)), so the learning rate η only sets the unit. The map keeps the Lebesgue
    measure of the line and is ergodic (Adler and Weiss 1973): almost every start comes near every point again and
    again, and none of them is ever at rest.
    """
    values = np.asarray(values, dtype=np.float64)
    return values - 1 / values

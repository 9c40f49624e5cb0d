"""What happens when a loss can come close to zero: the sum of logarithms has no lower end.

Two toys. :func:`.quadratics.two_targets` shows the choice between exits and what a floor does to it; one loss alone,
:func:`one_loss`, shows the step. All of it is derived here, not in the paper, which gives no floor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anytime_study.theory.quadratics import Array, QuadraticLosses


def loss_floor_fixed_points(epsilon: float) -> tuple[Array, Array]:
    """Where AdaLoss can rest on the losses θ² + ε and (1 - θ)² + ε: the minima of S, and its maximum between them.

    S' is proportional to (1 - 2θ) (θ (1 - θ) - ε). From ε = 1/4 on, θ = 1/2 is the only zero. Below, 1/2 becomes a
    maximum and two minima (1 ± √(1 - 4ε)) / 2 leave it: a pitchfork. The same ε added to losses θ² and (1 - θ)² as a
    guard, weights 1 / (ℓ + ε), gives the same points.

    Returns:
        The stable points in rising order, [1] or [2], and the unstable ones, [0] or [1].

    Raises:
        ValueError: ε below 0.
    """
    if not epsilon >= 0:
        raise ValueError(f"epsilon: expected 0 or more, found {epsilon}")
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

    Raises:
        ValueError: γ outside 0 to 1.
    """
    if not 0 <= floor <= 1:
        raise ValueError(f"floor: expected 0 to 1, found {floor}")
    if floor >= 0.5:
        return np.array([0.5]), np.array([])
    return np.array([floor, 1 - floor]), np.array([0.5])


def one_loss(floor: float = 0.0) -> QuadraticLosses:
    """One exit alone, ℓ = θ² + ε: an exit whose training loss nothing keeps from its minimum.

    Args:
        floor: ε, 0 or more.
    """
    return QuadraticLosses(np.ones((1, 1, 1)), np.zeros((1, 1)), np.array([floor]))


def boole(values: npt.ArrayLike) -> Array:
    """Boole's map x → x - 1/x, elementwise: one step of gradient descent on ln θ², in the unit √(2η).

    θ - η · 2θ / θ² is √(2η) · boole(θ / √(2η)), so the learning rate η only sets the unit. The map keeps the Lebesgue
    measure of the line and is ergodic (Adler and Weiss 1973): almost every start comes near every point again and
    again, and none of them is ever at rest.
    """
    values = np.asarray(values, dtype=np.float64)
    return values - 1 / values


def boole_scales(scale: float, steps: int) -> Array:
    """The median of |x| after 0, 1, …, T steps of :func:`boole`, for starts from a Cauchy law around 0 with this scale.

    The image of a Cauchy law is a Cauchy law (Letac 1977). Here the scale follows s ← s + 1/s, so s² grows by a little
    more than 2 a step, for ever.

    Args:
        scale: s_0 above 0, the median of |x| at the start.
        steps: T.

    Returns:
        s, [T + 1].

    Raises:
        ValueError: a scale that is not above 0.
    """
    if not scale > 0:
        raise ValueError(f"scale: expected above 0, found {scale}")
    scales = [float(scale)]
    for _ in range(steps):
        scales.append(scales[-1] + 1 / scales[-1])
    return np.array(scales)

"""Nash bargaining between exits: over their losses, and over one step of training.

Over the losses, d_i is what exit i gets if no agreement is made, and the exits agree on the point that maximises
Π_i (d_i - ℓ_i) (Nash 1950). Over a step, they agree on the direction that maximises Π_i g_iᵀu (Nash-MTL, Navon et al.
2022). Both are the minimum of a self-concordant function, for which Newton's method with a damped step is known to
converge from every feasible start. How they differ from AdaLoss is derived here, not in the paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.optimize

from anytime_study.theory.quadratics import Array, QuadraticLosses

# --- over the losses -----------------------------------------------------------------------------------------------


def bargaining_weights(losses: npt.ArrayLike, disagreement: npt.ArrayLike) -> Array:
    """B_i = 1 / (d_i - ℓ_i), the weights for which the bargain is a minimum of Σ B_i ℓ_i: [K], [K] -> [K].

    They rise with the loss, where those of AdaLoss, 1 / ℓ_i, fall.

    Raises:
        ValueError: a loss that is not below its disagreement loss.
    """
    gains = np.asarray(disagreement, dtype=np.float64) - np.asarray(losses, dtype=np.float64)
    if not (gains > 0).all():
        raise ValueError(f"losses: expected all below the disagreement losses, found gains {gains}")
    return 1 / gains


def nash_bargaining(problem: QuadraticLosses, disagreement: npt.ArrayLike) -> Array:
    """argmax_θ Σ_i ln(d_i - ℓ_i(θ)) over the θ where every loss is below d_i.

    The sum is concave, so the losses of the bargain are unique; θ is too, if the sum of the curvatures is regular.

    Args:
        problem: The losses.
        disagreement: d, [K] or scalar.

    Returns:
        θ, [d].

    Raises:
        ValueError: no θ gives every exit a lower loss than its d_i.
    """
    limits = np.broadcast_to(np.asarray(disagreement, dtype=np.float64), (problem.num_exits,))

    def derivatives(theta: Array) -> tuple[Array, Array]:
        weights = bargaining_weights(problem.losses(theta), limits)
        pulls = weights[:, None] * problem.gradients(theta)
        return pulls.sum(axis=0), 2 * np.tensordot(weights, problem.curvature, axes=1) + pulls.T @ pulls

    return _newton(_agreeable(problem, limits), derivatives)


def _agreeable(problem: QuadraticLosses, limits: Array) -> Array:
    """Some θ with ℓ_i(θ) < d_i for all i: the largest (ℓ_i - d_i) / (d_i - OPT_i) is made small, whatever the units."""
    room = limits - problem.optima
    if not ((room > 0).all() and np.isfinite(room).all()):
        raise ValueError(f"disagreement: expected finite numbers above {problem.optima}, found {limits}")
    begin = problem.minimiser(1 / room)
    excess = (problem.losses(begin) - limits) / room
    if excess.max() < -1e-3:  # a look saves the search where d is generous
        return begin
    found = scipy.optimize.minimize(  # over (θ, t): the smallest t that no excess is above
        lambda point: point[-1],
        np.append(begin, excess.max()),
        jac=lambda point: np.append(np.zeros(len(point) - 1), 1.0),
        constraints={
            "type": "ineq",
            "fun": lambda point: point[-1] - (problem.losses(point[:-1]) - limits) / room,
            "jac": lambda point: np.column_stack(
                [-problem.gradients(point[:-1]) / room[:, None], np.ones(problem.num_exits)]
            ),
        },
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    theta = found.x[:-1]
    if not (problem.losses(theta) < limits).all():
        raise ValueError(f"disagreement: expected losses that all exits can go below together, found {limits}")
    return theta


# --- over a step ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NashStep:
    """What the exits agree on for one step θ ← θ - η u.

    Attributes:
        direction: u = Gᵀα, [d]; its squared length is K, and every loss falls, at the rate g_iᵀu = 1 / α_i.
        weights: α, [K], above 0.
    """

    direction: Array
    weights: Array


def nash_step(gradients: Array) -> NashStep:
    """Solve G Gᵀ α = 1 / α for α > 0 (Navon et al. 2022, Section 3): the minimum of ½‖Gᵀα‖² - Σ ln α_i.

    The direction does not change under g_i → a_i g_i, and offsets of the losses do not reach the gradients.

    Args:
        gradients: G, row i is g_i: [K, d].

    Raises:
        ValueError: the point is Pareto stationary (or within 1e-6 of it, in unit gradients), so that no direction
            lowers every loss.
    """
    lengths = np.linalg.norm(gradients, axis=1)
    if not (lengths > 0).all():
        raise ValueError(f"gradients: expected all above 0 in length, found lengths {lengths}")
    units = gradients / lengths[:, None]
    num_exits = len(units)
    # no direction lowers all losses just if 0 is a convex combination of the unit gradients
    system = np.vstack([units.T, np.ones(num_exits)])
    distance = scipy.optimize.nnls(system, np.append(np.zeros(units.shape[1]), 1.0))[1]
    if distance < 1e-6:  # its square must be well above the rounding of the Gram matrix
        raise ValueError("gradients: expected a direction that lowers every loss, found a Pareto stationary point")
    gram = units @ units.T

    def derivatives(weights: Array) -> tuple[Array, Array]:
        return gram @ weights - 1 / weights, gram + np.diag(weights**-2.0)

    weights = _newton(np.ones(num_exits), derivatives)
    return NashStep(direction=weights @ units, weights=weights / lengths)


# --- both ----------------------------------------------------------------------------------------------------------


def _newton(point: Array, derivatives: Callable[[Array], tuple[Array, Array]], *, max_steps: int = 10_000) -> Array:
    """Minimum of a self-concordant function from a point inside its domain.

    With λ² = gᵀH⁻¹g, the step H⁻¹g / (1 + λ) stays inside the domain and lowers the function by at least λ - ln(1 + λ).
    Once λ is small each step about squares it. It ends where rounding stops that.

    Args:
        point: Inside the domain.
        derivatives: point -> gradient and Hessian.
        max_steps: A guard against a function without a minimum.

    Raises:
        ValueError: no minimum was reached.
    """
    before = np.inf
    for _ in range(max_steps):
        gradient, hessian = derivatives(point)
        step = scipy.linalg.lstsq(hessian, gradient)[0]
        decrement = float(np.sqrt(max(gradient @ step, 0.0)))
        point = point - step / (1 + decrement)
        if decrement < 1e-12 or (decrement < 1e-4 and decrement > before / 2):
            return point
        before = decrement
    raise ValueError(f"no bargain was reached in {max_steps} steps")

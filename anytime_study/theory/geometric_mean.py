"""*The geometric mean*: the objective of AdaLoss, where it is stationary, and how full-batch descent walks.

Notation, as in the whole of :mod:`anytime_study.theory`: ℓ [K] the expected losses, all above 0; g [K, d] their
gradients; S = Σ_i ln ℓ_i; GM = exp(S / K) their geometric mean (``scipy.stats.gmean``).

The descent is slow and plain on purpose: no network, no noise. :class:`Rule` writes down the weights of the paper's
formula, of the authors' programs and of variants; :func:`descend` walks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from anytime_study.theory.quadratics import Array, QuadraticLosses, require

Normaliser = Literal["none", "sum", "max", "geometric"]


class NoFixedPoint(RuntimeError):
    """The iteration of the weights did not come to rest. The message says after how many steps, and how near."""


def log_sum(losses: Array) -> np.float64:
    """S = Σ_i ln ℓ_i over the last axis, the objective of the paper's Eq. 3: [..., K] -> [...]."""
    return np.log(losses).sum(axis=-1)


def log_sum_gradient(losses: Array, gradients: Array) -> Array:
    """∇S = Σ_i g_i / ℓ_i: [K], [K, d] -> [d]."""
    return (1 / losses) @ gradients


def normaliser_of(raw: Array, normaliser: Normaliser) -> Array:
    """n, the common divisor of raw weights: [..., K] -> [..., 1]; 1, their sum, their maximum or geometric mean."""
    match normaliser:
        case "none":
            return np.ones_like(raw[..., :1])
        case "sum":
            return raw.sum(axis=-1, keepdims=True)
        case "max":
            return raw.max(axis=-1, keepdims=True)
        case "geometric":
            return np.exp(np.log(raw).mean(axis=-1, keepdims=True))
    raise ValueError(f"normaliser: expected one of {', '.join(get_args(Normaliser))}, found {normaliser!r}")


def inverse_power(values: Array, power: float) -> Array:
    """Elementwise x^-p; 1/x for p = 1, which is exact for a factor that is a power of two (a general power is not)."""
    return values**-power if power != 1 else 1 / values


def inverse_weights(losses: Array, *, normaliser: Normaliser = "none", floor: float = 0.0, power: float = 1.0) -> Array:
    """AdaLoss's weights in full batch, [..., K] -> [..., K]: u_i = ℓ_i^-p, normalised, then B_i = (1 - γ) u_i + γ.

    The options are those of :class:`Rule`. The authors' code has the normaliser ``"max"``; p = 2 descends the harmonic
    mean.
    """
    return Rule(normaliser=normaliser, floor=floor, power=power).weights(losses, losses)


def undetached_objective(losses: Array, *, normaliser: Normaliser = "none", floor: float = 0.0) -> np.float64:
    """Σ_i B_i(ℓ) ℓ_i, what a program minimises if it lets the gradient pass through the weights: [..., K] -> [...].

    Without a floor it is K (``"none"``), the harmonic mean (``"sum"``), K times the smallest loss (``"max"``) or K
    times the geometric mean (``"geometric"``), what AdaLoss is about. Derived here, not in the paper.
    """
    return (inverse_weights(losses, normaliser=normaliser, floor=floor) * losses).sum(axis=-1)


def adaloss_fixed_point(
    problem: QuadraticLosses,
    *,
    start: Array | None = None,
    floor: float = 0.0,
    normaliser: Normaliser = "max",
    power: float = 1.0,
    tolerance: float = 1e-14,
) -> Array:
    """Where full-batch AdaLoss comes to rest: iterate B ← weights(ℓ(θ)), θ ← argmin Σ B_i ℓ_i.

    Without a floor the normaliser does not matter here, and the point is stationary for S. With one it is neither
    stationary for S nor for the sum. There can be several such points; ``start`` chooses.

    Args:
        start: θ [d] to begin at; None begins at θ = 0. In the linear residual network all losses are equal there, so
            None is a warm start from CONST.
        floor, normaliser, power: Of :class:`Rule`.
        tolerance: Of :func:`rest_point`.

    Returns:
        θ, [d].

    Raises:
        NoFixedPoint: it did not come to rest.
    """
    rule = Rule(normaliser=normaliser, floor=floor, power=power)
    return rest_point(problem, lambda losses: rule.weights(losses, losses), start=start, tolerance=tolerance)


def rest_point(
    problem: QuadraticLosses,
    weigh: Callable[[Array], Array],
    *,
    start: Array | None = None,
    tolerance: float = 1e-14,
    max_steps: int = 100_000,
) -> Array:
    """Where descent under weights that follow the losses comes to rest: Σ_i B_i(ℓ(θ)) g_i(θ) = 0.

    Args:
        weigh: ℓ [K] -> B [K], 0 or more.
        start: θ [d] to begin at; None begins at θ = 0.
        tolerance: The iteration ends when θ moves by less than this, relative to 1 + ‖θ‖.
        max_steps: After which :class:`NoFixedPoint` is raised.

    Returns:
        θ, [d].

    Raises:
        NoFixedPoint: it did not come to rest.
    """
    theta = np.zeros(problem.dim) if start is None else np.asarray(start, dtype=np.float64)
    step = np.inf
    for _ in range(max_steps):
        moved = problem.minimiser(weigh(problem.losses(theta)))
        step = float(np.linalg.norm(moved - theta) / (1 + np.linalg.norm(moved)))
        theta = moved
        if step < tolerance:
            return theta
    raise NoFixedPoint(f"after {max_steps} steps θ still moves by {step:.2e} (relative), tolerance {tolerance:.0e}")


@dataclass(frozen=True)
class Rule:
    """How the weights B follow from the losses. The defaults are the bare formula, B_i = 1/ℓ_i of the same step.

    A step measures x_i: the loss ℓ_i, or with order 1 the length ‖g_i‖ of its gradient. The running mean is
    x̂ ← β x̂ + (1 - β) x, begun at the first x. A refresh makes weights of it: u_i = x̂_i^-p + ε, u ← u / n(u), then
    e is added to the last exit and, if e > 0, u ← u / n(u) again, and at last B = (1 - γ) u + γ. With
    ``floor_kind="start"`` the floor is mixed in before the normaliser: u_i = (1 - γ) x̂_i^-p + γ x_i(1)^-p, with x(1)
    what the first step measured, and B = u.

    Attributes:
        normaliser: n, see :func:`normaliser_of`.
        floor: γ, from 0 to 1.
        floor_kind: ``"const"`` as in the authors' code; ``"start"`` does not depend on the units of the losses (derived
            here, not in the paper).
        power: p; 0 is CONST.
        order: 0 measures losses, 1 lengths of gradients.
        momentum: β, from 0 to below 1.
        refresh_period: P: the weights are made anew in the steps P, 2P, … (counted from 1).
        lag: True: new weights are used from the next step on, as in programs. False: in the same step.
        first_weights: Until the first refresh: ``"ones"`` as in the authors' code, or ``"inverse"``, the weights that
            the first step's measures give.
        final_extra: e, 0 or more.
        epsilon: ε, 0 or more.
    """

    normaliser: Normaliser = "none"
    floor: float = 0.0
    floor_kind: Literal["const", "start"] = "const"
    power: float = 1.0
    order: Literal[0, 1] = 0
    momentum: float = 0.0
    refresh_period: int = 1
    lag: bool = False
    first_weights: Literal["inverse", "ones"] = "inverse"
    final_extra: float = 0.0
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        require(0 <= self.floor <= 1, "floor", "0 to 1", self.floor)
        require(self.floor_kind in ("const", "start"), "floor_kind", "const or start", self.floor_kind)
        require(self.order in (0, 1), "order", "0 or 1", self.order)
        require(0 <= self.momentum < 1, "momentum", "0 or more and below 1", self.momentum)
        require(self.refresh_period >= 1, "refresh_period", "at least 1", self.refresh_period)
        require(self.first_weights in ("inverse", "ones"), "first_weights", "inverse or ones", self.first_weights)
        require(self.final_extra >= 0, "final_extra", "0 or more", self.final_extra)
        require(self.epsilon >= 0, "epsilon", "0 or more", self.epsilon)

    def measure(self, losses: Array, gradients: Array) -> Array:
        """What a step measures of each exit: [K], [K, d] -> [K]."""
        return losses if self.order == 0 else np.linalg.norm(gradients, axis=1)

    def weights(self, average: Array, first: Array) -> Array:
        """B made of the running mean and of the first step's measures: [..., K], [..., K] -> [..., K]."""
        raw = inverse_power(average, self.power) + self.epsilon
        if self.floor_kind == "start":
            raw = (1 - self.floor) * raw + self.floor * inverse_power(first, self.power)
        raw = raw / normaliser_of(raw, self.normaliser)
        if self.final_extra:
            raw[..., -1] += self.final_extra
            raw = raw / normaliser_of(raw, self.normaliser)
        return raw if self.floor_kind == "start" else (1 - self.floor) * raw + self.floor


@dataclass(frozen=True)
class Walk:
    """What :func:`descend` saw.

    Attributes:
        theta: θ before every step and after the last, [T + 1, d].
        losses: ℓ there, [T + 1, K].
        weights: B that each step used, [T, K].
    """

    theta: Array
    losses: Array
    weights: Array

    @property
    def end(self) -> Array:
        """θ after the last step, [d]."""
        return self.theta[-1]


def descend(
    problem: QuadraticLosses,
    rule: Rule,
    start: Array,
    *,
    steps: int,
    learning_rate: npt.ArrayLike,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    method: Literal["sgd", "unit", "adam"] = "sgd",
) -> Walk:
    """Descend Σ_i B_i ℓ_i with the weights held constant in each step: direction D = Σ_i B_i g_i + wd θ.

    Args:
        rule: The weights.
        start: θ, [d].
        steps: T.
        learning_rate: η, one number or one for every step, [T].
        momentum: μ of heavy-ball momentum, v ← μ v + D, θ ← θ - η v (with ``"adam"``: β₁).
        weight_decay: wd.
        method: ``"sgd"``; ``"unit"``: D is divided by its length first; ``"adam"``: Adam with β₂ = 0.999 and ε = 0.
    """
    require(method in ("sgd", "unit", "adam"), "method", "sgd, unit or adam", method)
    rates = np.broadcast_to(np.asarray(learning_rate, dtype=np.float64), (steps,))
    theta = np.array(start, dtype=np.float64)
    velocity, square = np.zeros_like(theta), np.zeros_like(theta)
    weights = np.ones(problem.num_exits)
    average = first = rule.measure(problem.losses(theta), problem.gradients(theta))
    if rule.first_weights == "inverse":
        weights = rule.weights(first, first)
    path, used = [theta], []
    for step in range(1, steps + 1):
        gradients = problem.gradients(theta)
        measured = rule.measure(problem.losses(theta), gradients)
        average = measured if step == 1 else rule.momentum * average + (1 - rule.momentum) * measured
        before = weights
        if step % rule.refresh_period == 0:
            weights = rule.weights(average, first)
        used.append(before if rule.lag else weights)
        direction = used[-1] @ gradients + weight_decay * theta
        if method == "adam":
            velocity = momentum * velocity + (1 - momentum) * direction
            square = 0.999 * square + 0.001 * direction**2
            # the two corrections for the start at zero
            move = velocity / (1 - momentum**step) / np.sqrt(square / (1 - 0.999**step))
        else:
            if method == "unit":
                direction = direction / np.linalg.norm(direction)
            velocity = momentum * velocity + direction
            move = velocity
        theta = theta - rates[step - 1] * move
        path.append(theta)
    return Walk(np.array(path), np.array([problem.losses(point) for point in path]), np.array(used))


def compensating_rates(
    losses: Array, factors: npt.ArrayLike, *, normaliser: Normaliser, learning_rate: float = 1.0
) -> Array:
    """Learning rates with which losses in other units a_i ℓ_i walk the path that ℓ walks at one learning rate.

    Normalised weights of a∘ℓ move θ by η Σ g_i/ℓ_i / n(1/(a∘ℓ)): only the length of the step knows the units. So the
    rate η n(1/(a∘ℓ)) / n(1/ℓ) undoes them. Derived here, not in the paper.

    Args:
        losses: ℓ before every step, [T, K].
        factors: a, [K], above 0.
        normaliser: n.
        learning_rate: η of the path in the units of ``losses``.

    Returns:
        [T].
    """
    scaled = losses * np.asarray(factors, dtype=np.float64)
    return learning_rate * (normaliser_of(1 / scaled, normaliser) / normaliser_of(1 / losses, normaliser))[:, 0]


def deviation(path: Array, other: Array) -> float:
    """How far two paths [T, d] come apart: the largest distance at one step, over the largest ‖θ‖ of ``path``."""
    return float(np.linalg.norm(path - other, axis=1).max() / np.linalg.norm(path, axis=1).max())

"""Full-batch descent of several losses under weights that follow them: no network, no noise, every choice a knob.

It is slow and plain on purpose. :class:`Rule` writes down the weights of the paper's formula, of the authors' programs
and of variants; :func:`descend` walks. What a choice does to the walk can then be seen with nothing else in the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from anytime_study.theory.geometric_mean import Normaliser, inverse_power, normaliser_of
from anytime_study.theory.quadratics import Array, QuadraticLosses


@dataclass(frozen=True)
class Rule:
    """How the weights B follow from the losses. The defaults are the bare formula, B_i = 1/ℓ_i of the same step.

    A step measures x_i: the loss ℓ_i, or with order 1 the length ‖g_i‖ of its gradient. The running mean is
    x̂ ← β x̂ + (1 - β) x, begun at the first x. A refresh makes weights of it: u_i = x̂_i^-p + ε, u ← u / n(u), then
    e is added to the last exit and, if e > 0, u ← u / n(u) again, and at last B = (1 - γ) u + γ. With
    ``floor_kind="start"`` the floor is mixed in before the normaliser: u_i = (1 - γ) x̂_i^-p + γ x_i(1)^-p, with x(1)
    what the first step measured, and B = u.

    Attributes:
        normaliser: n, see :func:`.geometric_mean.inverse_weights`.
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

    Raises:
        ValueError: a knob outside its range.
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
        _require(0 <= self.floor <= 1, "floor", "0 to 1", self.floor)
        _require(self.floor_kind in ("const", "start"), "floor_kind", "const or start", self.floor_kind)
        _require(self.order in (0, 1), "order", "0 or 1", self.order)
        _require(0 <= self.momentum < 1, "momentum", "0 or more and below 1", self.momentum)
        _require(self.refresh_period >= 1, "refresh_period", "at least 1", self.refresh_period)
        _require(self.first_weights in ("inverse", "ones"), "first_weights", "inverse or ones", self.first_weights)
        _require(self.final_extra >= 0, "final_extra", "0 or more", self.final_extra)
        _require(self.epsilon >= 0, "epsilon", "0 or more", self.epsilon)

    def measure(self, losses: Array, gradients: Array) -> Array:
        """What a step measures of each exit: [K], [K, d] -> [K]."""
        return losses if self.order == 0 else np.linalg.norm(gradients, axis=1)

    def weights(self, average: Array, first: Array) -> Array:
        """B made of the running mean and of the first step's measures: [K], [K] -> [K]."""
        raw = inverse_power(average, self.power) + self.epsilon
        if self.floor_kind == "start":
            raw = (1 - self.floor) * raw + self.floor * inverse_power(first, self.power)
        raw = raw / normaliser_of(raw, self.normaliser)
        if self.final_extra:
            raw[-1] += self.final_extra
            raw = raw / normaliser_of(raw, self.normaliser)
        return raw if self.floor_kind == "start" else (1 - self.floor) * raw + self.floor


def authors_rule(*, momentum: float = 0.9, refresh_period: int = 100, floor: float = 0.07, **others: object) -> Rule:
    """The rule of the authors' released program, with its defaults; ``others`` are further knobs of :class:`Rule`."""
    knobs: dict = {"normaliser": "max", "lag": True, "first_weights": "ones", "epsilon": 1e-8, **others}
    return Rule(momentum=momentum, refresh_period=refresh_period, floor=floor, **knobs)


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
        problem: The losses.
        rule: The weights.
        start: θ, [d].
        steps: T.
        learning_rate: η, one number or one for every step, [T].
        momentum: μ of heavy-ball momentum, v ← μ v + D, θ ← θ - η v (with ``"adam"``: β₁).
        weight_decay: wd.
        method: ``"sgd"``; ``"unit"``: D is divided by its length first; ``"adam"``: Adam with β₂ = 0.999 and ε = 0.

    Raises:
        ValueError: an unknown method.
    """
    if method not in ("sgd", "unit", "adam"):
        raise ValueError(f"method: expected sgd, unit or adam, found {method!r}")
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


def _require(holds: bool, name: str, expected: str, found: object) -> None:
    if not holds:
        raise ValueError(f"{name}: expected {expected}, found {found!r}")

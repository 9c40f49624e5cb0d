"""An exit that learns slowly, and how weights of at most 1 starve it.

Derived here, not in the paper. The toy is as small as it can be: three numbers a, b, c, and two exits that predict
f_1 = a and f_2 = a b c. Both should be 1. At a = b = c = 1 both are perfect, so the exits do not compete for anything;
only their speeds differ. The product a b c starts near 0, where its gradient is small, as a deep network does from a
small start: the loss of exit 2 stays on a plateau first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.integrate
import scipy.special

from anytime_study.theory.geometric_mean import Normaliser, inverse_weights
from anytime_study.theory.quadratics import Array, require

Pair = tuple[float, float]


@dataclass(frozen=True)
class SlowExit:
    """ℓ_1 = (1 - a)² + ε and ℓ_2 = (1 - a b c)² + ε, with a start and a learning rate.

    Attributes:
        loss_floor: ε, the loss that neither exit can go below.
        start: a, b, c before the first step.
        learning_rate: η, of plain gradient descent.
    """

    loss_floor: float = 1e-3
    start: tuple[float, float, float] = (0.1, 0.03, 0.03)
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("loss_floor", "learning_rate"):
            require(getattr(self, name) > 0, name, "above 0", getattr(self, name))


@dataclass(frozen=True)
class Course:
    """A run of gradient descent on :class:`SlowExit`; row t is the state after t steps.

    Attributes:
        excess: ℓ_i - ε = (1 - f_i)², [steps + 1, 2].
        weights: B_i with which the next step is made, [steps + 1, 2].
    """

    excess: Array
    weights: Array

    def steps_until(self, level: float = 0.01) -> tuple[int | None, int | None]:
        """For each exit, after how many steps its excess is below ``level`` for the first time; None if it never is."""
        below = self.excess < level
        first, second = (int(below[:, i].argmax()) if below[:, i].any() else None for i in range(2))
        return first, second


def descend_fixed(toy: SlowExit, weights: Pair, *, level: float = 0.01, max_steps: int = 400_000) -> Course:
    """Gradient descent on B_1 ℓ_1 + B_2 ℓ_2 with fixed weights: CONST is (1, 1), LINEAR is (1/4, 1).

    Args:
        weights: B_1, B_2; 0 or more.
        level: The run ends when the excess of both exits is below this,
        max_steps: or after so many steps.
    """
    require(min(weights) >= 0, "weights", "0 or more", weights)
    return _descend(toy, lambda _first, _second: weights, weights, level, max_steps)


def descend_adaloss(
    toy: SlowExit,
    *,
    floor: float = 0.07,
    momentum: float = 0.9,
    refresh_period: int = 100,
    normaliser: Normaliser = "max",
    level: float = 0.01,
    max_steps: int = 400_000,
) -> Course:
    """Gradient descent with AdaLoss's weights, made as the authors' program makes them.

    They are made of a running mean at every refresh, used from the next step on, and 1 before.

    Args:
        floor, normaliser: Of :func:`.geometric_mean.inverse_weights`.
        momentum: β of the running mean.
        refresh_period: P, in steps.
        level, max_steps: As in :func:`descend_fixed`.
    """
    step, first_mean, second_mean = 0, math.nan, math.nan
    weights = (1.0, 1.0)

    def rule(first: float, second: float) -> Pair:
        nonlocal step, first_mean, second_mean, weights
        step += 1
        first_mean = first if step == 1 else momentum * first_mean + (1 - momentum) * first
        second_mean = second if step == 1 else momentum * second_mean + (1 - momentum) * second
        if step % refresh_period == 0:
            means = np.array([first_mean, second_mean])
            first_weight, second_weight = inverse_weights(means, normaliser=normaliser, floor=floor).tolist()
            weights = (first_weight, second_weight)
        return weights

    return _descend(toy, rule, weights, level, max_steps)


def plateau_steps(toy: SlowExit, weight: Callable[[float], float] | float, *, level: float = 0.01) -> float:
    """About how many steps exit 2 needs once exit 1 is done, if it then has the weight B_2.

    With a = 1 and b = c, the product y = b c follows dy/dt = 4 η B_2 y (1 - y) in the limit of small steps. For a
    constant B_2 that is the logistic equation, and the number of steps is (logit y_end - logit y_0) / (4 η B_2), with
    y_end = 1 - √level.

    Args:
        toy: Losses, start and learning rate; its b and c have to be equal.
        weight: B_2, above 0: a number, or a function of the loss ℓ_2.
        level: The excess that counts as learnt, from 0 to 1.
    """
    _, b, c = toy.start
    require(b == c, "start", "b = c", toy.start)
    begin, end = scipy.special.logit([b * c, 1 - math.sqrt(level)])
    if isinstance(weight, float | int):
        return float(end - begin) / (4 * toy.learning_rate * weight)
    # in z = logit y the equation is dz/dt = 4 η B_2, which has no steep places
    inverse = scipy.integrate.quad(
        lambda z: 1 / weight(scipy.special.expit(-z) ** 2 + toy.loss_floor), begin, end, epsrel=1e-10
    )[0]
    return inverse / (4 * toy.learning_rate)


def _descend(
    toy: SlowExit, rule: Callable[[float, float], Pair], weights: Pair, level: float, max_steps: int
) -> Course:
    """The loop. Plain floats: with three numbers, NumPy's overhead per call would cost ten times as much."""
    a, b, c = toy.start
    rate, loss_floor = 2 * toy.learning_rate, toy.loss_floor
    excesses: list[Pair] = []
    used: list[Pair] = []
    for step in range(max_steps + 1):
        left_first, left_second = 1 - a, 1 - a * b * c
        first, second = left_first * left_first, left_second * left_second
        excesses.append((first, second))
        used.append(weights)
        if (first < level and second < level) or step == max_steps:
            break
        pull = rate * weights[1] * left_second
        a, b, c = (
            a + rate * weights[0] * left_first + pull * b * c,
            b + pull * a * c,
            c + pull * a * b,
        )
        weights = rule(first + loss_floor, second + loss_floor)
    return Course(np.array(excesses), np.array(used))

"""An exit that learns slowly, and how weights of at most 1 starve it.

Derived here, not in the paper. The toy is as small as it can be: three numbers a, b, c, and two exits that predict
f_1 = a and f_2 = a b c. Both should be 1. At a = b = c = 1 both are perfect, so the exits do not compete for anything;
only their speeds differ. The product a b c starts near 0, where its gradient is small, as a deep network does from a
small start: the loss of exit 2 stays on a plateau first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.integrate
import scipy.special

from anytime_study.theory.geometric_mean import RunningWeights
from anytime_study.theory.quadratics import Array, require

LEARNED = 0.01
"""An exit has learned once its loss is less than this above the loss that it cannot go below."""


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

    def descend(
        self,
        weights: Sequence[float] = (1.0, 1.0),
        *,
        weigh: RunningWeights | None = None,
        max_steps: int = 400_000,
    ) -> Array:
        """Gradient descent on B_1 ℓ_1 + B_2 ℓ_2 until both exits have learned.

        Args:
            weights: B_1 and B_2; CONST is (1, 1), LINEAR is (1/4, 1).
            weigh: Gives the weights of all steps but the first, from the losses of the step before.
            max_steps: After which it ends in any case.

        Returns:
            ℓ_i - ε = (1 - f_i)² before every step and after the last, [steps + 1, 2].
        """
        a, b, c = self.start
        rate, excesses = 2 * self.learning_rate, []
        for step in range(max_steps + 1):
            left_first, left_second = 1 - a, 1 - a * b * c
            first, second = left_first * left_first, left_second * left_second
            excesses.append((first, second))
            if (first < LEARNED and second < LEARNED) or step == max_steps:
                break
            pull = rate * weights[1] * left_second
            a, b, c = (
                a + rate * weights[0] * left_first + pull * b * c,
                b + pull * a * c,
                c + pull * a * b,
            )
            if weigh is not None:
                weights = weigh([first + self.loss_floor, second + self.loss_floor])
        return np.array(excesses)

    def plateau_steps(self, weight: Callable[[float], float]) -> float:
        """About how many steps exit 2 needs once exit 1 is done, if it then has the weight B_2(ℓ_2), above 0.

        With a = 1 and b = c, the product y = b c follows dy/dt = 4 η B_2 y (1 - y) in the limit of small steps: for a
        constant B_2 the logistic equation, with (logit y_end - logit y_0) / (4 η B_2) steps. In z = logit y it is
        dz/dt = 4 η B_2, which has no steep places.
        """
        _, b, c = self.start
        require(b == c, "start", "b = c", self.start)
        begin, end = scipy.special.logit([b * c, 1 - math.sqrt(LEARNED)])
        inverse = scipy.integrate.quad(
            lambda z: 1 / weight(scipy.special.expit(-z) ** 2 + self.loss_floor), begin, end, epsrel=1e-10
        )[0]
        return inverse / (4 * self.learning_rate)


def learned_after(excess: Array) -> int | None:
    """After how many steps an exit has learned, from its column of :meth:`SlowExit.descend`; None if it never has."""
    below = excess < LEARNED
    return int(below.argmax()) if below.any() else None

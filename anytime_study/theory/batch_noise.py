"""What changes when AdaLoss sees the losses of batches instead of expected losses.

Two things: weights from a running mean are noisy and late; weights from the batch itself descend another objective.
The paper asks for expected losses (its Eq. 3 has ln E ℓ) and says nothing of either effect; all formulas here are
derived here, not in the paper.

Notation: ℓ_B the loss of one exit on a batch, μ its mean over batches and κ its coefficient of variation (standard
deviation over mean); n samples in a batch; β the momentum of the running mean, P the refresh period in steps. Batches
are independent of each other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.stats

from anytime_study.theory.geometric_mean import RunningWeights
from anytime_study.theory.quadratics import Array, require


def running_mean_variance(variation: npt.ArrayLike, momentum: npt.ArrayLike) -> Array:
    """κ² (1 - β) / (1 + β), the variance of the running mean relative to μ², once the start is forgotten.

    Exact for independent batches. For small fluctuations it is also about the relative *bias* of the weight 1 / mean.
    A bias that all exits share vanishes in any normalisation.
    """
    momentum = np.asarray(momentum, dtype=np.float64)
    return np.square(variation) * (1 - momentum) / (1 + momentum)


def mean_age(momentum: npt.ArrayLike, refresh_period: npt.ArrayLike) -> Array:
    """How many steps old the losses behind a weight are, on average: 1 + β / (1 - β) + (P - 1) / 2.

    The first term is there because a step is made before its losses enter the mean, the second is the memory of the
    mean, and the third is the wait for the refresh, 0 to P - 1 steps.
    """
    momentum, refresh_period = np.asarray(momentum, dtype=np.float64), np.asarray(refresh_period)
    return 1 + momentum / (1 - momentum) + (refresh_period - 1) / 2


# Two exits share one parameter θ: ℓ_1 = θ² + ε for every sample, ℓ_2 = (1 - θ)² + ξ, with ξ random: HARD with
# probability HARD_SHARE, else EASY. It is the loss that remains whatever θ is, such as that of a wrong label. It moves
# the *size* of ℓ_2, never its gradient. So the gradients have no noise at all, and all that happens to θ comes from the
# weights.
FIRST_FLOOR, EASY, HARD, HARD_SHARE = 0.3, 0.05, 10.0, 0.1


def best_compromise(batch_size: int | None = None) -> float:
    """The θ that weights 1 / ℓ lead to, if ℓ is of the batch itself; of a running mean, if the size is None.

    The one is argmin E_B[ln ℓ_1 + ln ℓ_2B], a finite sum, as the number of hard samples in a batch is binomial. The
    other is argmin of ln ℓ_1 + ln E ℓ_2, the paper's objective.
    """
    if batch_size is None:
        chances, hard = np.ones(1), np.array([HARD_SHARE])
    else:
        require(batch_size >= 1, "batch_size", "at least 1", batch_size)
        count = np.arange(batch_size + 1)
        chances, hard = scipy.stats.binom.pmf(count, batch_size, HARD_SHARE), count / batch_size
    remainders = EASY + (HARD - EASY) * hard

    def objective(theta: Array) -> Array:
        return np.log(theta**2 + FIRST_FLOOR) + np.log((1 - theta[..., None]) ** 2 + remainders) @ chances

    grid = np.linspace(0, 1, 1001)  # outside no loss is smaller
    best = grid[objective(grid).argmin()]  # there can be two minima
    found = scipy.optimize.minimize_scalar(
        lambda theta: float(objective(np.asarray(theta))),
        bounds=(max(best - 1e-3, 0), min(best + 1e-3, 1)),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return float(found.x)


def weighted_descent(
    batch_size: int, weigh: RunningWeights | None = None, *, start: float = 0.0, seed: int = 0, steps: int = 20_000
) -> float:
    """Stochastic gradient descent on the two exits with weights 1 / loss, and where it settles.

    Args:
        batch_size: n, samples in a batch.
        weigh: Gives the weights of the step after; None takes the losses of the very batch that gives the gradient.
        start, steps: Of the descent on θ.
        seed: Of the batches.

    Returns:
        The mean of θ over the second half of the steps.
    """
    rate = 2e-3
    hard = np.random.default_rng(seed).binomial(batch_size, HARD_SHARE, size=steps) / batch_size
    theta, total = start, 0.0
    for step, remainder in enumerate((EASY + (HARD - EASY) * hard).tolist(), start=1):
        losses = theta * theta + FIRST_FLOOR, (1 - theta) ** 2 + remainder
        first, second = (1 / losses[0], 1 / losses[1]) if weigh is None else weigh.weights
        theta += 2 * rate * (second * (1 - theta) - first * theta)
        if weigh is not None:
            weigh(losses)
        if 2 * step > steps:
            total += theta
    return total / (steps - steps // 2)

"""*Weights as likelihood and as barrier*: a weight 1/ℓ as the answer to a barrier, and two ways to follow the loss.

The paper's Eq. 1 gives every exit a Gaussian error with a variance of its own, Eq. 2 adds the barrier -λ ln B_i to
B_i ℓ_i, and Eq. 3 is what both become once the variances or the weights have been minimised over: Σ_i ln ℓ_i. That a
learned variance is a running mean is derived here, not in the paper.

Notation, as in the whole of :mod:`anytime_study.theory`: ℓ [K] the expected losses, all above 0; S = Σ_i ln ℓ_i.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.signal

from anytime_study.theory.quadratics import Array, require


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
    return barrier / np.asarray(losses, dtype=np.float64)


def barrier_value(losses: npt.ArrayLike, *, barrier: float = 1.0) -> np.float64:
    """λ S + K λ (1 - ln λ), what :func:`barrier_objective` is at its minimum over the weights: [..., K] -> [...].

    So λ is a factor on the objective, and with it on the learning rate, and moves no minimum over θ.
    """
    return barrier * (np.log(losses) + 1 - np.log(barrier)).sum(axis=-1)


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

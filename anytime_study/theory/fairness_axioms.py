"""*Fairness axioms*: which mean of the losses ignores their units, and what exits would bargain for.

An *aggregator* makes one number of the K losses of a network, and networks are ordered by it: less is better. Only the
order of the geometric mean is Pareto (better at every exit is better), anonymous (the numbers of the exits do not
matter) and free of scale (ℓ → a∘ℓ keeps it); the chapter has the proof. Derived here, not in the paper; in terms of
utilities it is known from social choice. :func:`rank_flips` counts how often the usual aggregators break this.

Nash bargaining over the losses maximises Π_i (d_i - ℓ_i), where d_i is what exit i gets without an agreement (Nash
1950). How it differs from AdaLoss is derived here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.stats

from anytime_study.theory.quadratics import Array, QuadraticLosses, require

Aggregator = Callable[[Array], Array]


@dataclass(frozen=True)
class Flips:
    """How often an aggregator orders a pair of networks differently after a change that should not matter.

    Attributes:
        scale: Share of pairs, 0 to 1, after the losses of each exit got another unit.
        offset: The same after a constant was added to the losses of each exit.
        renumbering: The same after the exits changed places.
    """

    scale: float
    offset: float
    renumbering: float


def aggregators(num_exits: int) -> dict[str, Aggregator]:
    """The usual ones, by the name that figures show: [..., K] -> [...].

    The weights of the weighted geometric mean are 1, …, K over their sum: later exits count more.
    """
    rising = np.arange(1, num_exits + 1, dtype=np.float64)
    return {
        "arithmetic mean": lambda losses: losses.mean(axis=-1),
        "geometric mean": lambda losses: scipy.stats.gmean(losses, axis=-1),
        "harmonic mean": lambda losses: scipy.stats.hmean(losses, axis=-1),
        "maximum": lambda losses: losses.max(axis=-1),
        "weighted geometric mean": lambda losses: scipy.stats.gmean(
            losses, axis=-1, weights=np.broadcast_to(rising, losses.shape)
        ),
    }


def flip_rate(aggregate: Aggregator, pairs: Array, changed: Array) -> float:
    """Share of pairs that ``aggregate`` orders differently in ``changed``; a tie that becomes none counts as well.

    Args:
        aggregate: [..., K] -> [...].
        pairs: Losses of two networks, [N, 2, K], above 0.
        changed: The same pairs after the change, [N, 2, K].
    """
    before, after = aggregate(pairs), aggregate(changed)
    return float(np.mean(np.sign(before[:, 0] - before[:, 1]) != np.sign(after[:, 0] - after[:, 1])))


def rank_flips(
    num_exits: int, *, pairs: int = 100_000, scale_decades: float = 2.0, offset: float = 5.0, seed: int = 0
) -> dict[str, Flips]:
    """How often each of :func:`aggregators` breaks the conditions, on the same random pairs.

    All losses are independent with ln ℓ ~ N(0, 1). Every pair gets its own change, the same for its two networks:
    factors a_i = 10^U(-s, s), offsets U(0, o), and a random permutation of the exits.

    Args:
        num_exits: K, at least 2.
        pairs: N.
        scale_decades: s, 0 or more.
        offset: o, 0 or more.
        seed: Of all draws.
    """
    require(num_exits >= 2, "num_exits", "at least 2", num_exits)
    generator = np.random.default_rng(seed)
    losses = generator.lognormal(size=(pairs, 2, num_exits))
    factors = 10 ** generator.uniform(-scale_decades, scale_decades, size=(pairs, 1, num_exits))
    offsets = generator.uniform(0, offset, size=(pairs, 1, num_exits))
    order = generator.permuted(np.tile(np.arange(num_exits), (pairs, 1)), axis=1)[:, None, :]
    changes = [factors * losses, losses + offsets, np.take_along_axis(losses, order, axis=-1)]
    return {
        name: Flips(*(flip_rate(aggregate, losses, changed) for changed in changes))
        for name, aggregate in aggregators(num_exits).items()
    }


def bargaining_weights(losses: npt.ArrayLike, disagreement: npt.ArrayLike) -> Array:
    """B_i = 1 / (d_i - ℓ_i), the weights for which the bargain is a minimum of Σ B_i ℓ_i: [K], [K] -> [K].

    They rise with the loss, where those of AdaLoss, 1 / ℓ_i, fall.
    """
    gains = np.asarray(disagreement, dtype=np.float64) - np.asarray(losses, dtype=np.float64)
    require((gains > 0).all(), "losses", "all below the disagreement losses", losses)
    return 1 / gains


def nash_bargaining(problem: QuadraticLosses, disagreement: npt.ArrayLike) -> Array:
    """argmax_θ Σ_i ln(d_i - ℓ_i(θ)) over the θ where every loss is below d_i.

    The sum is concave, so the losses of the bargain are unique; θ is too, if the sum of the curvatures is regular.

    Args:
        disagreement: d, [K] or scalar.

    Returns:
        θ, [d].

    Raises:
        ValueError: the minimum of Σ ℓ_i / (d_i - OPT_i), where the search begins, has a loss that is not below its d_i.
    """
    limits = np.broadcast_to(np.asarray(disagreement, dtype=np.float64), (problem.num_exits,))

    def derivatives(theta: Array) -> tuple[Array, Array]:
        weights = bargaining_weights(problem.losses(theta), limits)
        pulls = weights[:, None] * problem.gradients(theta)
        return pulls.sum(axis=0), 2 * np.tensordot(weights, problem.curvature, axes=1) + pulls.T @ pulls

    room = limits - problem.optima
    require(((room > 0) & np.isfinite(room)).all(), "disagreement", f"finite numbers above {problem.optima}", limits)
    begin = problem.minimiser(1 / room)
    below = (problem.losses(begin) < limits).all()
    require(below, "disagreement", "losses that the exits can easily go below together", limits)
    return _newton(begin, derivatives)


def _newton(point: Array, derivatives: Callable[[Array], tuple[Array, Array]], *, max_steps: int = 10_000) -> Array:
    """Minimum of a self-concordant function from a point inside its domain.

    With λ² = gᵀH⁻¹g, the damped step H⁻¹g / (1 + λ) stays inside the domain and is known to converge from everywhere.
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

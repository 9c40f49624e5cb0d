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

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.optimize
import scipy.stats

from anytime_study.theory.quadratics import Array, QuadraticLosses, require

Aggregator = Callable[[Array], Array]


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
    """Share of pairs of losses, [N, 2, K], that ``aggregate`` orders differently in ``changed``, be it from a tie."""
    before, after = aggregate(pairs), aggregate(changed)
    return float(np.mean(np.sign(before[:, 0] - before[:, 1]) != np.sign(after[:, 0] - after[:, 1])))


def rank_flips(
    num_exits: int, *, pairs: int = 100_000, scale_decades: float = 2.0, offset: float = 5.0, seed: int = 0
) -> dict[str, dict[str, float]]:
    """How often each of :func:`aggregators` orders two networks differently after a change that should not matter.

    All losses are independent with ln ℓ ~ N(0, 1). Every pair gets its own change, the same for its two networks:
    ``scale``, factors a_i = 10^U(-s, s); ``offset``, constants U(0, o); ``renumbering``, a random permutation of exits.

    Args:
        num_exits: K, at least 2.
        pairs: N.
        scale_decades, offset: s and o, 0 or more.
        seed: Of all draws.

    Returns:
        Shares of pairs, 0 to 1, by the aggregator's name and the change.
    """
    require(num_exits >= 2, "num_exits", "at least 2", num_exits)
    generator = np.random.default_rng(seed)
    losses = generator.lognormal(size=(pairs, 2, num_exits))
    factors = 10 ** generator.uniform(-scale_decades, scale_decades, size=(pairs, 1, num_exits))
    offsets = generator.uniform(0, offset, size=(pairs, 1, num_exits))
    order = generator.permuted(np.tile(np.arange(num_exits), (pairs, 1)), axis=1)[:, None, :]
    changes = {
        "scale": factors * losses,
        "offset": losses + offsets,
        "renumbering": np.take_along_axis(losses, order, axis=-1),
    }
    return {
        name: {change: flip_rate(aggregate, losses, changed) for change, changed in changes.items()}
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

    The sum is concave, so the losses of the bargain are unique; θ is too, if the sum of the curvatures is regular. The
    search, for the zero of the gradient, begins at the minimum of Σ ℓ_i / (d_i - OPT_i).

    Args:
        disagreement: d, [K] or scalar.

    Returns:
        θ, [d].

    Raises:
        ValueError: at the point where the search begins a loss is not below its d_i, or no bargain was reached.
    """
    limits = np.broadcast_to(np.asarray(disagreement, dtype=np.float64), (problem.num_exits,))

    def slope(theta: Array) -> tuple[Array, Array]:
        """Gradient and Hessian of -Σ ln(d_i - ℓ_i)."""
        weights = 1 / (limits - problem.losses(theta))
        pulls = weights[:, None] * problem.gradients(theta)
        return pulls.sum(axis=0), 2 * np.tensordot(weights, problem.curvature, axes=1) + pulls.T @ pulls

    room = limits - problem.optima
    require(((room > 0) & np.isfinite(room)).all(), "disagreement", f"finite numbers above {problem.optima}", limits)
    begin = problem.minimiser(1 / room)
    below = (problem.losses(begin) < limits).all()
    require(below, "disagreement", "losses that the exits can easily go below together", limits)
    theta = scipy.optimize.root(slope, begin, jac=True, options={"xtol": 1e-12}).x
    gradient, hessian = slope(theta)
    left = np.linalg.norm(scipy.linalg.lstsq(hessian, gradient)[0])  # the way to the bargain, by Newton's method
    reached = left < 1e-8 * (1 + np.linalg.norm(theta)) and (problem.losses(theta) < limits).all()
    require(reached, "disagreement", "losses for which a bargain is found", limits)
    return theta

"""Which mean of the losses orders networks in the same way whatever the units of the losses?

An *aggregator* makes one number of the K losses of a network, and networks are ordered by it: less is better. The
theorem behind it: an ordering of all positive loss vectors is that of the geometric mean if and only if

- a network that is better at every exit is better (Pareto);
- the numbers of the exits do not matter (anonymity);
- ℓ → a∘ℓ, with the same factors a > 0 for both networks, keeps the order (free of scale).

Proof in u = ln ℓ, where the third condition is freedom of translation. By anonymity (t, 0) ~ (0, t) at exits i and j,
so moving t from one exit to another changes nothing, so equal Σ u is indifference, and Pareto orders the rest.
Without anonymity, but with strict Pareto and continuity, any weighted geometric mean passes. Derived here, not in the
paper; in terms of utilities it is known from social choice.

This module counts how often the usual aggregators break the conditions, on random pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.stats

from anytime_study.theory.quadratics import Array

Aggregator = Callable[[Array], Array]


@dataclass(frozen=True)
class Flips:
    """How often an aggregator orders a pair of networks differently after a change that should not matter.

    Attributes:
        scale: Share of pairs, 0 to 1, after the losses of each exit got another unit.
        offset: The same after a constant was added to the losses of each exit.
        renumbering: The same after the exits changed places.
        pairs: How many pairs were drawn.
    """

    scale: float
    offset: float
    renumbering: float
    pairs: int

    def standard_error(self, rate: float) -> float:
        """Of a share of independent pairs."""
        return float(np.sqrt(rate * (1 - rate) / self.pairs))


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

    Raises:
        ValueError: an argument outside its range.
    """
    for name, value, least in (
        ("num_exits", num_exits, 2),
        ("pairs", pairs, 1),
        ("scale_decades", scale_decades, 0),
        ("offset", offset, 0),
    ):
        if not least <= value < np.inf:
            raise ValueError(f"{name}: expected a finite number of at least {least}, found {value}")
    generator = np.random.default_rng(seed)
    losses = generator.lognormal(size=(pairs, 2, num_exits))
    factors = 10 ** generator.uniform(-scale_decades, scale_decades, size=(pairs, 1, num_exits))
    offsets = generator.uniform(0, offset, size=(pairs, 1, num_exits))
    order = generator.permuted(np.tile(np.arange(num_exits), (pairs, 1)), axis=1)[:, None, :]
    changes = [factors * losses, losses + offsets, np.take_along_axis(losses, order, axis=-1)]
    return {
        name: Flips(*(flip_rate(aggregate, losses, changed) for changed in changes), pairs=pairs)
        for name, aggregate in aggregators(num_exits).items()
    }

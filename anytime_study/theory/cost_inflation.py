"""What a sequence of networks of growing size pays for being stoppable at any moment: formulas.

Network i = 0, 1, 2, … has cost x_i = g^i in units of the first one; g is the *growth*. Each runs to its end, then the
next one starts afresh, and the best answer so far is kept. The *competence* is b: inside a network of cost x, the
answer at internal cost d is as good as that of the best network of cost d once d ≥ x / b. With b = 1 only the end of
a network is good; that is an ordinary network. The *cost inflation* is

    C(B) = B / (cost of the network that the best competent answer at budget B is as good as).

Growth (above 1) and competence (1 or more) may be arrays.

S_i = x_0 + … + x_{i-1} is what was spent before network i, and q = min(b, g): a competence above g goes unused,
because the network before is still ahead then.

The paper (section 4, Proposition 4.1) has the growth g = b. General growth, the best growth, the lower bound and the
exact figures for parallel workers are derived here, not in the paper. :mod:`.cost_simulation` finds C by running the
sequence and knows none of these formulas.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.special

from anytime_study.theory.quadratics import Array, require

Criterion = Literal["worst case", "linear mean", "log mean"]

# φ² = 2.618…: from this competence on the growth g = b is best for the worst case
GOLDEN_SQUARE = (3 + math.sqrt(5)) / 2


def start_share(growth: npt.ArrayLike, *, index: float = math.inf, workers: int = 1) -> Array:
    """When network i starts, over its own cost: T_i / x_i = (1 - g^(-M n)) / (g^M - 1), n = ⌊i / M⌋.

    Network i waits for network i - M on the same worker, so T_i = x_{i-M} + x_{i-2M} + … With one worker T_i = S_i.

    Args:
        index: i, 0 or more; infinity gives the limit 1 / (g^M - 1).
        workers: M, 1 or more.
    """
    growth = _growth(growth)
    require(index == math.inf or (index >= 0 and index == int(index)), "index", "0, 1, 2, … or infinity", index)
    require(workers >= 1, "workers", "at least 1", workers)
    rounds = index if index == math.inf else index // workers
    return -np.expm1(-np.log(growth) * workers * rounds) / np.expm1(workers * np.log(growth))


def worst_case(
    growth: npt.ArrayLike,
    competence: npt.ArrayLike,
    *,
    index: float = math.inf,
    workers: int = 1,
    overhead: float = 0.0,
) -> Array:
    """The peak of C while network i works; for i → ∞ its supremum over all budgets, g / (g^M - 1) + max(1, g / b).

    It is reached just before network i overtakes the end of network i - 1, at internal cost max(x_i / b, x_{i-1}). Each
    network may pay a fixed overhead c before its work; the network that C compares with pays none. The peak is then

        g T_i / x_i + max(1, g / b) + (⌊i / M⌋ + 1) c / x_{i-1}.

    With one worker, no overhead and g = b it is 2 + 1 / (b - 1) for i → ∞, the paper's Proposition 4.1.

    Args:
        index: i, 1 or more; infinity gives the supremum, in which the overhead no longer counts.
        workers: M, 1 or more; B is then wall-clock time, so the work done is M B.
        overhead: c, in units of the first network's cost, 0 or more.
    """
    growth, competence = _growth(growth), _competence(competence)
    require(index >= 1, "index", "at least 1", index)
    require(overhead >= 0, "overhead", "0 or more", overhead)
    peak = growth * start_share(growth, index=index, workers=workers) + np.maximum(1, growth / competence)
    if index != math.inf and overhead:
        peak = peak + (index // workers + 1) * overhead * growth ** (1 - index)
    return peak


def linear_mean(growth: npt.ArrayLike, competence: npt.ArrayLike, *, index: float = math.inf) -> Array:
    """Mean of C for B uniform over the complete run of network i, one worker.

    With r = S_i / x_i and q = min(b, g): 1 - 1 / q + g / (2 q²) + r (g / q + ln q). It grows with i, so the limit
    bounds every complete run, but not the mean up to an arbitrary end; see :func:`running_mean`. With g = b the limit
    is 1 - 1 / (2 b) + (1 + ln b) / (b - 1), the paper's Proposition 4.1.

    Args:
        index: i, 1 or more; infinity gives the limit.
    """
    growth, competence = _growth(growth), _competence(competence)
    require(index >= 1, "index", "at least 1", index)
    used = np.minimum(competence, growth)
    spent = start_share(growth, index=index)
    return 1 - 1 / used + growth / (2 * used**2) + spent * (growth / used + np.log(used))


def running_mean(growth: npt.ArrayLike, competence: npt.ArrayLike, fraction: npt.ArrayLike) -> Array:
    """Mean of C for B uniform up to the moment when the fraction u of a late network's cost is done, one worker.

    At u = 0 and u = 1 it is :func:`linear_mean`; between them it first falls below and, if b > 1, then rises above. So
    "the mean over uniform budgets" depends on where the budgets end.

    Args:
        fraction: u, from 0 to 1.
    """
    growth, competence, fraction = _growth(growth), _competence(competence), np.asarray(fraction, dtype=np.float64)
    require(np.all((fraction >= 0) & (fraction <= 1)), "fraction", "0 to 1", fraction)
    used = np.minimum(competence, growth)
    spent = start_share(growth)
    waiting = np.minimum(fraction, 1 / used)  # while the end of the network before is the best answer
    ahead = np.maximum(fraction, 1 / used)  # after it
    integral = growth * (spent * waiting + waiting**2 / 2) + (ahead - 1 / used) + spent * np.log(used * ahead)
    return (spent * linear_mean(growth, competence) + integral) / (spent + fraction)


def log_mean(growth: npt.ArrayLike, competence: npt.ArrayLike, *, workers: int = 1) -> Array:
    """Mean of C for ln B uniform over one cycle of late networks; where the cycle begins does not matter.

    With q = min(b, g) it is (g / q + ln q) / ln g for one worker. With M, where B is wall-clock time, it is
    ((g - 1) / (g^M - 1) + g / q - 1 + ln q) / ln g. For g = b these are 1 + 1 / ln b and
    1 + (b - 1) / ((g^M - 1) ln b).

    If all costs are multiplied by g^U with U uniform on [0, 1], drawn once, this is the expected C of every budget,
    in the limit of late ones.

    Args:
        workers: M, 1 or more.
    """
    growth, competence = _growth(growth), _competence(competence)
    used = np.minimum(competence, growth)
    waited = (growth - 1) * start_share(growth, workers=workers)
    return (waited + growth / used - 1 + np.log(used)) / np.log(growth)


def best_growth(competence: npt.ArrayLike, criterion: Criterion) -> Array:
    """The growth g with the smallest :func:`worst_case`, :func:`linear_mean` or :func:`log_mean`, one worker.

    ============  =============================================================
    worst case    1 + √b for b ≤ φ², else b
    linear mean   1 + √(2 b + 2 b² ln b)
    log mean      exp(1 + W(b ln b / e)), W the principal branch of Lambert's W
    ============  =============================================================

    Derived here, not in the paper, which takes g = b.

    Args:
        criterion: ``"worst case"``, ``"linear mean"`` or ``"log mean"``.
    """
    competence = _competence(competence)
    match criterion:
        case "worst case":
            return np.maximum(1 + np.sqrt(competence), competence)  # the two cross at b = φ²
        case "linear mean":
            return 1 + np.sqrt(2 * competence + 2 * competence**2 * np.log(competence))
        case "log mean":
            return np.exp(1 + scipy.special.lambertw(competence * np.log(competence) / math.e).real)
    raise ValueError(f"criterion: expected one of {', '.join(get_args(Criterion))}, found {criterion!r}")


def best_inflation(competence: npt.ArrayLike, criterion: Criterion) -> Array:
    """What :func:`best_growth` reaches, one worker: (1 + 1 / √b)² in the worst case for b ≤ φ², else 2 + 1 / (b - 1).

    The worst case is also a lower bound for every sequence of costs, geometric or not; see :func:`smallest_spent`.
    For the means only geometric sequences were compared.

    Args:
        criterion: Of :func:`best_growth`.
    """
    growth = best_growth(competence, criterion)
    formulas = {"worst case": worst_case, "linear mean": linear_mean, "log mean": log_mean}
    return formulas[criterion](growth, competence)


def smallest_spent(ratio: float, competence: float, *, networks: int) -> Array:
    """Lower bounds t_i on s_i = S_{i+1} / x_i for every sequence whose peaks of C all stay at or below a ratio R.

    C ≤ R means x_i / b ≤ R x_{i-1} - S_i and S_i ≤ (R - 1) x_{i-1}. Divided by the costs:

        s_i ≥ 1 + s_{i-1} / (b (R - s_{i-1}))    and    s_i ≤ R - 1,    s_0 = 1.

    t_i is the case of equality. If it exceeds R - 1, no sequence can keep C at or below R; the chapter has the proof.

    Args:
        ratio: R, above 1.
        networks: How many t_i at most.

    Returns:
        t_0, t_1, …: ``networks`` of them if all are at most R - 1, else up to and with the first one that is not.
    """
    require(ratio > 1, "ratio", "above 1", ratio)
    b = float(_competence(competence))
    spent = [1.0]
    while spent[-1] <= ratio - 1 and len(spent) < networks:
        spent.append(1 + spent[-1] / (b * (ratio - spent[-1])))
    return np.array(spent)


def smallest_ratio(competence: float, *, networks: int = 3000) -> float:
    """The smallest R at which :func:`smallest_spent` stays within R - 1 for so many networks, by bisection.

    With more networks it rises to ``best_inflation(b, "worst case")``, which it does not know.

    Args:
        networks: How long the sequence must last, 2 or more.
    """
    require(networks >= 2, "networks", "at least 2", networks)

    def excess(ratio: float) -> float:
        return 1.0 if smallest_spent(ratio, competence, networks=networks)[-1] > ratio - 1 else -1.0

    # below 2 the second network is already too late; 5 is more than doubling ever pays
    return float(scipy.optimize.bisect(excess, 1.5, 5.0, xtol=1e-12))


def _growth(growth: npt.ArrayLike) -> Array:
    growth = np.asarray(growth, dtype=np.float64)
    require(np.all((growth > 1) & np.isfinite(growth)), "growth", "finite and above 1", growth)
    return growth


def _competence(competence: npt.ArrayLike) -> Array:
    competence = np.asarray(competence, dtype=np.float64)
    require(np.all((competence >= 1) & np.isfinite(competence)), "competence", "finite and 1 or more", competence)
    return competence

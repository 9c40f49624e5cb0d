"""What a sequence of networks of growing size pays for being stoppable at any moment: formulas.

Network i = 0, 1, 2, … has cost x_i = g^i in units of the first one; g is the *growth*. Each runs to its end, then the
next one starts afresh, and the best answer so far is kept. The *competence* is b: inside a network of cost x, the
answer at internal cost d is as good as that of the best network of cost d once d ≥ x / b. With b = 1 only the end of
a network is good; that is an ordinary network. The *cost inflation* is

    C(B) = B / (cost of the network that the best competent answer at budget B is as good as).

Growth (above 1) and competence (1 or more) may be arrays. S_i = x_0 + … + x_{i-1} is what was spent before network i,
and q = min(b, g): a competence above g goes unused, because the network before is still ahead then.

The paper (section 4, Proposition 4.1) has the growth g = b. General growth, the best growth, the lower bound and the
exact figures for parallel workers are derived here, not in the paper. :mod:`.cost_simulation` finds C by running the
sequence and knows none of these formulas.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import scipy.special

from anytime_study.theory.quadratics import Array, require

Criterion = Literal["worst case", "linear mean", "log mean"]


def worst_case(growth: npt.ArrayLike, competence: npt.ArrayLike, *, workers: int = 1) -> Array:
    """The supremum of C over all budgets: g / (g^M - 1) + max(1, g / b).

    The peaks of C come just before network i overtakes the end of network i - 1, at internal cost
    max(x_i / b, x_{i-1}); they grow with i. With one worker and g = b it is 2 + 1 / (b - 1), the paper's Proposition
    4.1.

    Args:
        workers: M, 1 or more; B is then wall-clock time, so the work done is M B.
    """
    require(workers >= 1, "workers", "at least 1", workers)
    growth, competence = _growth(growth), _competence(competence)
    # a late network starts at 1 / (g^M - 1) of its own cost, as x_{i-M} + x_{i-2M} + … was spent before
    return growth / np.expm1(workers * np.log(growth)) + np.maximum(1, growth / competence)


def linear_mean(growth: npt.ArrayLike, competence: npt.ArrayLike) -> Array:
    """Mean of C for B uniform over the complete run of a late network, one worker: a bound for every complete run.

    With q = min(b, g): 1 - 1 / q + g / (2 q²) + (g / q + ln q) / (g - 1). With g = b it is
    1 - 1 / (2 b) + (1 + ln b) / (b - 1), the paper's Proposition 4.1.
    """
    growth, competence = _growth(growth), _competence(competence)
    used = np.minimum(competence, growth)
    return 1 - 1 / used + growth / (2 * used**2) + (growth / used + np.log(used)) / (growth - 1)


def log_mean(growth: npt.ArrayLike, competence: npt.ArrayLike) -> Array:
    """Mean of C for ln B uniform over one cycle of late networks, one worker; where the cycle begins does not matter.

    With q = min(b, g) it is (g / q + ln q) / ln g; with g = b it is 1 + 1 / ln b.

    If all costs are multiplied by g^U with U uniform on [0, 1], drawn once, this is the expected C of every budget,
    in the limit of late ones.
    """
    growth, competence = _growth(growth), _competence(competence)
    used = np.minimum(competence, growth)
    return (growth / used + np.log(used)) / np.log(growth)


def best_growth(competence: npt.ArrayLike, criterion: Criterion) -> Array:
    """The growth g with the smallest :func:`worst_case`, :func:`linear_mean` or :func:`log_mean`, one worker.

    ============  =============================================================
    worst case    1 + √b for b ≤ φ² = 2.618…, else b
    linear mean   1 + √(2 b + 2 b² ln b)
    log mean      exp(1 + W(b ln b / e)), W the principal branch of Lambert's W
    ============  =============================================================

    Derived here, not in the paper, which takes g = b.
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


def _growth(growth: npt.ArrayLike) -> Array:
    growth = np.asarray(growth, dtype=np.float64)
    require(np.all((growth > 1) & np.isfinite(growth)), "growth", "finite and above 1", growth)
    return growth


def _competence(competence: npt.ArrayLike) -> Array:
    competence = np.asarray(competence, dtype=np.float64)
    require(np.all((competence >= 1) & np.isfinite(competence)), "competence", "finite and 1 or more", competence)
    return competence

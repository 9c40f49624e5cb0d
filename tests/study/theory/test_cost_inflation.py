"""The formulas for a sequence of networks, against sequences that are run, and against brute-force searches."""

import itertools
import math

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize

from anytime_study.theory.cost_inflation import (
    best_growth,
    best_inflation,
    linear_mean,
    log_mean,
    smallest_spent,
    worst_case,
)
from anytime_study.theory.cost_simulation import geometric_costs, run_sequence

GOLDEN_SQUARE = (3 + math.sqrt(5)) / 2  # φ²: from this competence on the growth g = b is best for the worst case
GROWTHS = (1.3, 2.0, math.e, 4.0, 7.5)
COMPETENCES = (1.0, 1.5, 2.0, GOLDEN_SQUARE, 4.0, 9.0)
CRITERIA = {"worst case": worst_case, "linear mean": linear_mean, "log mean": log_mean}


def integral(run, low, high, *, logarithmic=False):
    """Mean of the simulated C from low to high: Gauss-Legendre between events, where C is smooth."""
    events = run.events()
    edges = np.concatenate([[low], events[(events > low * (1 + 1e-9)) & (events < high * (1 - 1e-9))], [high]])
    weight = (lambda budgets: 1 / budgets) if logarithmic else np.ones_like
    total = sum(
        scipy.integrate.fixed_quad(lambda budgets: run.inflation(budgets) * weight(budgets), start, end, n=24)[0]
        for start, end in itertools.pairwise(edges)
    )
    return total / (math.log(high / low) if logarithmic else high - low)


def long_run(growth, competence, reach=1e9, **how):
    return run_sequence(geometric_costs(growth, reach=reach), competence, **how)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("competence", COMPETENCES)
@pytest.mark.parametrize("growth", GROWTHS)
def test_the_supremum(growth, competence, workers):
    run = long_run(growth, competence, workers=workers)
    assert run.highest(1, run.ends[-1]) == pytest.approx(worst_case(growth, competence, workers=workers), rel=1e-7)


@pytest.mark.parametrize("competence", COMPETENCES)
@pytest.mark.parametrize("growth", GROWTHS)
def test_the_means(growth, competence):
    run = long_run(growth, competence)
    low, high = run.starts[-1], run.ends[-1]
    assert integral(run, low, high) == pytest.approx(linear_mean(growth, competence), rel=1e-7)
    assert integral(run, low, high, logarithmic=True) == pytest.approx(log_mean(growth, competence), rel=1e-7)
    low += 0.37 * run.costs[-2]  # a cycle that begins elsewhere
    high = run.starts[-1] * growth + 0.37 * run.costs[-2] * growth
    cycle = long_run(growth, competence, reach=2e9 * growth)
    assert integral(cycle, low, high, logarithmic=True) == pytest.approx(log_mean(growth, competence), rel=1e-7)


@pytest.mark.parametrize(("growth", "competence"), [(2, 2), (4, 1.5), (1.7, 3)])
def test_every_complete_run_stays_below_the_limits(growth, competence):
    run = long_run(growth, competence, reach=growth**8)
    means = [integral(run, run.starts[i], run.ends[i]) for i in range(1, 9)]
    assert np.all(np.diff(means) > 0)
    assert means[-1] < linear_mean(growth, competence)
    peaks = [run.highest(run.ends[i - 1], run.ends[i]) for i in range(1, 9)]
    assert np.all(np.diff(peaks) > 0)
    assert peaks[-1] < worst_case(growth, competence)


@pytest.mark.parametrize("competence", [1.0, 1.2, 2.0, 2.6, GOLDEN_SQUARE, 2.7, 4.0, 20.0])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_best_growth_by_search(criterion, competence):
    formula = CRITERIA[criterion]
    grid = np.geomspace(1.01, 200, 40_001)
    grown = best_growth(competence, criterion)
    nearest = grid[np.argmin(formula(grid, competence))]
    assert nearest == pytest.approx(grown, rel=2e-3)
    closed_form = {
        "worst case": (1 + competence**-0.5) ** 2 if competence <= GOLDEN_SQUARE else 2 + 1 / (competence - 1),
        "linear mean": 1 + (2 * grown - 1) / (2 * competence**2),
        "log mean": grown / competence,
    }
    assert best_inflation(competence, criterion) == pytest.approx(closed_form[criterion], rel=1e-12)
    assert np.all(formula(grid, competence) >= formula(grown, competence) - 1e-12)


def test_ordinary_networks():
    assert best_growth(1, "worst case") == 2  # doubling
    assert best_inflation(1, "worst case") == pytest.approx(4)
    assert best_growth(1, "linear mean") == pytest.approx(1 + math.sqrt(2))
    assert best_inflation(1, "linear mean") == pytest.approx(1.5 + math.sqrt(2))  # 2.914, in the paper's text
    assert best_growth(1, "log mean") == pytest.approx(math.e)
    assert best_inflation(1, "log mean") == pytest.approx(math.e)


@pytest.mark.parametrize("competence", [1.0, 1.5, 2.0, GOLDEN_SQUARE, 3.0, 5.0, 30.0])
def test_the_lower_bound_by_bisection(competence):
    found = scipy.optimize.bisect(
        lambda ratio: ratio - 1 - smallest_spent(ratio, competence, networks=3000)[-1], 1.5, 5.0, xtol=1e-12
    )
    bound = best_inflation(competence, "worst case")
    assert bound - 1e-5 < found < bound + 1e-9  # finite sequences can do a little better
    if competence > 1:  # and the paper's growth does not reach it below φ²
        reached = worst_case(competence, competence) < bound + 1e-5
        assert reached == (competence >= GOLDEN_SQUARE)


@pytest.mark.parametrize(("competence", "most"), [(1.0, 16), (2.0, 12), (4.0, 6)])
def test_random_sequences_below_the_bound_come_to_an_end(competence, most):
    """Costs drawn among all that keep C at or below R; none outlives the greedy sequence of the proof."""
    generator = np.random.default_rng(0)
    ratio = 0.97 * float(best_inflation(competence, "worst case"))
    greedy = len(smallest_spent(ratio, competence, networks=3000))
    assert greedy <= most
    lengths = []
    for _ in range(200):
        costs = [1.0]
        while len(costs) < 100:
            before, spent = costs[-1], sum(costs[:-1]) + costs[-1]
            largest = competence * (ratio * before - spent)
            if spent + before > ratio * before or largest <= before:
                break
            costs.append(before + (largest - before) * generator.beta(2, 0.5))
        lengths.append(len(costs))
        run = run_sequence(costs, competence)
        assert run.highest(1, run.ends[-1]) <= ratio * (1 + 1e-9)  # each one really keeps C at or below R
    assert max(lengths) <= greedy
    assert max(lengths) > 1


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_ordinary_networks_on_several_workers(workers):
    """The known optimum for contract algorithms on m processors, (m + 1)^((m + 1) / m) / m."""
    found = scipy.optimize.minimize_scalar(
        lambda growth: worst_case(growth, 1, workers=workers), bounds=(1.05, 5), method="bounded"
    )
    assert found.x == pytest.approx((workers + 1) ** (1 / workers), abs=1e-4)
    assert found.fun == pytest.approx((workers + 1) ** ((workers + 1) / workers) / workers, rel=1e-8)

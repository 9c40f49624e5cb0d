"""An EANN and what it is compared with, over budgets: test errors, and the cost inflation, seen and by theory's rules.

Source: Hu et al. 2019, section 4 and Fig. 5a, b.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from anytime_study.analysis.curves import Steps, anytime_steps, best_separate, inflation, sequence_cost, sequence_steps
from anytime_study.analysis.measures.pairs import percent_over
from anytime_study.analysis.measures.sequences import (
    BUDGETS,
    by_depth,
    compared,
    eann_members,
    linear_ensemble_members,
)
from anytime_study.analysis.selection import MissingRuns, Selection
from anytime_study.theory.cost_simulation import run_sequence

if TYPE_CHECKING:
    from anytime_study.runs.record import RunRecord

CURVES = ("EANN", "its last member alone", "best separate network", "linear ensemble")


def eann_curves(selection: Selection, weighting: str, *, points: int = 400) -> pd.DataFrame:
    """Test errors over budgets, from the EANN's first answer to the cost of all its members.

    Args:
        selection: Finds the records.
        weighting: Of the EANN's members.
        points: Budgets, evenly spaced in logarithm.

    Returns:
        A row per curve, seed and budget at which it has an answer: ``curve`` (of :data:`CURVES`), ``seed``, ``cost``
        (MACs), ``error`` (from 0 to 1). Seeds that have all runs.

    Raises:
        MissingRuns: no seed has all runs.
    """
    eann, separate, linear = (
        eann_members(selection, weighting),
        by_depth(selection, "opt"),
        linear_ensemble_members(selection),
    )
    rows = []
    for seed in _common_seeds(selection, eann, separate, linear):
        members = _of(eann, seed)
        first, *_ = steps = (
            sequence_steps(members),
            anytime_steps(members[-1]),
            best_separate(_of(separate, seed)),
            sequence_steps(_of(linear, seed), alone=True),
        )
        budgets = np.geomspace(first.costs[0], sequence_cost(members), points)
        for curve, each in zip(CURVES, steps, strict=True):
            rows += [(curve, seed, cost, error) for cost, error in zip(budgets, each.at(budgets), strict=True)]
    return pd.DataFrame(rows, columns=["curve", "seed", "cost", "error"]).dropna(ignore_index=True)


def relative_curve(table: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """One curve over another of the same seed and budget, in per cent; where both have an answer.

    Args:
        table, other: Rows of one curve each, with the columns ``seed``, ``cost`` and ``error``.

    Returns:
        A row per seed and budget: ``seed``, ``cost``, ``error`` (per cent; below 0 where the first errs less).
    """
    both = table.merge(other, on=["seed", "cost"], suffixes=("", "_other"))
    return pd.DataFrame(
        {"seed": both["seed"], "cost": both["cost"], "error": 100 * (both["error"] / both["error_other"] - 1)}
    )


def difference_if_silence_is_chance(selection: Selection, *, first: str, second: str, chance: float) -> pd.Series:
    """As the measure ``eann_difference``, but a sequence without an answer yet errs as a guess does.

    Args:
        selection: Finds the records.
        first, second: As there.
        chance: The error of a guess, 0 to 1.

    Raises:
        MissingRuns: fewer than three seeds have all runs.
    """

    def difference(ours: Steps, theirs: Steps, end: float) -> float:
        low = float(ours.costs[0])
        if low < theirs.costs[0]:
            theirs = Steps(np.append(low, theirs.costs), np.append(chance, theirs.errors))
        return percent_over(ours.log_mean(low, end), theirs.log_mean(low, end))

    return compared(selection, first, second, difference)


def inflation_curves(selection: Selection, weighting: str, *, tolerance: float) -> pd.DataFrame:
    """Cost inflation of an EANN as seen, at the budgets of the measure ``eann_inflation``.

    Args:
        selection: Finds the records.
        weighting: Of the members.
        tolerance: Per cent of test error that counts as the same.

    Returns:
        A row per seed and budget: ``seed``, ``cost`` (MACs), ``inflation``.

    Raises:
        MissingRuns: no seed has all runs.
    """
    eann, separate = eann_members(selection, weighting), by_depth(selection, "opt")
    if without := set(eann) - set(separate):
        raise MissingRuns([f"separately trained networks (opt), n = {', '.join(map(str, sorted(without)))}"])
    alone = {depth: separate[depth] for depth in eann}
    rows = []
    for seed in _common_seeds(selection, eann, alone):
        members = _of(eann, seed)
        steps = sequence_steps(members)
        budgets = np.geomspace(steps.costs[0], sequence_cost(members), BUDGETS)
        found = inflation(steps, best_separate(_of(alone, seed)), budgets, tolerance=tolerance / 100)
        rows += [(seed, budget, value) for budget, value in zip(budgets, found, strict=True)]
    return pd.DataFrame(rows, columns=["seed", "cost", "inflation"])


def member_costs(selection: Selection, weighting: str) -> list[float]:
    """Cumulative MACs of each member of an EANN, in the order in which they run.

    Raises:
        MissingRuns: no seed has all members.
    """
    eann = eann_members(selection, weighting)
    return [float(record.costs.macs_cumulative[-1]) for record in _of(eann, _common_seeds(selection, eann)[0])]


def mean_growth(costs: Sequence[float]) -> float:
    """g: the mean cost ratio of successive networks."""
    return float(np.mean([after / before for before, after in pairwise(costs)]))


def predicted_curve(costs: Sequence[float], competence: float, *, points: int = 2000) -> pd.DataFrame:
    """Cost inflation by theory's rules, from the end of the first network to that of the last.

    Args:
        costs: Of the networks, in the order in which they run.
        competence: b, 1 or more.
        points: Budgets, evenly spaced in logarithm.

    Returns:
        A row per budget: ``cost``, ``inflation``.
    """
    budgets = np.geomspace(costs[0], sum(costs), points)
    return pd.DataFrame({"cost": budgets, "inflation": run_sequence(costs, competence).inflation(budgets)})


Runs = Mapping[int, Mapping[int, "RunRecord"]]
"""Records by depth and seed."""


def _of(runs: Runs, seed: int) -> list[RunRecord]:
    """Records of one seed, from shallow to deep."""
    return [by_seed[seed] for by_seed in runs.values()]


def _common_seeds(selection: Selection, *groups: Runs) -> list[int]:
    seeds = sorted(set.intersection(*(set(by_seed) for runs in groups for by_seed in runs.values())))
    if not seeds:
        raise MissingRuns(["expected a seed with all runs, found none", *dict.fromkeys(selection.missing)])
    return seeds

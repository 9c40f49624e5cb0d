"""Tables over budgets for the chapter on EANNs: test errors of a sequence and of others, and its cost inflation.

Source: Hu et al. 2019, section 4 and Fig. 5a, b.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from anytime_study.analysis.curves import anytime_steps, best_separate, sequence_cost, sequence_steps
from anytime_study.analysis.measures.sequences import by_depth, eann_and_separate, eann_members, inflation_seen
from anytime_study.analysis.selection import MissingRuns, Selection

if TYPE_CHECKING:
    from anytime_study.analysis.measures.sequences import Runs
    from anytime_study.runs.record import RunRecord

CURVES = ("EANN", "its last member alone", "best separate network")


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
    eann, _ = eann_and_separate(selection, weighting)
    tables = []
    for seed, members, separate in _by_seed(selection, eann, by_depth(selection, "opt")):
        steps = sequence_steps(members), anytime_steps(members[-1]), best_separate(separate)
        budgets = np.geomspace(steps[0].costs[0], sequence_cost(members), points)
        tables += [
            pd.DataFrame({"curve": curve, "seed": seed, "cost": budgets, "error": each.at(budgets)})
            for curve, each in zip(CURVES, steps, strict=True)
        ]
    return pd.concat(tables).dropna(ignore_index=True)


def relative_curve(table: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """One curve over another of the same seed and budget, in per cent; where both have an answer.

    Args:
        table, other: Rows of one curve each, with the columns ``seed``, ``cost`` and ``error``.

    Returns:
        A row per seed and budget: ``seed``, ``cost``, ``error`` (per cent; below 0 where the first errs less).
    """
    both = table.merge(other, on=["seed", "cost"], suffixes=("", "_other"))
    return both[["seed", "cost"]].assign(error=100 * (both["error"] / both["error_other"] - 1))


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
    tables = []
    for seed, members, alone in _by_seed(selection, *eann_and_separate(selection, weighting)):
        budgets, found = inflation_seen(members, alone, tolerance / 100)
        tables.append(pd.DataFrame({"seed": seed, "cost": budgets, "inflation": found}))
    return pd.concat(tables, ignore_index=True)


def member_costs(selection: Selection, weighting: str) -> list[float]:
    """Cumulative MACs of each member of an EANN, in the order in which they run.

    Raises:
        MissingRuns: no seed has all members.
    """
    _, members = _by_seed(selection, eann_members(selection, weighting))[0]
    return [float(record.costs.macs_cumulative[-1]) for record in members]


def _by_seed(selection: Selection, *groups: Runs) -> list[tuple[int, *tuple[list[RunRecord], ...]]]:
    """Each seed that has all runs, with its records of each group, from shallow to deep."""
    seeds = sorted(set.intersection(*(set(by_seed) for runs in groups for by_seed in runs.values())))
    if not seeds:
        raise MissingRuns(["expected a seed with all runs, found none", *selection.missing])
    return [(seed, *([by_seed[seed] for by_seed in runs.values()] for runs in groups)) for seed in seeds]

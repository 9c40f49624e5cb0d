"""An EANN and what it is compared with, over budgets: test errors, and the cost inflation as seen and as predicted.

Source: Hu et al. 2019, section 4 and Fig. 5a, b.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from anytime_study.analysis.competence import mean_growth, sequence_competence
from anytime_study.analysis.curves import Steps, anytime_steps, best_separate, inflation, sequence_cost, sequence_steps
from anytime_study.analysis.measures.sequences import BUDGETS, by_depth, eann_members, linear_ensemble_members
from anytime_study.analysis.selection import MissingRuns, Selection
from anytime_study.runs.registries import short_name
from anytime_study.theory.cost_inflation import log_mean, worst_case
from anytime_study.theory.cost_simulation import run_sequence

if TYPE_CHECKING:
    from anytime_study.runs.record import RunRecord

CURVES = ("EANN", "its last member alone", "best separate network", "linear ensemble")
PREDICTED = ("b", "g", "formula, worst", "formula, mean", "predicted worst", "predicted mean")
SEEN = ("seen worst", "seen mean")


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
    eann, separate = _eann_and_separate(selection, weighting)
    rows = []
    for seed in _common_seeds(selection, eann, separate):
        members = _of(eann, seed)
        steps = sequence_steps(members)
        budgets = np.geomspace(steps.costs[0], sequence_cost(members), BUDGETS)
        found = _seen(steps, _of(separate, seed), budgets, tolerance)
        rows += [(seed, budget, value) for budget, value in zip(budgets, found, strict=True)]
    return pd.DataFrame(rows, columns=["seed", "cost", "inflation"])


def inflation_table(
    selection: Selection, weighting: str, competences: pd.DataFrame, *, tolerance: float
) -> pd.DataFrame:
    """Cost inflation of an EANN: what theory predicts from its measured competence and growth, and what is seen.

    Both over the budgets from the end of the first member to that of the last. `formula` is the limit for long
    sequences of this growth, `predicted` runs theory's rules with the members' own costs. Means are over the logarithm
    of the budget.

    Args:
        selection: Finds the records.
        weighting: Of the members.
        competences: From :func:`anytime_study.analysis.competence.competence_table`, of this weighting and a tolerance.
        tolerance: Per cent of test error that counts as the same.

    Returns:
        A row per seed that has all runs and the competence of all members: ``seed``, the columns :data:`PREDICTED` and
        :data:`SEEN`. Predictions are NaN where a member has no competence: theory says nothing then.

    Raises:
        MissingRuns: no seed has all runs.
    """
    eann, separate = _eann_and_separate(selection, weighting)
    rows = []
    for seed in _common_seeds(selection, eann, separate):
        members = _of(eann, seed)
        known = competences[competences["seed"] == seed].set_index("network")["b"]
        names = [short_name(record.config.network) for record in members]
        if not set(names) <= set(known.index):
            continue
        costs = _costs(members)
        budgets = np.geomspace(costs[0], sum(costs), BUDGETS)
        seen = _seen(sequence_steps(members), _of(separate, seed), budgets, tolerance)
        predicted = prediction(costs, sequence_competence(known[names].tolist()))
        rows.append({"seed": seed, **predicted, "seen worst": seen.max(), "seen mean": seen.mean()})
    return pd.DataFrame(rows, columns=["seed", *PREDICTED, *SEEN])


def member_costs(selection: Selection, weighting: str) -> list[float]:
    """Cumulative MACs of each member of an EANN, in the order in which they run.

    Raises:
        MissingRuns: no seed has all members.
    """
    eann = eann_members(selection, weighting)
    return _costs(_of(eann, _common_seeds(selection, eann)[0]))


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


def prediction(costs: Sequence[float], competence: float) -> dict[str, float]:
    """What theory predicts for networks of these costs, two or more and growing, by the names of :data:`PREDICTED`.

    Args:
        costs: Of the networks, in the order in which they run.
        competence: b, 1 or more; 0 for none, of which nothing but the growth follows.
    """
    growth = mean_growth(costs)
    if not competence:
        return dict.fromkeys(PREDICTED, float("nan")) | {"b": 0.0, "g": growth}
    run = run_sequence(costs, competence)
    values = (
        competence,
        growth,
        worst_case(growth, competence),
        log_mean(growth, competence),
        run.highest(costs[0], sum(costs)),
        predicted_curve(costs, competence)["inflation"].mean(),
    )
    return dict(zip(PREDICTED, map(float, values), strict=True))


def _costs(members: Sequence[RunRecord]) -> list[float]:
    return [float(record.costs.macs_cumulative[-1]) for record in members]


def _seen(steps: Steps, separate: Sequence[RunRecord], budgets: np.ndarray, tolerance: float) -> np.ndarray:
    return inflation(steps, best_separate(separate), budgets, tolerance=tolerance / 100)


Runs = Mapping[int, Mapping[int, "RunRecord"]]
"""Records by depth and seed."""


def _eann_and_separate(selection: Selection, weighting: str) -> tuple[Runs, Runs]:
    """The members, and the separately trained networks of their depths."""
    eann, separate = eann_members(selection, weighting), by_depth(selection, "opt")
    if without := set(eann) - set(separate):
        raise MissingRuns([f"separately trained networks (opt), n = {', '.join(map(str, sorted(without)))}"])
    return eann, {depth: separate[depth] for depth in eann}


def _of(runs: Runs, seed: int) -> list[RunRecord]:
    """Records of one seed, from shallow to deep."""
    return [by_seed[seed] for by_seed in runs.values()]


def _common_seeds(selection: Selection, *groups: Runs) -> list[int]:
    seeds = sorted(set.intersection(*(set(by_seed) for runs in groups for by_seed in runs.values())))
    if not seeds:
        raise MissingRuns(["expected a seed with all runs, found none", *dict.fromkeys(selection.missing)])
    return seeds

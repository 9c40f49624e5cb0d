"""Competence, measured: from which fraction of its cost on a network is as good as separately trained ones.

Theory (:mod:`anytime_study.theory.cost_inflation`) takes the competence b as given. Here it is read off validation
errors. They are averaged over seeds first: the errors of one seed's validation images are about as uncertain as the
tolerances that one would like to use, so that a competence by seed is mostly noise.

Source: Hu et al. 2019, section 4, has b as an assumption; the measure is this study's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from anytime_study.analysis.comparisons import finished
from anytime_study.analysis.quantities import interpolated
from anytime_study.analysis.selection import trained_exit, validation_error
from anytime_study.runs.registries import short_name

if TYPE_CHECKING:
    from anytime_study.runs.config import RunConfig
    from anytime_study.runs.record import RunRecord
    from anytime_study.studies.experiments import Experiment


def excess_table(experiments: Sequence[Experiment], like: RunConfig, weightings: Sequence[str]) -> pd.DataFrame:
    """How far the exits of the first experiment's networks are above the best separate network of their cost.

    That network's error is the mean over seeds, linear in cost between the networks that there are. Below the cheapest
    it is that one's error, which asks more of an exit than a cheaper network would.

    Args:
        experiments: That of the anytime networks, then others with separately trained networks.
        like: All have its settings but the network, the weighting and the seed.
        weightings: Of the anytime networks.

    Returns:
        A row per network, weighting, seed and exit: ``network`` (by its short name), ``weighting``, ``seed``, ``exit``,
        ``cost`` (cumulative, as a fraction of the network's), ``excess`` (of the validation error, per cent). Networks
        by cost; seeds that have separately trained networks.
    """
    runs = {run.name: run for one in experiments for run in finished(one) if _setting(run.config) == _setting(like)}
    columns = ["network", "weighting", "seed", "exit", "cost", "excess"]
    if not (separate := trained_alone(runs.values())):
        return pd.DataFrame(columns=columns)
    front, seeds = frontier(separate), separate[0]
    own = [run for name, run in runs.items() if name in experiments[0].planned and run.config.weighting in weightings]
    own.sort(key=lambda run: (run.costs.macs_cumulative[-1], weightings.index(run.config.weighting), run.config.seed))
    rows = []
    for run in (run for run in own if run.config.seed in seeds):
        names, macs = (short_name(run.config.network), run.config.weighting, run.config.seed), run.costs.macs_cumulative
        excesses = 100 * (np.array(run.validation.error) / interpolated(*front, macs) - 1)
        for exit, (cost, excess) in enumerate(zip(macs, excesses, strict=True), start=1):
            rows.append((*names, exit, cost / macs[-1], excess))
    return pd.DataFrame(rows, columns=columns)


def trained_alone(runs: Iterable[RunRecord]) -> list[dict[int, RunRecord]]:
    """Networks trained for one exit alone (OPT), each by seed; only those that have every seed that one of them has."""
    found: dict[tuple[str, str], dict[int, RunRecord]] = {}
    for run in runs:
        if run.config.weighting_spec.name == "opt":
            found.setdefault((run.config.network, run.config.weighting), {})[run.config.seed] = run
    seeds = {seed for by_seed in found.values() for seed in by_seed}
    return [by_seed for by_seed in found.values() if by_seed.keys() == seeds]


def frontier(separate: Iterable[Mapping[int, RunRecord]]) -> tuple[np.ndarray, np.ndarray]:
    """The best networks trained for one exit alone: costs, and validation errors averaged over seeds.

    One that is no better than a cheaper one is left out, as the best network of its cost does not need it.

    Args:
        separate: From :func:`trained_alone`. Only the head of the exit is paid.

    Returns:
        [J] MACs, increasing, and [J] errors, decreasing.
    """
    points = []
    for by_seed in separate:
        one = next(iter(by_seed.values()))
        points.append((one.costs.macs_fixed[trained_exit(one) - 1], validation_error(by_seed)))
    costs, errors = np.array(sorted(points), dtype=float).T
    better = errors < np.minimum.accumulate(np.append(np.inf, errors[:-1]))
    return costs[better], errors[better]


def competence(costs: npt.ArrayLike, excesses: npt.ArrayLike, tolerance: float) -> float:
    """b: one over the smallest cost fraction from which on the excess of every exit is at most the tolerance.

    Args:
        costs: [K], increasing: cost fractions of the exits, up to 1.
        excesses: [K], in per cent as the tolerance is.

    Returns:
        1 or more; 0 if the last exit is beyond the tolerance, so that there is no such fraction.
    """
    costs, beyond = np.asarray(costs, dtype=float), np.asarray(excesses, dtype=float) > tolerance
    if beyond[-1]:
        return 0.0
    first = np.flatnonzero(beyond)[-1] + 1 if beyond.any() else 0
    return float(1 / costs[first])


def competence_table(excesses: pd.DataFrame, tolerances: Iterable[float]) -> pd.DataFrame:
    """Competence of every network and weighting of an :func:`excess_table`, from errors averaged over seeds.

    Returns:
        A row per network, weighting and tolerance (per cent): ``network``, ``weighting``, ``tolerance``, ``b`` (0 for
        none).
    """
    rows: list[tuple[Any, ...]] = []
    for (network, weighting), exits in excesses.groupby(["network", "weighting"], sort=False):
        means = exits.groupby("exit")[["cost", "excess"]].mean()
        rows += [(network, weighting, tau, competence(means["cost"], means["excess"], tau)) for tau in tolerances]
    return pd.DataFrame(rows, columns=["network", "weighting", "tolerance", "b"])


def _setting(config: RunConfig) -> dict[str, Any]:
    return config.model_dump(exclude={"network", "weighting", "seed"})

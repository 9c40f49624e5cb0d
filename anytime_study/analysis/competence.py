"""Competence, measured: from which fraction of its cost on a network is as good as separately trained ones.

Theory (:mod:`anytime_study.theory.cost_inflation`) takes the competence b as given. Here it is read off validation
errors. They are averaged over seeds first: the errors of one seed's validation images are about as uncertain as the
tolerances that one would like to use, so that a competence by seed is mostly noise.

Source: Hu et al. 2019, section 4, has b as an assumption; the measure is this study's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from anytime_study.analysis.curves import interpolated
from anytime_study.analysis.measures.pairs import percent_over
from anytime_study.runs.registries import short_name

if TYPE_CHECKING:
    from anytime_study.runs.config import RunConfig
    from anytime_study.runs.record import RunRecord
    from anytime_study.studies.experiments import Experiment


def separate_runs(experiments: Iterable[Experiment], like: RunConfig) -> dict[int, list[RunRecord]]:
    """Networks trained for one exit alone (OPT), by seed: the same networks and exits, in one order, for every seed.

    Args:
        experiments: Where they are looked for; a run that several share counts once.
        like: They have all its settings but the network, the weighting and the seed.

    Returns:
        Seeds with a finished record of each run that is planned for all seeds.
    """
    planned, outcomes = {}, {}
    for experiment in experiments:
        planned |= {name: c for name, c in experiment.planned.items() if _is_opt(c) and _setting(c) == _setting(like)}
        outcomes |= experiment.outcomes
    seeds = sorted({config.seed for config in planned.values()})
    runs: dict[tuple[str, str], dict[int, str]] = {}
    for name, config in planned.items():
        runs.setdefault((config.network, config.weighting), {})[config.seed] = name
    for_all = [by_seed for by_seed in runs.values() if by_seed.keys() == set(seeds)]
    found = {}
    for seed in seeds if for_all else ():
        records = [outcome for by_seed in for_all if (outcome := outcomes.get(by_seed[seed])) is not None]
        finished = [record for record in records if record.outcome == "finished"]
        if len(finished) == len(for_all):
            found[seed] = finished
    return found


def frontier(separate: Sequence[Sequence[RunRecord]]) -> tuple[np.ndarray, np.ndarray]:
    """The best separately trained networks: costs, and validation errors averaged over seeds, from cheap to costly.

    One that is no better than a cheaper one is left out, as the best network of its cost does not need it.

    Args:
        separate: For each seed the records of the same networks, trained for one exit each, in one order. Only that
            exit's head is paid.

    Returns:
        [J] MACs, increasing, and [J] errors, decreasing.

    Raises:
        ValueError: no network, or one was trained for several exits.
    """
    points = []
    for records in zip(*separate, strict=True):
        exits = np.flatnonzero(records[0].epoch_weights[-1])
        if len(exits) != 1:
            raise ValueError(f"separate: expected networks trained for one exit, found {records[0].config.weighting}")
        error = float(np.mean([record.validation.error[exits[0]] for record in records]))
        points.append((records[0].costs.macs_fixed[exits[0]], error))
    if not points:
        raise ValueError("separate: expected at least one record, found none")
    kept: list[tuple[int, float]] = []
    for cost, error in sorted(points):
        if not kept or error < kept[-1][1]:
            kept.append((cost, error))
    costs, errors = np.array(kept, dtype=float).T
    return costs, errors


def excess_table(experiments: Sequence[Experiment], like: RunConfig, weightings: Sequence[str]) -> pd.DataFrame:
    """How far the exits of the first experiment's networks are above the best separate network of their cost.

    That network's error is the mean over seeds, linear in cost between the networks that there are. Below the cheapest
    it is that one's error, which asks more of an exit than a cheaper network would. So the mean of the excess over
    seeds is the excess of the mean error.

    Args:
        experiments: That of the anytime networks, then others with separately trained networks.
        like: All have its settings but the network, the weighting and the seed.
        weightings: Of the anytime networks.

    Returns:
        A row per network, weighting, seed and exit: ``network`` (by its short name), ``weighting``, ``seed``, ``exit``,
        ``cost`` (cumulative, as a fraction of the network's), ``excess`` (of the validation error, per cent). Networks
        by cost.
    """
    separate = separate_runs(experiments, like)
    columns = ["network", "weighting", "seed", "exit", "cost", "excess"]
    if not separate:
        return pd.DataFrame(columns=columns)
    costs, errors = frontier(list(separate.values()))
    rows: list[tuple[Any, ...]] = []  # with what they are sorted by in front
    for record in experiments[0].outcomes.values():
        config = record.config
        if record.outcome != "finished" or config.weighting not in weightings or config.seed not in separate:
            continue
        if _setting(config) != _setting(like):
            continue
        macs = record.costs.macs_cumulative
        order = (macs[-1], weightings.index(config.weighting), config.seed)
        names = (short_name(config.network), config.weighting, config.seed)
        reference = interpolated(costs, errors, macs)
        for exit, (cost, *both) in enumerate(zip(macs, record.validation.error, reference, strict=True), start=1):
            rows.append((*order, *names, exit, cost / macs[-1], percent_over(*both)))
    return pd.DataFrame([row[3:] for row in sorted(rows)], columns=columns)


def competence(costs: npt.ArrayLike, excesses: npt.ArrayLike, tolerance: float) -> float:
    """b: one over the smallest cost fraction from which on the excess of every exit is at most the tolerance.

    Args:
        costs: [K], increasing: cost fractions of the exits, up to 1.
        excesses: [K], per cent.
        tolerance: Per cent.

    Returns:
        1 or more; 0 if the last exit is beyond the tolerance, so that there is no such fraction.
    """
    costs, beyond = np.asarray(costs, dtype=float), np.asarray(excesses, dtype=float) > tolerance
    if beyond[-1]:
        return 0.0
    first = np.flatnonzero(beyond)[-1] + 1 if beyond.any() else 0
    return float(1 / costs[first])


def competence_table(excesses: pd.DataFrame, tolerances: Iterable[float]) -> pd.DataFrame:
    """Competence of every network and weighting, from errors averaged over seeds.

    Args:
        excesses: From :func:`excess_table`.
        tolerances: Per cent.

    Returns:
        A row per network, weighting and tolerance: ``network``, ``weighting``, ``tolerance``, ``b`` (0 for none).
    """
    rows: list[tuple[Any, ...]] = []
    for (network, weighting), exits in excesses.groupby(["network", "weighting"], sort=False):
        means = exits.groupby("exit")[["cost", "excess"]].mean()
        rows += [(network, weighting, tau, competence(means["cost"], means["excess"], tau)) for tau in tolerances]
    return pd.DataFrame(rows, columns=["network", "weighting", "tolerance", "b"])


def _is_opt(config: RunConfig) -> bool:
    return config.weighting_spec.name == "opt"


def _setting(config: RunConfig) -> dict[str, Any]:
    return config.model_dump(exclude={"network", "weighting", "seed"})

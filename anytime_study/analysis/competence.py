"""Competence, measured: from which fraction of its cost on a network is as good as separately trained ones.

Theory (:mod:`anytime_study.theory.cost_inflation`) takes the competence b as given. Here it is read off validation
errors, so that what theory predicts from it for test errors is a prediction.

Source: Hu et al. 2019, section 4, has b as an assumption; the measure is this study's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from anytime_study.analysis.curves import interpolated
from anytime_study.analysis.measures.pairs import percent_over
from anytime_study.analysis.medians import median_interval
from anytime_study.runs.registries import short_name

if TYPE_CHECKING:
    from anytime_study.runs.config import RunConfig
    from anytime_study.runs.record import RunRecord
    from anytime_study.studies.experiments import Experiment


def separate_runs(experiments: Iterable[Experiment], like: RunConfig) -> dict[int, list[RunRecord]]:
    """Networks trained for one exit alone (OPT), by seed: the same networks and exits for every seed.

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


def frontier(separate: Sequence[RunRecord]) -> tuple[np.ndarray, np.ndarray]:
    """The best separately trained networks: costs and validation errors, from cheap to costly.

    One that is no better than a cheaper one is left out, as the best network of its cost does not need it.

    Args:
        separate: Records of networks that were trained for one exit each. Only that exit's head is paid.

    Returns:
        [J] MACs, increasing, and [J] errors, decreasing.

    Raises:
        ValueError: no network, or one was trained for several exits.
    """
    points = []
    for record in separate:
        exits = np.flatnonzero(record.epoch_weights[-1])
        if len(exits) != 1:
            raise ValueError(f"separate: expected networks trained for one exit, found {record.config.weighting}")
        points.append((record.costs.macs_fixed[exits[0]], record.validation.error[exits[0]]))
    if not points:
        raise ValueError("separate: expected at least one record, found none")
    kept: list[tuple[int, float]] = []
    for cost, error in sorted(points):
        if not kept or error < kept[-1][1]:
            kept.append((cost, error))
    costs, errors = np.array(kept, dtype=float).T
    return costs, errors


def excess(record: RunRecord, separate: Sequence[RunRecord]) -> np.ndarray:
    """Validation error of every exit over that of the best separately trained network of its cost, per cent.

    The latter is linear in cost between the networks that there are. Below the cheapest it is that one's error, which
    asks more of an exit than a cheaper network would.

    Args:
        record: Of an anytime network; an exit costs all that was paid up to it.
        separate: Of the same seed.

    Returns:
        [K].

    Raises:
        ValueError: as :func:`frontier`; or a separately trained network makes no error, so nothing can be relative.
    """
    reference = interpolated(*frontier(separate), record.costs.macs_cumulative)
    return np.array([percent_over(*both) for both in zip(record.validation.error, reference, strict=True)])


def reliable_from(costs: npt.ArrayLike, excesses: npt.ArrayLike, tolerance: float) -> float:
    """q: the smallest cost fraction from which on the excess of every exit is at most the tolerance.

    Args:
        costs: [K], increasing: cumulative MACs of the exits.
        excesses: [K], from :func:`excess`, per cent.
        tolerance: Per cent.

    Returns:
        From above 0 to 1; infinite if the last exit is beyond the tolerance, so that there is no such fraction.
    """
    costs, beyond = np.asarray(costs, dtype=float), np.asarray(excesses, dtype=float) > tolerance
    if beyond[-1]:
        return float("inf")
    first = np.flatnonzero(beyond)[-1] + 1 if beyond.any() else 0
    return float(costs[first] / costs[-1])


def excess_table(experiments: Sequence[Experiment], like: RunConfig, weightings: Sequence[str]) -> pd.DataFrame:
    """:func:`excess` of all networks that the experiments train with these weightings.

    Args:
        experiments: Of the networks and of the separately trained ones.
        like: All have its settings but the network, the weighting and the seed.
        weightings: Of the anytime networks.

    Returns:
        A row per network, weighting, seed and exit: ``network`` (by its short name), ``weighting``, ``seed``, ``exit``,
        ``macs`` (cumulative), ``cost`` (as a fraction of the network's), ``excess`` (per cent). Networks by cost.
    """
    separate = separate_runs(experiments, like)
    rows: list[tuple[Any, ...]] = []  # with what they are sorted by in front
    for record in {name: r for experiment in experiments for name, r in experiment.outcomes.items()}.values():
        config = record.config
        if record.outcome != "finished" or config.weighting not in weightings or config.seed not in separate:
            continue
        if _setting(config) != _setting(like):
            continue
        macs = record.costs.macs_cumulative
        order = (macs[-1], weightings.index(config.weighting), config.seed)
        names = (short_name(config.network), config.weighting, config.seed)
        values = excess(record, separate[config.seed])
        rows += [(*order, *names, k + 1, macs[k], macs[k] / macs[-1], values[k]) for k in range(len(macs))]
    columns = ["network", "weighting", "seed", "exit", "macs", "cost", "excess"]
    return pd.DataFrame([row[3:] for row in sorted(rows)], columns=columns)


def competence_table(excesses: pd.DataFrame, tolerances: Iterable[float]) -> pd.DataFrame:
    """Competence of every network, weighting and seed.

    Args:
        excesses: From :func:`excess_table`.
        tolerances: Per cent.

    Returns:
        A row per network, weighting, tolerance and seed: ``network``, ``weighting``, ``tolerance``, ``seed``, ``q``
        (infinite if there is none), ``b`` = 1 / q (0 if there is none).
    """
    rows = []
    for (network, weighting, seed), exits in excesses.groupby(["network", "weighting", "seed"], sort=False):
        for tolerance in tolerances:
            q = reliable_from(exits["macs"], exits["excess"], tolerance)
            rows.append((network, weighting, tolerance, seed, q, 1 / q))
    return pd.DataFrame(rows, columns=["network", "weighting", "tolerance", "seed", "q", "b"])


def competence_text(values: Sequence[float] | pd.Series) -> str:
    """Median of b over seeds with the interval of the sign test and its confidence; 0 is written as none."""
    found = median_interval(values)
    median, low, high = (f"{value:.2f}" if value else "none" for value in (found.median, found.low, found.high))
    middle = sorted(values)[(found.n - 1) // 2 : found.n // 2 + 1]
    if min(middle) == 0 < max(middle):
        median = f"none to {max(middle):.2f}"  # half of the seeds have none
    return f"{median} [{low}, {high}], {found.coverage:.0%}" if found.n > 1 else median


def sequence_competence(by_member: Sequence[float]) -> float:
    """The one b that theory may use of a sequence of networks: the smallest of all after the first.

    Of the first only the end counts, so it needs b = 1 and no more. 0 if a network has no competence.

    Args:
        by_member: b of each network, in the order in which they run; 0 for none. Two or more.
    """
    return 0.0 if min(by_member) == 0 else min(by_member[1:])


def mean_growth(costs: Sequence[float]) -> float:
    """g: the mean cost ratio of successive networks."""
    return float(np.mean([after / before for before, after in pairwise(costs)]))


def _is_opt(config: RunConfig) -> bool:
    return config.weighting_spec.name == "opt"


def _setting(config: RunConfig) -> dict[str, Any]:
    return config.model_dump(exclude={"network", "weighting", "seed"})

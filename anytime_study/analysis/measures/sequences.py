"""Networks that run one after the other, compared over budgets; by seed.

The members of an EANN are all networks that the experiment trains with one weighting, from shallow to deep. Separately
trained networks with one exit are those that it trains for the last exit alone (OPT): run, they pay for no other head.
All are ResANNs, so n tells the depth.

Source: Hu et al. 2019, section 4 and Fig. 5a, b.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from anytime_core.errors import InputError
from anytime_study.analysis.curves import Steps, best_separate, inflation, sequence_cost, sequence_steps
from anytime_study.analysis.quantities import percent_over
from anytime_study.analysis.selection import MissingRuns, Selection
from anytime_study.runs.registries import NETWORKS
from anytime_study.theory.cost_inflation import worst_case

if TYPE_CHECKING:
    from anytime_study.runs.record import RunRecord

    Runs = dict[int, dict[int, RunRecord]]
    """Records by depth, from shallow to deep, and seed."""

BASELINE = "linear_ensemble"
BUDGETS = 200


def eann_difference(
    selection: Selection, *, first: str, second: str, at_end: bool = False, guess: float | None = None
) -> pd.Series:
    """Relative difference in per cent of the test errors of two sequences, averaged over the logarithm of the budget.

    Budgets go from the cost of the EANN's first exit to that of all its members. A sequence whose first answer comes
    later has that answer from the beginning, which can only flatter it.

    Args:
        selection: Finds the records.
        first, second: The weighting of an EANN's members, or ``linear_ensemble``: separately trained networks of
            linearly growing depth. ``first`` is an EANN.
        at_end: Compare the errors after all members instead.
        guess: The error, 0 to 1, of a sequence that has no answer yet, instead of that of its first answer.

    Raises:
        InputError: ``first`` is no EANN.
    """

    def difference(ours: Steps, theirs: Steps, end: float) -> float:
        if at_end:
            return percent_over(float(ours.errors[-1]), float(theirs.errors[-1]))
        low = float(ours.costs[0])
        return percent_over(ours.log_mean(low, end), theirs.answering_from(low, guess).log_mean(low, end))

    return _compared(selection, first, second, difference)


def eann_difference_once_both_answer(selection: Selection, *, first: str, second: str) -> pd.Series:
    """As :func:`eann_difference`, from the budget on at which both sequences have their first answer.

    Nobody is flattered: neither has an answer that it has not computed, and that one of them may answer earlier is not
    counted at all.
    """

    def difference(ours: Steps, theirs: Steps, end: float) -> float:
        low = float(max(ours.costs[0], theirs.costs[0]))
        return percent_over(ours.log_mean(low, end), theirs.log_mean(low, end))

    return _compared(selection, first, second, difference)


def _compared(
    selection: Selection, first: str, second: str, difference: Callable[[Steps, Steps, float], float]
) -> pd.Series:
    """``difference`` of two sequences and the cost of all of the first one's members, by seed."""
    if first == BASELINE:
        raise InputError(f"bad settings of a comparison with an EANN: first: expected its weighting, found {first}")
    eann = eann_members(selection, first)
    linear = second == BASELINE
    other = linear_ensemble_members(selection) if linear else eann_members(selection, second)

    def of_seed(*records: RunRecord) -> float:
        members, others = records[: len(eann)], records[len(eann) :]
        return difference(sequence_steps(members), sequence_steps(others, alone=linear), sequence_cost(members))

    return selection.paired(of_seed, *eann.values(), *other.values())


def eann_inflation(selection: Selection, *, weighting: str, tolerance: float) -> pd.Series:
    """The largest cost inflation of an EANN over its budgets, minus the bound of theory; in units of C.

    With g the mean cost ratio of successive members the bound is 2 + 1 / (g - 1), Proposition 4.1.

    Args:
        selection: Finds the records.
        weighting: Of the members.
        tolerance: Relative test error that counts as the same.
    """
    eann, alone = eann_and_separate(selection, weighting)

    def excess(*records: RunRecord) -> float:
        members = records[: len(eann)]
        growth = mean_growth([record.costs.macs_cumulative[-1] for record in members])
        _, found = inflation_seen(members, records[len(eann) :], tolerance)
        return float(found.max() - worst_case(growth, growth))

    return selection.paired(excess, *eann.values(), *alone.values())


def inflation_seen(
    members: Sequence[RunRecord], alone: Sequence[RunRecord], tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Budgets from the cost of an EANN's first exit to that of all members, evenly in logarithm, and C at each."""
    steps = sequence_steps(members)
    budgets = np.geomspace(steps.costs[0], sequence_cost(members), BUDGETS)
    return budgets, inflation(steps, best_separate(alone), budgets, tolerance=tolerance)


def mean_growth(costs: Sequence[float]) -> float:
    """g: the mean cost ratio of successive networks."""
    return float(np.mean([after / before for before, after in pairwise(costs)]))


def eann_members(selection: Selection, weighting: str) -> Runs:
    """Records of the members by depth and seed, from shallow to deep."""
    members = by_depth(selection, weighting)
    if len(members) < 2:
        found = ", ".join(f"n = {depth}" for depth in members) or "none"
        raise MissingRuns([f"EANN of {weighting}: expected at least two members in the studies, found {found}"])
    return members


def eann_and_separate(selection: Selection, weighting: str) -> tuple[Runs, Runs]:
    """The members of an EANN, and separately trained networks of their depths."""
    eann, separate = eann_members(selection, weighting), by_depth(selection, "opt")
    if without := set(eann) - set(separate):
        raise MissingRuns([f"separately trained networks (opt), n = {', '.join(map(str, sorted(without)))}"])
    return eann, {depth: separate[depth] for depth in eann}


def linear_ensemble_members(selection: Selection) -> Runs:
    """Separately trained networks whose depths grow by equal steps, as small as there are, up to the deepest."""
    separate = by_depth(selection, "opt")
    depths = list(separate)
    for step in range(1, depths[-1] - depths[0]) if depths else ():
        chosen = range(depths[0], depths[-1] + 1, step)
        if len(chosen) >= 3 and chosen[-1] == depths[-1] and set(chosen) <= set(depths):
            return {depth: separate[depth] for depth in chosen}
    found = ", ".join(map(str, depths)) or "none"
    raise MissingRuns(
        [f"linear ensemble: expected three or more networks trained with opt, n in equal steps, found {found}"]
    )


def by_depth(selection: Selection, weighting: str) -> Runs:
    """Records of all networks trained with a weighting; InputError if one has no depth, or two have the same."""
    networks: dict[int, str] = {}
    for network in selection.networks(weighting):
        n = NETWORKS.parse(network).options.get("n")
        if n is None:
            raise InputError(f"bad network {network}: expected one whose option n tells its depth")
        if n in networks:
            raise InputError(f"bad sequence of networks: expected one with n = {n}, found {networks[n]} and {network}")
        networks[n] = network
    return {n: selection.pick(network=network, weighting=weighting) for n, network in sorted(networks.items())}

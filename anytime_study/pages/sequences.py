"""The sentences of *A sequence of networks*, written from the records: every branch is said in full."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from anytime_study.analysis.comparisons import finished
from anytime_study.analysis.eann_curves import (
    CURVES,
    eann_curves,
    member_costs,
    relative_curve,
)
from anytime_study.analysis.measures import measured
from anytime_study.analysis.measures.sequences import mean_growth
from anytime_study.analysis.selection import Selection
from anytime_study.analysis.statistics import mean_interval
from anytime_study.datasets import find_card
from anytime_study.pages.figures import ends, label
from anytime_study.pages.result_pages import if_made, published
from anytime_study.pages.words import (
    as_change,
    capital,
    change_in_words,
    listed,
    number,
    part_of,
    percent,
    value_in_words,
)
from anytime_study.studies.experiments import Experiment
from anytime_study.theory.cost_inflation import worst_case

NOTHING = "*These runs have not been made yet.*"
EQUAL, ALONE = "against equal weights", "against its largest network alone"


def what_was_trained(experiment: Experiment) -> str:
    """The networks of the sequences; what else there is to know of them, the page's header tells."""
    made = finished(experiment)
    members = {record.config.network: record for record in made if record.config.weighting in ("adaloss", "const")}
    if len(members) < 2:
        return NOTHING
    costs = sorted(record.costs.macs_cumulative[-1] for record in members.values())
    return (
        f"We trained {number(len(members))} ResANNs of growing depth, with AdaLoss and with equal weights. Each costs "
        f"about {mean_growth(costs):.1f} times as much as the one before."
    )


def relative_curves(selection: Selection) -> pd.DataFrame:
    """Errors of the EANN of AdaLoss networks over those of two others, seed by seed; without rows if runs are missing.

    Returns:
        A row per other, seed and budget: ``other`` (in words), ``seed``, ``cost`` (MACs), ``error`` (per cent).
    """
    ours, equal = if_made(eann_curves, selection, "adaloss"), if_made(eann_curves, selection, "const")
    if ours is None:
        return pd.DataFrame(columns=["other", "seed", "cost", "error"])
    others = {} if equal is None else {EQUAL: equal[equal["curve"] == CURVES[0]]}
    others[ALONE] = ours[ours["curve"] == CURVES[1]]
    ours = ours[ours["curve"] == CURVES[0]]
    return pd.concat([relative_curve(ours, other).assign(other=name) for name, other in others.items()])


def weightings_compared(selection: Selection) -> str:
    """AdaLoss against equal weights in all members, and the sequence against its largest network alone."""
    difference = {"name": "eann_difference", "first": "adaloss", "second": "const"}
    over_budgets = if_made(measured, selection, difference)
    at_end = if_made(measured, selection, difference | {"at_end": True})
    if over_budgets is None or at_end is None:
        return NOTHING
    bounds = [mean_interval(values) for values in (over_budgets, at_end)]
    if all(interval.low <= 0 <= interval.high for interval in bounds):
        verdict = "Both intervals contain zero, so we see no difference."
    elif all(interval.high < 0 for interval in bounds):
        verdict = "So AdaLoss helps the sequence here."
    elif all(interval.low > 0 for interval in bounds):
        verdict = "So AdaLoss harms the sequence here."
    else:
        verdict = "Only one of the two intervals excludes zero."
    table = published("fig5a").set_index("curve")["cifar100_error_percent"]
    theirs = 100 * (table["ResANN(25,32) AdaLoss final"] / table["ResANN(25,32) CONST final"] - 1)
    text = (
        f"Averaged over all budgets, the sequence with AdaLoss makes {_change(over_budgets)} than with equal weights. "
        f"At the end it makes {_change(at_end)}. {verdict} The paper reports {percent(-theirs)} % fewer errors at "
        "the end, for larger networks on CIFAR-100."
    )
    curves = if_made(eann_curves, selection, "adaloss")
    if curves is not None:
        by_curve = {name: rows.drop(columns="curve") for name, rows in curves.groupby("curve")}
        values = [_average(by_curve[CURVES[0]], by_curve[other]) for other in CURVES[1:3]]
        text += (
            f"\n\nAgainst its largest network alone it makes {_change(values[0])} on average. Against the best "
            f"separate network of each budget it makes {_change(values[1])}, but that network has to know the budget."
        )
    return text


def competence_found(
    experiment: Experiment, excesses: pd.DataFrame, competences: pd.DataFrame, tolerance: float
) -> str:
    """Whether the networks are competent at the tolerance of the page, and at the largest one that was looked at.

    Args:
        experiment: Of the networks.
        excesses: From :func:`anytime_study.analysis.competence.excess_table`.
        competences: From :func:`anytime_study.analysis.competence.competence_table`.
        tolerance: Per cent.
    """
    if competences.empty:
        return NOTHING
    images = find_card(finished(experiment)[0].config.dataset).num_validation
    error = np.mean([record.validation.error[-1] for record in finished(experiment)])
    noise = 100 * math.sqrt((1 - error) / (error * images))
    blur, seeds = "mostly noise" if noise > tolerance / 2 else "noisy", number(excesses["seed"].nunique())
    text = (
        f"With {images:,} validation images, chance alone moves the error of one seed by about {noise:.0f} %. A "
        f"competence by seed would be {blur}, so we averaged the errors over {seeds} seeds first.\n\n"
    )
    found = competences[competences["tolerance"] == tolerance]["b"]
    count, good = len(found), int((found > 0).sum())
    if not good:
        last = excesses.groupby(["network", "weighting"])["exit"].transform("max")
        at_end = excesses[excesses["exit"] == last].groupby(["network", "weighting"], sort=False)["excess"]
        means, lows = at_end.mean(), at_end.apply(lambda of_seeds: ends(of_seeds)[0])
        text += (
            f"**None of the {number(count)} networks is competent.** Even their last exits make {means.min():.0f} to "
            f"{means.max():.0f} % more errors than separate networks. So theory promises nothing for these sequences."
        )
        if not (lows > tolerance).any():  # nothing is known of one or two seeds
            text += " This is an estimate: the interval of each last exit reaches down to the tolerance."
    elif good < count:
        text += (
            f"Of the {number(count)} networks, {number(good)} {'is' if good == 1 else 'are'} competent. Theory "
            "promises nothing for a sequence with a member that is not."
        )
    else:
        text += f"{capital(part_of(count, count))} networks are competent: {_good_from(found)}."
    widest = competences["tolerance"].max()
    wide = competences[competences["tolerance"] == widest]["b"]
    if widest > tolerance and (wide > 0).all():
        every = part_of(len(wide), len(wide))
        text += f" With a tolerance of {widest:g} %, {every} are competent: {_good_from(wide)}."
        text += " The factor of three needs 50 %."
    by_network = competences.pivot_table(index=["network", "tolerance"], columns="weighting", values="b")
    if len(by_network.columns) > 1 and (by_network.nunique(axis=1) == 1).all():
        text += (
            " With AdaLoss and with equal weights, each network becomes competent at the same exit, so both have the "
            "same competence."
        )
    return text


def inflation_found(selection: Selection, seen: Mapping[str, pd.DataFrame]) -> str:
    """The largest inflation by weighting, beside the bounds for the growth of the sequence."""
    if not seen:
        return NOTHING
    costs = member_costs(selection, next(iter(seen)))
    growth = mean_growth(costs)
    largest = {label(weighting): table.groupby("seed")["inflation"].max() for weighting, table in seen.items()}
    said = listed(f"{value_in_words(values, '', 1)} with {name}" for name, values in largest.items())
    return (
        f"We took the largest inflation of each seed. Its mean is {said}. Seeds peak at different budgets, so these "
        f"means lie above the peaks of the curves. The paper's bound for this growth is {bound(costs):.1f}; for "
        f"ordinary networks, with one answer each, it is {float(worst_case(growth, 1)):.1f}. This does not confirm the "
        "theory, since its assumption does not hold. It only says that the bound was of the right size here."
    )


def bound(costs: Sequence[float]) -> float:
    """The paper's worst case for networks of these costs: competence is taken to be their mean growth."""
    growth = mean_growth(costs)
    return float(worst_case(growth, growth))


def conventions(selection: Selection) -> str:
    """The EANN against ordinary networks of linearly growing size, counted in three ways until those answer."""
    sides = {"first": "adaloss", "second": "linear_ensemble"}
    both_answer = if_made(measured, selection, {"name": "eann_difference_once_both_answer", **sides})
    if both_answer is None:
        return NOTHING
    over_budgets = {"name": "eann_difference", **sides}
    chance = 1 - 1 / find_card(finished(selection.experiment)[0].config.dataset).num_classes
    found = {
        "Leave these budgets out": both_answer,
        "Pretend the first ordinary network had answered from the start": measured(selection, over_budgets),
        "Count silence as a guess": measured(selection, over_budgets | {"guess": chance}),
    }
    lines = [f"- {way}: the EANN makes {_change(values)}." for way, values in found.items()]
    several = len({float(np.sign(values.mean())) for values in found.values()}) > 1
    return "\n".join([*lines, "", "So the choice decides who wins." if several else "All three agree on who wins."])


def _average(ours: pd.DataFrame, others: pd.DataFrame) -> pd.Series:
    """By seed: the mean error over the mean error of others at the budgets that both have, in per cent above it."""
    both = ours.merge(others, on=["seed", "cost"], suffixes=("", "_other"))
    means = both.groupby("seed")[["error", "error_other"]].mean()
    return 100 * (means["error"] / means["error_other"] - 1)


def _change(percent: pd.Series) -> str:
    return change_in_words(as_change(percent))


def _good_from(competences: pd.Series) -> str:
    """From which share of the cost on networks are good."""
    first, last = (f"{100 / b:.0f}" for b in (competences.max(), competences.min()))
    return f"they are good only from {first}{f' to {last}' if first != last else ''} % of their cost on"

"""What readers predict in exercises: answers from records, as a choice or a number, and the experiments that show them.

An experiment is an explorable (book/_assets/explorables) that begins once the reader has predicted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.stats

from anytime_study.analysis.statistics import mean_interval

if TYPE_CHECKING:  # torch comes with the records, not with this module
    from IPython.display import HTML

    from anytime_study.runs.record import RunRecord

UNKNOWN = "Nobody knows yet"
"""The answer as long as runs are missing; it is none of the choices."""

BY_CHANCE = "Chance could explain the difference"
_CLEARLY = 1.2


def live_experiment(name: str, **given: object) -> HTML:
    """The element of an experiment, to be glued.

    Args:
        name: Of the explorable.
        given: What it is given, as its attributes data-…; anything but text as JSON.
    """
    from IPython.display import HTML

    told = {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    data = "".join(f' data-{key.replace("_", "-")}="{escape(value)}"' for key, value in told.items())
    return HTML(f'<div class="experiment" data-explorable="{name}"{data}></div>')


def curve(name: str, kind: str, costs: npt.ArrayLike, errors: npt.ArrayLike) -> dict[str, Any]:
    """One of the curves of the explorable ``stop-curves``.

    Args:
        name: For readers.
        kind: How it is drawn: const, const-dashed, adaloss, or one, two, three for what is no weighting.
        costs: MACs, increasing.
        errors: From 0 to 1, of the answer that is there from that cost on. Where it stays the same, it is left out.
    """
    costs, errors = np.asarray(costs) / 1e6, 100 * np.asarray(errors)
    new = np.append(True, np.diff(errors) != 0)
    return {"name": name, "kind": kind, "costs": costs[new].round(4).tolist(), "errors": errors[new].round(3).tolist()}


def answer_at(one: Mapping[str, Any], budget: float) -> float:
    """The error in per cent of a curve's answer at a budget in million multiply-adds; NaN before the first."""
    there = np.searchsorted(one["costs"], budget, side="right")
    return one["errors"][there - 1] if there else math.nan


def stop_curves(curves: Sequence[Mapping[str, Any]], *, at: float) -> HTML:
    """The experiment with a budget to move across curves, to be glued; nothing if there are none.

    Args:
        curves: From :func:`curve`.
        at: Where the budget begins, over the last cost of the first curve.
    """
    from IPython.display import HTML

    if not curves:
        return HTML("")
    told = {"x": "million multiply-adds", "budget": at * curves[0]["costs"][-1], "curves": curves}
    return live_experiment("stop-curves", curves=told)


def over_exits(runs: Iterable[RunRecord]) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Costs and mean errors of the exits of a network, over runs that differ in their seed: [K] and [K]."""
    runs = list(runs)
    return np.array(runs[0].costs.macs_cumulative), np.mean([run.test.error for run in runs], axis=0)


def fewer_errors(change: Sequence[float], first: str, second: str) -> str:
    """Which of two makes fewer errors, as a choice.

    Args:
        change: Of the first against the second, a value per seed; negative is fewer. None at all if runs are missing.
        first, second: The choices.
    """
    if len(change) < 2:
        return UNKNOWN
    interval = mean_interval(change)
    return first if interval.high < 0 else second if interval.low > 0 else BY_CHANCE


def stopping_early(pairs: Sequence[Mapping[str, Any]], ratio: float = 0.5) -> str:
    """Which network errs less on average if each exit gives the answer ``ratio`` times as often as the one before.

    Args:
        pairs: From :func:`anytime_study.pages.stop_it_yourself.paired_seeds`.
        ratio: Above 0.
    """
    if not pairs:
        return UNKNOWN
    errors = np.array(pairs[0]["errors"])  # [2, seeds, K]
    often = ratio ** np.arange(errors.shape[-1])
    const, adaloss = errors @ (often / often.sum())
    return fewer_errors(adaloss - const, "AdaLoss", "CONST")


def where_pairs_help(pairs: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """At which exit the difference of two weightings is surer seed by seed than as if the runs were not paired.

    Returns:
        The choice, and a sentence with how much narrower the interval is at both.
    """
    if not pairs:
        return UNKNOWN, ""
    const, adaloss = np.array(pairs[0]["errors"])
    first, last = (_narrower(adaloss[:, exit_], const[:, exit_]) for exit_ in (0, -1))
    where = "At the first exit" if first > _CLEARLY * last else "At the last exit" if last > _CLEARLY * first else ""
    return where or "At both alike", (
        f"The interval of the difference that forgets the pairs is {first:.1f} times as wide as the paired one at the "
        f"first exit, and {last:.1f} times at the last."
    )


def _narrower(first: np.ndarray, second: np.ndarray) -> float:
    widths = [
        np.ptp(test(first, second).confidence_interval()) for test in (scipy.stats.ttest_ind, scipy.stats.ttest_rel)
    ]
    return float(widths[0] / widths[1])

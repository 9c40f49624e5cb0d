"""The measures that data/claims.yaml defines: from records to one value per seed.

    selection = Selection(load_experiments("laptop")["weightings"])
    settings = {"name": "increase_over_opt", "weighting": "adaloss", "fraction": 1}
    measured(selection, settings)   # per cent, by seed

Each raises :class:`anytime_study.analysis.selection.MissingRuns` if fewer than three seeds have all the runs that it
compares. Importing this package loads no PyTorch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from anytime_core.errors import InputError
from anytime_study.analysis.measures import runs, sequences
from anytime_study.analysis.measures.against_opt import increase_over_opt
from anytime_study.analysis.selection import MIN_SEEDS, MissingRuns, Selection

if TYPE_CHECKING:
    from anytime_study.analysis.claims import Case

MEASURES: dict[str, Callable[..., pd.Series]] = {
    "increase_over_opt": increase_over_opt,
    "train_loss_over_opt": partial(increase_over_opt, train_loss=True),
    "error_difference": runs.error_difference,
    "eann_difference": sequences.eann_difference,
    "eann_difference_once_both_answer": sequences.eann_difference_once_both_answer,
    "eann_inflation": sequences.eann_inflation,
    "concentration_difference": runs.concentration_difference,
    "spread_difference": runs.spread_difference,
    "early_exit_excess": runs.early_exit_excess,
    "early_exit_saving": runs.early_exit_saving,
    "log_error_change": runs.log_error_change,
    "own_objective_change": runs.own_objective_change,
    "loss_ratio": runs.loss_ratio,
    "headroom": runs.headroom,
    "gain_on_headroom": runs.gain_on_headroom,
}
"""By the names that data/claims.yaml gives them."""


def measured(selection: Selection, settings: Mapping[str, Any]) -> pd.Series:
    """The values of a measure by seed.

    Args:
        selection: Finds the records; afterwards it tells which were used.
        settings: The measure's ``name``, and its settings as data/claims.yaml gives them.

    Raises:
        MissingRuns: runs that it compares have no result.
        InputError: no such measure, or its settings do not fit it.
    """
    given = dict(settings)
    name = given.pop("name", None)
    if name not in MEASURES:
        raise InputError(f"bad measure: expected one of {', '.join(MEASURES)}, found {name}")
    try:
        inspect.signature(MEASURES[name]).bind(selection, **given)
    except TypeError as error:
        raise InputError(f"bad settings of {name}: {error}") from None
    return MEASURES[name](selection, **given)


def mean_over(selection: Selection, cases: Sequence[Case]) -> pd.Series:
    """The mean of measures over cases, at least one, by seed; raises what :func:`measured` raises."""
    values = pd.concat([measured(selection.of(case.fields), case.measure) for case in cases], axis=1, join="inner")
    if len(values) < MIN_SEEDS:
        found = f"expected at least {MIN_SEEDS} seeds with all {len(cases)} cases, found {len(values)}"
        raise MissingRuns([found, *selection.missing])
    return values.mean(axis=1)

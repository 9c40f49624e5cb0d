"""What a weighting did to the training losses of networks, beside CONST with all else the same."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:  # torch comes with the records, not with this module
    from anytime_study.runs.record import RunRecord
    from anytime_study.studies.experiments import Experiment

CHANGES = ("first", "last", "mean")
"""Columns of changes: the loss of the first exit, that of the last one, and the geometric mean over all exits."""


def against_const(experiments: Iterable[Experiment], weighting: str = "adaloss") -> pd.DataFrame:
    """Training losses (evaluation mode, unaugmented) of every run with ``weighting`` over those of its twin with CONST.

    Twins differ in the weighting, and in the learning rate where an experiment has fixed one for each weighting.

    Args:
        experiments: Whose runs are compared; a pair that several of them plan counts once.
        weighting: A name with its options.

    Returns:
        A row per pair: ``setting`` (what the runs of a pair share, apart from the seed), ``dataset``, ``seed``,
        ``ratio`` (loss of the first over that of the last exit under CONST), and :data:`CHANGES` in hundredths of a
        natural logarithm.
    """
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for experiment in experiments:
        twins: dict[tuple[str, int], dict[str, RunRecord]] = {}
        for record in experiment.outcomes.values():
            if record.outcome == "finished" and record.config.weighting in ("const", weighting):
                place = (_setting(record, experiment), record.config.seed)
                twins.setdefault(place, {})[record.config.weighting] = record
        for (setting, seed), pair in twins.items():
            if len(pair) == 2:
                const = np.array(pair["const"].train.loss)
                change = 100 * np.log(np.array(pair[weighting].train.loss) / const)
                rows[setting, seed] = {
                    "setting": setting,
                    "dataset": pair["const"].config.dataset,
                    "seed": seed,
                    "ratio": const[0] / const[-1],
                    "first": change[0],
                    "last": change[-1],
                    "mean": change.mean(),
                }
    return pd.DataFrame(list(rows.values()), columns=["setting", "dataset", "seed", "ratio", *CHANGES])


def _setting(record: RunRecord, experiment: Experiment) -> str:
    """What a run shares with its twin, as text."""
    fields = record.config.model_dump(mode="json")
    weighting, _ = fields.pop("weighting"), fields.pop("seed")
    if fields["learning_rate"] == experiment.own_rates.get(weighting):
        fields["learning_rate"] = "its own"
    return json.dumps(fields, sort_keys=True)

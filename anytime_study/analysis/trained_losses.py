"""What a weighting did to the training losses of networks, beside CONST with all else the same."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from anytime_study.analysis.trade_offs import pairs_of

if TYPE_CHECKING:
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
    rows = []
    for ours, const in pairs_of(experiments, {"weighting": weighting}):
        losses = np.array(const.train.loss)
        change = 100 * np.log(np.array(ours.train.loss) / losses)
        shared = const.config.model_dump(mode="json", exclude={"weighting", "seed"})
        rates = [ours.config.learning_rate, const.config.learning_rate]
        rows.append(
            {
                "setting": json.dumps(shared | {"learning_rate": rates}, sort_keys=True),
                "dataset": const.config.dataset,
                "seed": const.config.seed,
                "ratio": losses[0] / losses[-1],
                "first": change[0],
                "last": change[-1],
                "mean": change.mean(),
            }
        )
    return pd.DataFrame(rows, columns=["setting", "dataset", "seed", "ratio", *CHANGES])

"""What came out of one's own runs, as a table and a picture: of a study, or of a weighting beside others.

The measures are those of the results pages: test errors at the last exit, and at a quarter of its cost, linear in
cumulative multiply-adds between exits; means over seeds with Student's t intervals of 95 %. Seeds are paired: runs of
one seed start from the same weights and see the same batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from anytime_core.errors import InputError
from anytime_study.analysis.quantities import error_at
from anytime_study.analysis.statistics import mean_interval
from anytime_study.pages.figures import error_against_cost, use_book_style
from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import RunRecord
from anytime_study.runs.tables import exits_table

PLACES = {"at a quarter of the cost": 0.25, "at the last exit": 1.0}

REFERENCES = ("const", "adaloss")
"""Weightings that one's own is set beside, where the study has them."""


def study_table(records: Sequence[RunRecord]) -> pd.DataFrame:
    """A row per kind of run, that is all fields but the seed, named by the fields that differ; errors in per cent.

    Columns: the fields, seeds (their number), and for each of :data:`PLACES` the mean test error, and half the width of
    its interval (NaN with one seed).
    """
    kinds: dict[RunConfig, list[RunRecord]] = {}
    for record in records:
        kinds.setdefault(_without(record.config, "seed"), []).append(record)
    fields = _differing(list(kinds)) or ["network", "weighting"]
    rows = []
    for kind, made in kinds.items():
        row = {name: getattr(kind, name) for name in fields} | {"seeds": len(made)}
        for place, fraction in PLACES.items():
            errors = [100 * error_at(record, fraction) for record in made]
            row[f"error {place} (%)"] = float(np.mean(errors))
            row[f"± {place}"] = mean_interval(errors).high - row[f"error {place} (%)"] if len(made) > 1 else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def difference_table(records: Sequence[RunRecord], weighting: str) -> pd.DataFrame:
    """One weighting against :data:`REFERENCES`, seed by seed, all else the same; percentage points of test error.

    Columns: the fields in which the pairs differ from each other, against, where, seeds (their number), difference (the
    mean; below 0 the weighting errs less), and low and high of its interval (NaN with one seed).

    Raises:
        InputError: no run has a partner.
    """
    by_config = {record.config: record for record in records}
    pairs: dict[tuple[RunConfig, str], list[tuple[RunRecord, RunRecord]]] = {}
    for config, record in by_config.items():
        for reference in REFERENCES:
            partner = by_config.get(config.model_copy(update={"weighting": reference}))
            if config.weighting == weighting != reference and partner is not None:
                pairs.setdefault((_without(config, "seed"), reference), []).append((record, partner))
    if not pairs:
        raise InputError(
            f"expected records of {weighting} and of {' or '.join(REFERENCES)} with the same seeds, found none"
        )
    fields = _differing(list(dict.fromkeys(kind for kind, _ in pairs)))
    rows = []
    for (kind, reference), of_seeds in pairs.items():
        for place, fraction in PLACES.items():
            values = [100 * (error_at(ours, fraction) - error_at(theirs, fraction)) for ours, theirs in of_seeds]
            interval = mean_interval(values) if len(values) > 1 else None
            rows.append(
                {
                    **{name: getattr(kind, name) for name in fields},
                    "against": reference,
                    "where": place,
                    "seeds": len(values),
                    "difference": float(np.mean(values)),
                    "low": interval.low if interval else np.nan,
                    "high": interval.high if interval else np.nan,
                }
            )
    return pd.DataFrame(rows)


def save_summary(table: pd.DataFrame, records: Sequence[RunRecord], stem: Path) -> list[Path]:
    """Write ``<stem>.csv`` and ``<stem>.png``, the errors of all exits over their cost; gives the files.

    Runs that differ in more than weighting and seed have pictures of their own, which are numbered.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = [stem.with_name(f"{stem.name}.csv")]
    table.to_csv(files[0], index=False)
    panels: dict[RunConfig, list[RunRecord]] = {}
    for record in records:
        panels.setdefault(_without(record.config, "seed", "weighting"), []).append(record)
    use_book_style()
    for number, (kind, shown) in enumerate(panels.items(), start=1):
        figure = error_against_cost(exits_table(shown))
        rest = [
            f"{name} {getattr(kind, name)}" for name in _differing(list(panels)) if name not in ("dataset", "network")
        ]
        figure.axes[0].set_title(", ".join([kind.dataset, kind.network, *rest]), fontsize="small")
        files.append(stem.with_name(f"{stem.name}{f'-{number}' if len(panels) > 1 else ''}.png"))
        figure.savefig(files[-1], dpi=150)
        plt.close(figure)
    return files


def _without(config: RunConfig, *fields: str) -> RunConfig:
    return config.model_copy(update={name: type(config).model_fields[name].default for name in fields})


def _differing(configs: Sequence[RunConfig]) -> list[str]:
    return [name for name in RunConfig.model_fields if len({repr(getattr(config, name)) for config in configs}) > 1]

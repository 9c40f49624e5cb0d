"""One run on the disk: checkpoints while it trains, its record in the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anytime_core.checkpoints import Checkpoints
from anytime_core.config import RunConfig
from anytime_core.records import DivergedRecord, RunRecord
from anytime_core.training import TrainingDiverged, train


def run_to_record(
    config: RunConfig, folder: Path, *, rules: Mapping[str, str] | None = None, progress: bool = True
) -> tuple[RunRecord | DivergedRecord, Path]:
    """Train ``config``, or go on where it was interrupted, and write its record to ``<folder>/<name>.json``.

    The states on the way lie in ``<folder>/.checkpoints`` and are deleted once the record is there. A run that diverges
    has a record too, of that outcome.

    Args:
        config: The run.
        folder: For the record.
        rules: For the record: the rules in force, :attr:`Claims.rules`.
        progress: Whether to show a progress bar on standard error.

    Returns:
        The record and its path.

    Raises:
        DatasetError: the data set is not there or is damaged.
        Interrupted: the process was asked to stop (SIGTERM, Ctrl-C); the same call goes on.
        OSError: the folder cannot be written; found out before anything is trained.
    """
    checkpoints = Checkpoints(folder / ".checkpoints" / f"{config.name}.pt")
    checkpoints.path.parent.mkdir(parents=True, exist_ok=True)
    record: RunRecord | DivergedRecord
    try:
        record = train(config, progress=progress, checkpoints=checkpoints)
    except TrainingDiverged as error:
        record = error.record
    path = record.model_copy(update={"rules": dict(rules or {})}).save(folder)
    checkpoints.remove()
    return record, path

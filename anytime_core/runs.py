"""One run on the disk: checkpoints while it trains, its record in the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anytime_core.artefacts import ModelCard, save_model
from anytime_core.checkpoints import Checkpoints
from anytime_core.config import RunConfig
from anytime_core.records import DivergedRecord, RunRecord
from anytime_core.training import TrainingDiverged, TrainingRun
from anytime_core.validation import InputError


def run_to_record(
    config: RunConfig,
    folder: Path,
    *,
    rules: Mapping[str, str] | None = None,
    progress: bool = True,
    model_dir: Path | None = None,
) -> tuple[RunRecord | DivergedRecord, Path]:
    """Train ``config``, or go on where it was interrupted, and write its record to ``<folder>/<name>.json``.

    The states on the way lie in ``<folder>/.checkpoints`` and are deleted once the record is there. A run that diverges
    has a record too, of that outcome.

    Args:
        config: The run.
        folder: For the record.
        rules: For the record: the rules in force, :attr:`Claims.rules`.
        progress: Whether to show a progress bar on standard error.
        model_dir: Folder for the trained network too (:func:`save_model`); a run that diverges gives none.

    Returns:
        The record and its path.

    Raises:
        DatasetError: the data set is not there or is damaged.
        Interrupted: the process was asked to stop (SIGTERM, Ctrl-C); the same call goes on.
        OSError: a folder cannot be written; found out before anything is trained.
        InputError: with ``model_dir``: images with several labels, which no anytime prediction is made for.
    """
    checkpoints = Checkpoints(folder / ".checkpoints" / f"{config.name}.pt")
    checkpoints.path.parent.mkdir(parents=True, exist_ok=True)
    if model_dir is not None:
        model_dir.mkdir(parents=True, exist_ok=True)
    record: RunRecord | DivergedRecord
    try:
        run = TrainingRun(config)
        if model_dir is not None and run.data.card.num_tasks != 1:
            raise InputError(f"model_dir: expected a data set with one label per image, found {config.dataset}")
        run.fit(progress=progress, checkpoints=checkpoints)
        record = run.record()
        if model_dir is not None:
            save_model(model_dir, run.network, _model_card(run, record))
    except TrainingDiverged as error:
        record = error.record
    path = record.model_copy(update={"rules": dict(rules or {})}).save(folder)
    checkpoints.remove()
    return record, path


def _model_card(run: TrainingRun, record: RunRecord) -> ModelCard:
    data = run.data
    return ModelCard(
        network=run.config.network,
        dataset=run.config.dataset,
        class_names=data.class_names,
        image_shape=data.card.image_shape,
        mean=tuple(data.mean.tolist()),
        std=tuple(data.std.tolist()),
        record=record.name,
    )

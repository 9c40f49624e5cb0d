"""One run on the disk: checkpoints while it trains, its record in the end."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from anytime_core.errors import InputError
from anytime_core.weighting.adaloss import AdaLoss
from anytime_study.foundations.validation import require_folder
from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import Outcome
from anytime_study.training.artefacts import model_card, save_model
from anytime_study.training.checkpoints import Checkpoints
from anytime_study.training.loop import TrainingRun
from anytime_study.training.processes import all_gather_object, launched, process_group, process_rank
from anytime_study.training.scoring import TrainingDiverged

_log = logging.getLogger(__name__)


def run_to_record(
    config: RunConfig,
    folder: Path,
    *,
    rules: Mapping[str, str] | None = None,
    progress: bool = True,
    model_dir: Path | None = None,
) -> tuple[Outcome, Path]:
    """Train ``config``, or go on where it was interrupted, and write its record to ``<folder>/<name>.json``.

    The states on the way lie in ``<folder>/.checkpoints`` and are deleted once the record is there. A run that diverges
    has a record too, of that outcome.

    For a run with several ``devices``, ``torchrun`` starts as many processes, on several machines if need be; every
    process makes this call, and ``folder`` lies on a disk that they share.

    Args:
        config: The run.
        folder: For the record.
        rules: For the record: the rules in force, :attr:`Claims.rules`.
        progress: Whether to tell on standard error what is done: a progress bar, and whether a record is replaced.
        model_dir: Folder for the trained network too (:func:`save_model`); a run that diverges gives none.

    Returns:
        The record and its path.

    Raises:
        DatasetError: the data set is not there or is damaged.
        Interrupted: the process was asked to stop (SIGTERM, Ctrl-C); the same call goes on.
        InputError: a folder cannot be written, found out before anything is trained; there are not as many processes or
            GPUs as the run has devices; or, with ``model_dir``: images with several labels, which no anytime prediction
            is made for.
    """
    path = folder / f"{config.name}.json"
    if progress and path.exists() and not launched():
        tqdm.write(f"{config.name}: a record exists; training the run again", file=sys.stderr)
    if model_dir is not None:
        if config.card.num_tasks != 1 or config.card.reads_text:
            raise InputError(f"model_dir: expected a data set with one label per image, found {config.dataset}")
        require_folder(model_dir, name="model_dir")
    require_folder(folder, name="records_dir")
    checkpoints = Checkpoints(folder / ".checkpoints" / f"{config.name}.pt")
    checkpoints.path.parent.mkdir(parents=True, exist_ok=True)
    outcome: Outcome | None = None
    with process_group(cuda=config.on_cuda):
        try:
            run = TrainingRun(config)
            run.fit(progress=progress, checkpoints=checkpoints)
            if process_rank() == 0:  # the trained network is the same in all processes
                _warn_of_plain_sum(run)
                outcome = run.record()
                if model_dir is not None:
                    about = {"dataset": config.dataset, "record": outcome.name}
                    save_model(model_dir, run.network, model_card(config.network, run.data, about))
        except TrainingDiverged as error:
            outcome = error.record
        if outcome is not None and process_rank() == 0:
            outcome.model_copy(update={"rules": dict(rules or {})}).save(folder)
            checkpoints.remove()
        return all_gather_object(outcome)[0], path  # ty: ignore[invalid-explicit-return]  (the first has made it)


def _warn_of_plain_sum(run: TrainingRun) -> None:
    """AdaLoss's weights are 1 until its first refresh: a run that is shorter is one of CONST, under another name."""
    steps = run.config.epochs * run.config.steps_per_epoch
    if isinstance(run.weighting, AdaLoss) and steps <= run.weighting.refresh_period:
        _log.warning(
            "%s: every weight stayed 1, as with const: the run has %d steps, and the first refresh comes after %d; "
            "give a smaller refresh_period",
            *(run.config.name, steps, run.weighting.refresh_period),
        )

"""One small JSON file per run: what was asked, what came out, where it was made."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from anytime_core.errors import InputError
from anytime_core.files import atomic_write
from anytime_study.datasets import find_card
from anytime_study.foundations.provenance import Provenance
from anytime_study.foundations.validation import explain
from anytime_study.runs.config import PROTOCOL, RunConfig

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scores(_Part):
    """Scores of the K exits on one split, in evaluation mode, unaugmented, against the labels as they are.

    Attributes:
        loss: Mean cross-entropy in nats, [K].
        error: Top-1 error from 0 to 1, [K].
    """

    loss: list[Amount]
    error: list[Share]


class Costs(_Part):
    """Costs of one image at the K exits; see :class:`anytime_core.costs.ExitCosts`."""

    macs_cumulative: list[Count]
    macs_fixed: list[Count]
    parameters_cumulative: list[Count]
    parameters_fixed: list[Count]


class EarlyExitScores(_Part):
    """What early exit saves on the test images, and what it costs.

    Thresholds are the cheapest that err no more than the last exit on the validation images; see
    :func:`anytime_study.training.scoring.early_exit_scores`.

    Attributes:
        thresholds: Confidence from which an image leaves, of the exits but the last, [K - 1]; None: none leaves there.
        exit_shares: Share of test images that each exit answers, [K].
        error: Test error with early exit, from 0 to 1.
        last_error: Test error of the last exit, on the same images in the same precision.
        macs: Mean multiply-adds per test image, heads passed included.
        last_macs: Multiply-adds of the last exit alone.
    """

    thresholds: list[Amount | None]
    exit_shares: list[Share]
    error: Share
    last_error: Share
    macs: Amount
    last_macs: Count


class Timing(_Part):
    """How long training took: evaluation, loading and imports left out.

    Attributes:
        seconds: Wall-clock seconds of all training steps.
        images_per_second: Training images per second.
    """

    seconds: Amount
    images_per_second: Amount


class _Record(_Part):
    """What finished and diverged runs have in common: E epochs that were completed, K exits in depth order.

    Attributes:
        name: The run's name, :attr:`RunConfig.name`.
        protocol: The protocol it was made under.
        config: The run's config, all fields.
        num_exits: K.
        epoch_losses: [E, K], mean training loss per epoch (training mode, augmented), in nats. Label smoothing counts;
            ``loss_scales`` do not; 0 at exits that the weighting leaves out (those after OPT's are not computed).
        epoch_weights: [E, K], the weights B after each epoch; with ``loss_scales``, of the scaled losses.
        rules: The SHA-256 of the rule of every claim, by the claim's id, as it was when the run was made.
        timing: Seconds; with provenance the only part that differs between two runs of one config on one machine.
        provenance: Versions, commit, machine.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]  # the file's name: it may not lead to another folder
    protocol: int
    config: RunConfig
    num_exits: Annotated[int, Field(ge=1)]
    epoch_losses: list[list[Amount]]
    epoch_weights: list[list[Amount]]
    rules: dict[str, str] = {}
    timing: Timing
    provenance: Provenance

    @model_validator(mode="after")
    def _one_number_per_exit(self) -> Self:
        for name, row in self._rows():
            if len(row) != self.num_exits:
                raise ValueError(f"{name}: expected {self.num_exits} numbers, one per exit, found {len(row)}")
        for name in ("epoch_losses", "epoch_weights"):
            if (found := len(getattr(self, name))) != self._epochs():
                raise ValueError(f"{name}: expected the {self._epochs()} epochs that were completed, found {found}")
        return self

    def _epochs(self) -> int:
        """E, epochs that were completed."""
        return self.config.epochs

    def _rows(self) -> Iterator[tuple[str, Sequence[Any]]]:
        """All lists that have a number for each exit, with their names."""
        for name in ("epoch_losses", "epoch_weights"):
            for epoch, row in enumerate(getattr(self, name)):
                yield f"{name}.{epoch}", row

    @property
    def stale(self) -> bool:
        """Whether the record was made under another protocol, or its name is not that of its config."""
        return self.protocol != PROTOCOL or self.name != self.config.name

    def results(self) -> dict[str, Any]:
        """What a rerun must repeat: everything but the rules, the timing and the provenance.

        ``test_correct`` is left out, since older records lack it; the test errors are its row means.
        """
        return self.model_dump(exclude={"rules", "timing", "provenance", "test_correct"})

    def save(self, folder: Path) -> Path:
        """Write ``<folder>/<name>.json``; the file is there whole or not at all. Returns its path."""
        path = folder / f"{self.name}.json"
        content = self.model_dump(mode="json")
        if content.get("test_correct") is None:  # a record from before there were any keeps its bytes
            content.pop("test_correct", None)
        # the config stays to the digit: its hash is the run's name
        content = {key: value if key == "config" else _rounded(value) for key, value in content.items()}
        atomic_write(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
        return path


class RunRecord(_Record):
    """What a run gave that came to its end; what else it has is in every record.

    Attributes:
        train, validation, test: Final scores.
        test_correct: For each exit, which test images it answers rightly: a bit per image in the order of the data set,
            first image in the highest bit of the first byte, as base64; see :func:`unpacked`. None in older records.
        costs: MACs and parameters.
        early_exit: Where the config asks for it.
    """

    outcome: Literal["finished"] = "finished"
    train: Scores
    validation: Scores
    test: Scores
    test_correct: list[str] | None = None
    costs: Costs
    early_exit: EarlyExitScores | None = None

    def _rows(self) -> Iterator[tuple[str, Sequence[Any]]]:
        yield from super()._rows()
        for part in ("train", "validation", "test", "costs"):
            for name, row in getattr(self, part):
                yield f"{part}.{name}", row
        if self.test_correct is not None:
            yield "test_correct", self.test_correct

    @model_validator(mode="after")
    def _answers_give_the_errors(self) -> Self:
        if self.test_correct is not None:
            errors = 1 - unpacked(self.test_correct, find_card(self.config.dataset).num_test).mean(axis=1)
            for exit_number, (found, error) in enumerate(zip(errors, self.test.error, strict=True), start=1):
                if abs(found - error) > 1e-6:
                    raise ValueError(f"test_correct: expected error {error} of exit {exit_number}, found {found}")
        return self

    @property
    def summary(self) -> str:
        """One line for people."""
        return f"test error of the last exit {self.test.error[-1]:.2%}, {self.timing.seconds:.0f} s of training"

    @classmethod
    def load(cls, path: Path) -> RunRecord:
        """Read the record of a run that finished.

        Raises:
            InputError: the file is absent, not JSON, or not such a record; it names the file and the field.
        """
        return finished(load_outcome(path), path)


class DivergedRecord(_Record):
    """Of a run whose loss became NaN or infinite. It says that and where, and has no scores: it is no result.

    Attributes:
        epoch: The epoch, from 1, in which that was found; the epochs before it were completed.
        exit: The first exit whose loss was negative, NaN or infinite.
        reason: The message.
    """

    outcome: Literal["diverged"] = "diverged"
    epoch: Annotated[int, Field(ge=1)]
    exit: Annotated[int, Field(ge=1)]
    reason: str

    def _epochs(self) -> int:
        return self.epoch - 1

    @property
    def summary(self) -> str:
        """One line for people."""
        return f"diverged in epoch {self.epoch} at exit {self.exit}"


Outcome = RunRecord | DivergedRecord


def packed(answers: npt.ArrayLike) -> list[str]:
    """Booleans [K, N] as K base64 texts of N bits each, padded with zeros to whole bytes."""
    return [base64.b64encode(row.tobytes()).decode() for row in np.packbits(np.asarray(answers, dtype=bool), axis=1)]


def unpacked(texts: Sequence[str], count: int) -> npt.NDArray[np.bool_]:
    """What :func:`packed` was given, [K, ``count``]; for instance which of the ``count`` test images are right.

    Raises:
        ValueError: a text is not base64 or does not hold ``count`` bits.
    """
    rows = [np.frombuffer(base64.b64decode(text, validate=True), np.uint8) for text in texts]
    for row in rows:
        if len(row) != -(-count // 8):
            raise ValueError(f"texts: expected {-(-count // 8)} bytes for {count} bits, found {len(row)}")
    return np.stack([np.unpackbits(row, count=count) for row in rows]).astype(bool)


def load_outcome(path: Path) -> Outcome:
    """Read a record, of whichever outcome.

    Raises:
        InputError: the file is absent, not JSON, or not a record; it names the file and the field.
    """
    kind: type[Outcome] = RunRecord
    try:
        content = path.read_bytes()
        if re.search(rb'"outcome":\s*"diverged"', content):
            kind = DivergedRecord
        return kind.model_validate_json(content)
    except OSError as error:
        raise InputError(f"bad record {path}: {error.strerror}") from None
    except ValidationError as error:
        raise InputError(explain(error, kind, where=f"record {path}")) from None


def finished(record: Outcome, path: Path) -> RunRecord:
    """The record, which must be one of a run that finished; else :class:`InputError` names its path."""
    if isinstance(record, DivergedRecord):
        raise InputError(f"bad record {path}: expected a finished run, found one that diverged: {record.reason}")
    return record


def outcomes(runs: Iterable[RunConfig], folder: Path) -> dict[str, Outcome]:
    """The records that there are of these runs, by the runs' names.

    Raises:
        InputError: one cannot be read or is not the record of its run; names the file.
    """
    found = {}
    for config in runs:
        path = folder / f"{config.name}.json"
        if path.exists():
            record = found[config.name] = load_outcome(path)
            if record.name != config.name or record.stale:
                raise InputError(f"bad record {path}: expected the run {config.name}, found {record.config.name}")
    return found


def _rounded(value: Any) -> Any:
    """Floats to nine significant digits, which give every float32 back exactly and keep records small."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value

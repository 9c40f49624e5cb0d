"""One small JSON file per run: what was asked, what came out, where it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from anytime_core.config import PROTOCOL, RunConfig
from anytime_core.files import write_whole
from anytime_core.provenance import Provenance
from anytime_core.validation import InputError, explain


class Scores(BaseModel):
    """Scores of the K exits on one split, in evaluation mode, unaugmented, against the labels as they are.

    Attributes:
        loss: Mean cross-entropy in nats, [K].
        error: Top-1 error from 0 to 1, [K].
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss: list[FiniteFloat]
    error: list[FiniteFloat]


class Costs(BaseModel):
    """Costs of one image at the K exits; see :class:`anytime_core.cost.ExitCosts`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    macs_cumulative: list[int]
    macs_fixed: list[int]
    parameters_cumulative: list[int]
    parameters_fixed: list[int]


class Timing(BaseModel):
    """How long training took: evaluation, loading and imports left out.

    Attributes:
        seconds: Wall-clock seconds of all training steps.
        images_per_second: Training images per second.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: FiniteFloat
    images_per_second: FiniteFloat


class _Record(BaseModel):
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

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    protocol: int
    config: RunConfig
    num_exits: int
    epoch_losses: list[list[FiniteFloat]]
    epoch_weights: list[list[FiniteFloat]]
    rules: dict[str, str] = {}
    timing: Timing
    provenance: Provenance

    @property
    def stale(self) -> bool:
        """Whether the record was made under another protocol, or its name is not that of its config."""
        return self.protocol != PROTOCOL or self.name != self.config.name

    def results(self) -> dict[str, Any]:
        """What a rerun must repeat: everything but the rules, the timing and the provenance."""
        return self.model_dump(exclude={"rules", "timing", "provenance"})

    def save(self, folder: Path) -> Path:
        """Write ``<folder>/<name>.json``; the file is there whole or not at all. Returns its path."""
        path = folder / f"{self.name}.json"
        content = self.model_dump(mode="json")
        # the config stays to the digit: its hash is the run's name
        content = {key: value if key == "config" else _rounded(value) for key, value in content.items()}
        write_whole(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
        return path


class RunRecord(_Record):
    """What one run gave. Exits are in depth order; E epochs, K exits.

    Attributes:
        outcome: That it came to its end.
        train, validation, test: Final scores.
        costs: MACs and parameters.
        name, protocol, config, num_exits, epoch_losses, epoch_weights, rules, timing, provenance: As in every record.
    """

    outcome: Literal["finished"] = "finished"
    train: Scores
    validation: Scores
    test: Scores
    costs: Costs

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
        record = load_outcome(path)
        if isinstance(record, DivergedRecord):
            raise InputError(f"bad record {path}: expected a finished run, found one that diverged: {record.reason}")
        return record


class DivergedRecord(_Record):
    """Of a run that left the numbers. It says that and where, and has no scores: it is no result.

    Attributes:
        outcome: That it diverged.
        epoch: The epoch, from 1, in which that was found; the epochs before it were completed.
        exit: The first exit whose loss was negative, NaN or infinite.
        reason: The message.
        name, protocol, config, num_exits, epoch_losses, epoch_weights, rules, timing, provenance: As in every record.
    """

    outcome: Literal["diverged"] = "diverged"
    epoch: int
    exit: int
    reason: str

    @property
    def summary(self) -> str:
        """One line for people."""
        return f"diverged in epoch {self.epoch} at exit {self.exit}"


def load_outcome(path: Path) -> RunRecord | DivergedRecord:
    """Read a record, of whichever outcome.

    Raises:
        InputError: the file is absent, not JSON, or not a record; it names the file and the field.
    """
    kind: type[RunRecord | DivergedRecord] = RunRecord
    try:
        content = path.read_bytes()
        if _outcome(content) == "diverged":
            kind = DivergedRecord
        return kind.model_validate_json(content)
    except OSError as error:
        raise InputError(f"bad record {path}: {error.strerror}") from None
    except ValidationError as error:
        raise InputError(explain(error, kind, where=f"record {path}")) from None


def _outcome(content: bytes) -> Any:
    try:
        fields = json.loads(content)
    except ValueError:
        return None  # whoever validates it says what is wrong with it
    return fields.get("outcome") if isinstance(fields, dict) else None


def _rounded(value: Any) -> Any:
    """Floats to nine significant digits, which give every float32 back exactly and keep records small."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value

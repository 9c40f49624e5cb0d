"""A report: everything that was measured on one device, in one JSON file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from anytime_core.errors import InputError
from anytime_core.files import atomic_write
from anytime_study.foundations.provenance import Provenance
from anytime_study.foundations.validation import explain

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotBelow0 = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]
Load = Literal["idle", "one core busy", "all cores busy"]


class Part(BaseModel):
    """A part of a report: it does not change, and refuses names that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Device(Part):
    """The hardware that computed."""

    name: str  # of the processor or GPU
    kind: Literal["cpu", "cuda"]
    cpu: str  # the processor, of a GPU's host too
    cores: Count  # that this process may use
    features: list[str]  # bfloat16 instructions of a processor; compute capability and memory of a GPU

    @property
    def slug(self) -> str:
        """The device as part of a file name."""
        text = f"{self.name} {self.cores} cores" if self.kind == "cpu" else self.name
        return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


class Spread(Part):
    """A measured quantity over its n repetitions, in the unit of its comparison."""

    median: Positive
    q1: Positive
    q3: Positive
    n: Count


class Ratio(Part):
    """Contender over baseline, a ratio for each of n pairs of neighbouring measurements."""

    median: Positive
    low: Positive  # ends of an interval for the median, 95 % or more; the range below six pairs
    high: Positive
    n: Count


class Contender(Part):
    """One of the things compared."""

    name: str
    value: Spread
    ratio: Ratio | None = None  # None for the baseline


class Comparison(Part):
    """Things that took turns."""

    name: str
    unit: str  # of the values: images/s, ms, s or MiB
    baseline: str  # the contender that the ratios divide by
    contenders: Annotated[list[Contender], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_baseline(self) -> Comparison:
        without = [contender.name for contender in self.contenders if contender.ratio is None]
        if without != [self.baseline]:
            raise ValueError(f"baseline: expected {self.baseline} alone to have no ratio, found {without}")
        return self

    @property
    def ratios(self) -> dict[str, Ratio]:
        """By contender, without the baseline."""
        return {contender.name: contender.ratio for contender in self.contenders if contender.ratio}


class Bin(Part):
    """Calls whose deadlines lie next to each other."""

    low_s: Positive  # ends of the bin
    high_s: Positive
    late: Number  # answers after their deadline
    correct: Number | None  # right answers; None for a network that was not trained
    exits: Annotated[list[Number], Field(min_length=1)]  # answers of each exit, [K]

    @property
    def count(self) -> int:
        """Calls."""
        return sum(self.exits)


class Trial(Part):
    """Many random deadlines, one call each, batch 1. Both times were measured on the idle machine."""

    network: str
    load: Load  # what else ran
    table: bool  # whether the predictor planned with a latency table
    full_s: Positive  # median time to the last exit
    step_s: Positive  # median of the longest step: a segment and its head
    late_by_step: Number  # answers later than their deadline by more than step_s
    bins: Annotated[list[Bin], Field(min_length=1)]  # in growing order of deadlines

    @property
    def count(self) -> int:
        """Calls."""
        return sum(part.count for part in self.bins)

    @property
    def late(self) -> int:
        """Answers after their deadline."""
        return sum(part.late for part in self.bins)


class Row(Part):
    """What one row measured, by name, and with what."""

    made: Provenance
    load_average: (
        NotBelow0 | None
    )  # processes that wanted to run in the minute before; None if the system does not tell
    seconds: Positive  # the measurement took this long
    setting: str  # network, data and batch of everything that does not say otherwise
    comparisons: dict[str, Comparison] = Field(default_factory=dict)
    facts: dict[str, float] = Field(default_factory=dict)  # names end in their unit
    tables: dict[str, dict[str, list[NotBelow0]]] = Field(default_factory=dict)  # columns of equal length
    trials: dict[str, Trial] = Field(default_factory=dict)


class Report(Part):
    """Everything that is known of one device."""

    format: Literal[2] = 2
    device: Device
    quick: bool  # sizes were shrunk to try the machinery: the numbers mean nothing
    rows: dict[str, Row]

    def __getitem__(self, name: str) -> Row:
        """The row of this name.

        Raises:
            InputError: it was not measured.
        """
        if name not in self.rows:
            found = ", ".join(self.rows) or "none"
            raise InputError(f"rows: expected {name}, found {found}; `python -m benchmarks --rows {name}` measures it")
        return self.rows[name]

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        atomic_write(path, self.model_dump_json(indent=1) + "\n")


def load_report(path: Path) -> Report:
    """Read a report.

    Raises:
        InputError: it cannot be read, is damaged or of another format; names the file and the faults.
    """
    try:
        return Report.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(explain(error, Report, where=f"report {path}")) from None
    except OSError as error:
        raise InputError(f"bad report {path}: {error.strerror}") from None

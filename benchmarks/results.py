"""Result files: one per device, written whole, checked when read. Loads no torch, so that pages are made quickly."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from anytime_core.foundations.files import write_whole
from anytime_core.foundations.validation import InputError, explain

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(_Part):
    """A measured quantity over its repetitions, in the unit of its comparison.

    Attributes:
        median: Half of the values are below.
        q1: Lower quartile.
        q3: Upper quartile.
        n: Repetitions.
    """

    median: Positive
    q1: Positive
    q3: Positive
    n: Count


class Ratio(Spread):
    """Contender over baseline, a ratio for each pair of neighbouring measurements.

    Attributes:
        low: Lower end of an interval for the median, from order statistics.
        high: Upper end.
        coverage: Probability that such an interval holds the true median, from 0 to 1; below 0.95 with few pairs.
    """

    low: Positive
    high: Positive
    coverage: Annotated[float, Field(ge=0, le=1)]


class Contender(_Part):
    """One of the things compared.

    Attributes:
        name: What a page calls it.
        value: Its measurements, in the unit of the comparison.
        ratio: Its values over the baseline's, pair by pair; None for the baseline itself.
        facts: Further numbers; their names end in their unit.
    """

    name: str
    value: Spread
    ratio: Ratio | None = None
    facts: dict[str, float] = {}


class Comparison(_Part):
    """Things that took turns.

    Attributes:
        name: What is compared.
        unit: Of the values, such as "images/s" or "ms".
        baseline: Name of the contender that the ratios divide by.
        contenders: In the order of measurement.
    """

    name: str
    unit: str
    baseline: str
    contenders: Annotated[list[Contender], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_baseline(self) -> Comparison:
        names = [contender.name for contender in self.contenders]
        if len(set(names)) < len(names):
            raise ValueError(f"contenders: expected names that differ, found {names}")
        without = [contender.name for contender in self.contenders if contender.ratio is None]
        if without != [self.baseline]:
            raise ValueError(f"baseline: expected {self.baseline} alone to have no ratio, found {without}")
        return self

    def __getitem__(self, name: str) -> Contender:
        """The contender of this name."""
        return {contender.name: contender for contender in self.contenders}[name]


class Made(_Part):
    """When and with what a row was measured.

    Attributes:
        package: Version of anytime_core.
        commit: Git commit, None outside a checkout.
        dirty: Whether code differed from it, None outside a checkout.
        torch: Version of PyTorch.
        python: Version of Python.
        platform: Operating system and processor type.
        threads: CPU threads of everything that does not say otherwise.
        load_average: Processes that wanted to run in the minute before the start; None where the system does not tell.
        seconds: The row took this long.
        setting: The network, data and batch of everything that does not say otherwise.
    """

    package: str
    commit: str | None
    dirty: bool | None
    torch: str
    python: str
    platform: str
    threads: Count
    load_average: Annotated[float, Field(ge=0)] | None
    seconds: Positive
    setting: str


class Row(_Part):
    """What one benchmark found.

    Attributes:
        made: When and with what.
        comparisons: By name.
        facts: Further numbers; their names end in their unit.
    """

    made: Made
    comparisons: dict[str, Comparison]
    facts: dict[str, float] = {}


class Device(_Part):
    """The hardware that computed.

    Attributes:
        name: Processor or GPU.
        kind: ``"cpu"`` or ``"cuda"``.
        cpu: The processor, of a GPU's host too.
        cores: Processor cores that this process may use.
        features: Of bf16 arithmetic, what the processor has of avx512_bf16, amx_bf16 and amx_tile.
    """

    name: str
    kind: Literal["cpu", "cuda"]
    cpu: str
    cores: Count
    features: list[str]

    @property
    def slug(self) -> str:
        """The device as part of a file name."""
        text = f"{self.name} {self.cores} cores" if self.kind == "cpu" else self.name
        return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


class Report(_Part):
    """All that is known of one device.

    Attributes:
        format: Version of this file's shape.
        device: The hardware.
        quick: Whether sizes were shrunk to try the machinery; then the numbers mean nothing.
        rows: By name.
    """

    format: Literal[1] = 1
    device: Device
    quick: bool
    rows: dict[str, Row]

    def with_rows(self, rows: Mapping[str, Row]) -> Report:
        """The same with new rows, or rows in the place of older ones."""
        return self.model_copy(update={"rows": {**self.rows, **rows}})

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_whole(path, self.model_dump_json(indent=1) + "\n")


def load_report(path: Path) -> Report:
    """Read a result file.

    Raises:
        InputError: it is damaged or of another format.
        OSError: it cannot be read.
    """
    advice = "delete it and measure again with `make bench`"
    try:
        return Report.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise InputError(f"{explain(error, Report, where=f'result file {path}')}; {advice}") from None
    except ValueError as error:  # no JSON, or no UTF-8
        raise InputError(f"bad result file {path}: expected JSON, found {error}; {advice}") from None


def load_reports(folder: Path) -> list[Report]:
    """All result files of a folder, by the name of the device.

    Raises:
        InputError: there is none, or one is damaged.
    """
    reports = [load_report(path) for path in sorted(folder.glob("*.json"))]
    if not reports:
        raise InputError(f"results_dir: expected result files, found none in {folder}; `make bench` makes one")
    return reports

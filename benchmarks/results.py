"""Result files of ``python -m benchmarks``, and the comparisons in them. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from anytime_core.errors import InputError
from benchmarks.reports import Count, DeviceReport, Made, Part, Positive, read_report


class Spread(Part):
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


class Contender(Part):
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
    facts: dict[str, float] = Field(default_factory=dict)


class Comparison(Part):
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


class Row(Part):
    """What one benchmark found.

    Attributes:
        made: When and with what.
        comparisons: By name.
        facts: Further numbers; their names end in their unit.
    """

    made: Made
    comparisons: dict[str, Comparison]
    facts: dict[str, float] = Field(default_factory=dict)


class Report(DeviceReport):
    """All that is known of one device.

    Attributes:
        quick: Whether sizes were shrunk to try the machinery; then the numbers mean nothing.
        rows: By name.
    """

    quick: bool
    rows: dict[str, Row]

    def with_rows(self, rows: Mapping[str, Row]) -> Report:
        """The same with new rows, or rows in the place of older ones."""
        return self.model_copy(update={"rows": {**self.rows, **rows}})


def load_report(path: Path) -> Report:
    """Read a result file.

    Raises:
        InputError: it is damaged or of another format.
        OSError: it cannot be read.
    """
    return read_report(
        path, Report, where=f"result file {path}", advice="delete it and measure again with `make bench`"
    )


def load_reports(folder: Path) -> list[Report]:
    """All result files of a folder, by the name of the device.

    Raises:
        InputError: there is none, or one is damaged.
    """
    reports = [load_report(path) for path in sorted(folder.glob("*.json"))]
    if not reports:
        raise InputError(f"results_dir: expected result files, found none in {folder}; `make bench` makes one")
    return reports

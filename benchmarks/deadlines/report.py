"""What was measured about stopping: one file per device. Loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from benchmarks.reports import DeviceReport, Made, NotBelow0, Part, Positive, Seconds, read_named_report
from benchmarks.results import Comparison

Number = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Load = Literal["idle", "one core busy", "all cores busy"]


class Bin(Part):
    """Calls whose deadlines lie next to each other.

    Attributes:
        low_s, high_s: Ends of the bin, seconds.
        late: Answers after their deadline.
        correct: Answers that were right; None for a network that was not trained.
        exits: Answers of each exit, [K]; their sum is the number of calls.
    """

    low_s: Seconds
    high_s: Seconds
    late: Number
    correct: Number | None
    exits: Annotated[list[Number], Field(min_length=1)]

    @property
    def count(self) -> int:
        """Calls."""
        return sum(self.exits)


class Trial(Part):
    """Many random deadlines, one call each, batch 1.

    Attributes:
        network: Text that builds the network, or "EANN of …".
        load: What else ran.
        first: Whether the predictor's process went before all others, by its priority.
        table: Whether the predictor planned with a latency table that was made on the idle machine.
        first_s: 99th percentile of the first exit's time, idle.
        full_s: Median time to the last exit, idle.
        step_s: The longest step's median time, idle: "one segment".
        late_by_step: Answers later than their deadline by more than ``step_s``.
        lateness_s: Of the late answers, quantiles 0.5, 0.9 and 1 of how late; None if none was late.
        bins: In growing order of deadlines.
    """

    network: str
    load: Load
    table: bool
    first: bool = False
    first_s: Seconds
    full_s: Seconds
    step_s: Seconds
    late_by_step: Number
    lateness_s: tuple[NotBelow0, NotBelow0, NotBelow0] | None
    bins: Annotated[list[Bin], Field(min_length=1)]

    @property
    def count(self) -> int:
        """Calls."""
        return sum(part.count for part in self.bins)

    @property
    def late(self) -> int:
        """Answers after their deadline."""
        return sum(part.late for part in self.bins)


class Trials(Part):
    """Trials by name, and with what they were made."""

    made: Made
    trials: dict[str, Trial]


class Exits(Part):
    """Time of each exit: as a network cut there, by ``predict(exit=…)`` and by ``refine``; by exit, from 1."""

    made: Made
    comparisons: Annotated[list[Comparison], Field(min_length=1)]


class CurvePoint(Part):
    """One point of a curve of test error over mean multiply-adds."""

    setting: Literal["budgeted", "anytime"]
    mean_macs: NotBelow0
    error: Share


class Calibration(Part):
    """Of one exit on test images; the temperature was fitted on validation images.

    Attributes:
        temperature: Divisor of the logits.
        ece_before, ece_after: Expected calibration error, from 0 to 1.
        nll_before, nll_after: Mean cross-entropy in nats.
    """

    temperature: Positive
    ece_before: Share
    ece_after: Share
    nll_before: NotBelow0
    nll_after: NotBelow0


class Changes(Part):
    """Shares of test images; see :class:`anytime_study.analysis.monotonicity.AnswerChanges`."""

    right_to_wrong: list[Share]
    wrong_to_right: list[Share]
    overthinking: Share
    ever_right_to_wrong: Share
    never_right: Share


class Confidence(Part):
    """Early exit of the shipped network, its calibration and its changes of mind, all on test images.

    Attributes:
        images: How many.
        curve: Test error over mean multiply-adds.
        calibration: By exit.
        changes: From exit to exit.
        speed: Seconds for the test images in batches: all to the last exit, and with early exit.
    """

    made: Made
    images: Number
    curve: Annotated[list[CurvePoint], Field(min_length=1)]
    calibration: Annotated[list[Calibration], Field(min_length=1)]
    changes: Changes
    speed: Comparison


class DeadlineReport(DeviceReport):
    """All that is known of one device; a part that was not measured is None.

    Attributes:
        model: Folder of the shipped network, under data/models.
        quick: Whether counts were shrunk to try the machinery; then the numbers mean nothing.
        exits, trials, confidence: The parts.
    """

    model: str
    quick: bool
    exits: Exits | None = None
    trials: Trials | None = None
    confidence: Confidence | None = None

    @model_validator(mode="after")
    def _as_many_exits(self) -> DeadlineReport:
        for name, trial in (self.trials.trials if self.trials else {}).items():
            if len({len(part.exits) for part in trial.bins}) > 1:
                raise ValueError(f"trials: {name}: expected bins with equally many exits")
        return self


def load_deadline_report(path: Path) -> DeadlineReport:
    """Read a report.

    Raises:
        InputError: it is damaged, of another format, or cannot be read.
    """
    advice = "delete it and measure again with `python -m benchmarks.deadlines`"
    return read_named_report(path, DeadlineReport, advice=advice)

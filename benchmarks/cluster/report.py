"""What was measured about running studies: one file per device. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from anytime_core.errors import InputError
from benchmarks.reports import Count, Device, DeviceReport, Made, NotBelow0, Part, Positive, Seconds, read_named_report


class Execution(Part):
    """One way to make the records of the same study.

    Attributes:
        side_by_side: Runs at the same time.
        seconds: Of the whole command, from its start to its end.
        training_s: Of each run: training steps alone, as its record says.
        notebook_s: Of each run: its notebook, with the start of the kernel and the imports; empty without notebooks.
        job_s: Of each job of Slurm, from its start to its end, to the second; empty without Slurm.
        wait_s: Of each job of Slurm, from its submission to its start.
        cpus_per_job: That a job of Slurm asked for; None without Slurm.
    """

    side_by_side: Count
    seconds: Seconds
    training_s: Annotated[list[Seconds], Field(min_length=1)]
    notebook_s: list[Seconds] = Field(default_factory=list)
    job_s: list[NotBelow0] = Field(default_factory=list)
    wait_s: list[NotBelow0] = Field(default_factory=list)
    cpus_per_job: Count | None = None

    @property
    def runs(self) -> int:
        """Runs of the study."""
        return len(self.training_s)

    @property
    def seconds_per_run(self) -> float:
        """Seconds that a place for one run is taken, for each run: what a queue counts, or the whole command's time."""
        if self.cpus_per_job is None:
            return self.seconds * min(self.side_by_side, self.runs) / self.runs
        return sum(self.job_s) * self.cpus_per_job / self.runs

    @property
    def overhead_s(self) -> float:
        """Seconds of a place for each run that are not training."""
        return self.seconds_per_run - sum(self.training_s) / self.runs


class SlurmTrial(Part):
    """The same small study through different executions, on one machine.

    Attributes:
        made: When and with what.
        slurm: Version of Slurm.
        first_check_s: Seconds until Snakemake asked Slurm about its jobs for the first time (the executor waits 40).
        same_records: Runs whose results were the same to the last bit in all executions.
        executions: By name.
    """

    made: Made
    slurm: str
    first_check_s: Count
    same_records: Count
    executions: Annotated[dict[str, Execution], Field(min_length=1)]


class Command(Part):
    """One command.

    Attributes:
        seconds: From its start to its end, of each repetition.
        peak_mb: Largest resident memory of a process, in megabytes (10^6 bytes).
    """

    seconds: Annotated[list[Seconds], Field(min_length=1)]
    peak_mb: Positive


class StudySize(Part):
    """Planning a study without a record.

    Attributes:
        runs: Runs of the study.
        plan: ``snakemake study --dry-run``; None if it did not end in time.
        listing: ``anytime study FILE``; None if it did not end in time.
    """

    runs: Count
    plan: Command | None
    listing: Command | None


class Sizes(Part):
    """Planning studies of several sizes.

    Attributes:
        made: When and with what.
        limit_s: A command that takes longer is ended and counts as None.
        studies: In growing order.
    """

    made: Made
    limit_s: Seconds
    studies: Annotated[list[StudySize], Field(min_length=1)]


class ClusterReport(DeviceReport):
    """All that is known of one device; a part that was not measured is None.

    Attributes:
        slurm, sizes: The parts.
    """

    slurm: SlurmTrial | None = None
    sizes: Sizes | None = None


def load_cluster_report(path: Path) -> ClusterReport:
    """Read a report.

    Raises:
        InputError: it is damaged, of another format, or cannot be read.
    """
    advice = "delete it and measure again with `python -m benchmarks.cluster` and `make slurm-test`"
    return read_named_report(path, ClusterReport, advice=advice)


def keep(folder: Path, device: Device, parts: Mapping[str, BaseModel]) -> Path:
    """Put parts into the device's file in ``folder``, beside those that are there. Returns its path.

    Raises:
        InputError: the file is of another device.
    """
    path = folder / f"{device.slug}.json"
    report = load_cluster_report(path) if path.exists() else ClusterReport(device=device)
    if report.device != device:
        raise InputError(f"bad report {path}: expected one of {device.name}, found one of {report.device.name}")
    report.model_copy(update=dict(parts)).save(path)
    return path

"""What was measured about running studies: one file per device, written whole, checked when read. Loads no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anytime_core.foundations.files import write_whole
from anytime_core.foundations.validation import InputError, explain
from benchmarks.results import Device, Made

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotBelow0 = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Execution(_Part):
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
    notebook_s: list[Seconds] = []
    job_s: list[NotBelow0] = []
    wait_s: list[NotBelow0] = []
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


class SlurmTrial(_Part):
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


class Command(_Part):
    """One command.

    Attributes:
        seconds: From its start to its end, of each repetition.
        peak_mb: Largest resident memory of a process, in megabytes (10^6 bytes).
    """

    seconds: Annotated[list[Seconds], Field(min_length=1)]
    peak_mb: Seconds


class StudySize(_Part):
    """Planning a study without a record.

    Attributes:
        runs: Runs of the study.
        plan: ``snakemake study --dry-run``; None if it did not end in time.
        listing: ``anytime study FILE``; None if it did not end in time.
    """

    runs: Count
    plan: Command | None
    listing: Command | None


class Sizes(_Part):
    """Planning studies of several sizes.

    Attributes:
        made: When and with what.
        limit_s: A command that takes longer is ended and counts as None.
        studies: In growing order.
    """

    made: Made
    limit_s: Seconds
    studies: Annotated[list[StudySize], Field(min_length=1)]


class ClusterReport(_Part):
    """All that is known of one device; a part that was not measured is None.

    Attributes:
        format: Version of this file's shape.
        device: The hardware.
        slurm, sizes: The parts.
    """

    format: Literal[1] = 1
    device: Device
    slurm: SlurmTrial | None = None
    sizes: Sizes | None = None

    def with_parts(self, parts: Mapping[str, BaseModel]) -> ClusterReport:
        """The same with new parts, or parts in the place of older ones."""
        return self.model_copy(update=dict(parts))

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_whole(path, self.model_dump_json(indent=1) + "\n")


def load_cluster_report(path: Path) -> ClusterReport:
    """Read a report.

    Raises:
        InputError: it is damaged, of another format, or cannot be read.
    """
    advice = "delete it and measure again with `python -m benchmarks.cluster` and `make slurm-test`"
    try:
        return ClusterReport.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"bad report {path}: {error.strerror}") from None
    except ValidationError as error:
        raise InputError(f"{explain(error, ClusterReport, where=f'report {path}')}; {advice}") from None
    except ValueError as error:  # no JSON, or no UTF-8
        raise InputError(f"bad report {path}: expected JSON, found {error}; {advice}") from None


def keep(folder: Path, device: Device, parts: Mapping[str, BaseModel]) -> Path:
    """Put parts into the device's file in ``folder``, beside those that are there. Returns its path.

    Raises:
        InputError: the file is of another device.
    """
    path = folder / f"{device.slug}.json"
    report = load_cluster_report(path) if path.exists() else ClusterReport(device=device)
    if report.device != device:
        raise InputError(f"bad report {path}: expected one of {device.name}, found one of {report.device.name}")
    report.with_parts(parts).save(path)
    return path

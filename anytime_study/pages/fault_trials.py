"""What was tried to break the package, and what came of it: the file that `make torture` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from anytime_core.errors import InputError
from anytime_core.files import atomic_write
from anytime_study.foundations.provenance import Provenance
from anytime_study.foundations.validation import explain

Count = Annotated[int, Field(ge=1)]
Group = Literal["bad input", "machine", "kill"]


class FaultTrials(BaseModel):
    """One fault, tried many times.

    Attributes:
        group: Bad input, a fault of the machine (disk, rights, two processes), or a kill.
        fault: What was done.
        trials: How often.
        outcomes: How often each outcome was seen. An outcome that may not be ends the whole, so none is in here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: Group
    fault: Annotated[str, Field(min_length=1)]
    trials: Count
    outcomes: Annotated[dict[str, Count], Field(min_length=1)]

    @model_validator(mode="after")
    def _every_trial_has_an_outcome(self) -> FaultTrials:
        if sum(self.outcomes.values()) != self.trials:
            raise ValueError(f"outcomes: expected {self.trials} in all, found {sum(self.outcomes.values())}")
        return self


class TortureReport(BaseModel):
    """All that was tried, in one go.

    Attributes:
        format: Version of this file's shape.
        seconds: How long it took.
        faults: Each fault.
        provenance: Versions, commit, machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    faults: Annotated[tuple[FaultTrials, ...], Field(min_length=1)]
    provenance: Provenance

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        atomic_write(path, self.model_dump_json(indent=1) + "\n")

    def of(self, group: Group) -> list[FaultTrials]:
        """The faults of one group."""
        return [fault for fault in self.faults if fault.group == group]


def load_torture_report(path: Path) -> TortureReport:
    """Read a file that `make torture` has written.

    Raises:
        InputError: it is missing, damaged or of another format; names the file and the field.
    """
    try:
        return TortureReport.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"bad results {path}: {error.strerror}; `make torture` makes them") from None
    except ValidationError as error:
        raise InputError(explain(error, TortureReport, where=f"results {path}")) from None


def faults_table(faults: list[FaultTrials]) -> pd.DataFrame:
    """For people: a row for each fault and outcome. Columns: fault, trials, outcome, times (of the trials)."""
    rows = [
        {"fault": fault.fault.replace("`", ""), "trials": fault.trials, "outcome": outcome, "times": count}
        for fault in faults
        for outcome, count in sorted(fault.outcomes.items(), key=lambda item: -item[1])
    ]
    table = pd.DataFrame(rows, columns=["fault", "trials", "outcome", "times"], dtype=object)
    table.loc[table["fault"].duplicated(), ["fault", "trials"]] = ""  # said once for all its outcomes
    return table

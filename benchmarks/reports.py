"""What all files of measurements are: one per device, written whole, checked when read. Loads no torch."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anytime_core.errors import InputError
from anytime_core.files import atomic_write
from anytime_study.foundations.validation import explain

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seconds = Positive
NotBelow0 = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    """A part of a file: it does not change, and refuses names that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Made(Part):
    """When and with what something was measured.

    Attributes:
        package: Version of anytime_core.
        commit: Git commit, None outside a checkout.
        dirty: Whether code differed from it, None outside a checkout.
        torch: Version of PyTorch.
        python: Version of Python.
        platform: Operating system and processor type.
        threads: CPU threads of everything that does not say otherwise.
        load_average: Processes that wanted to run in the minute before the start; None where the system does not tell.
        seconds: The measurement took this long.
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


class Device(Part):
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


class DeviceReport(Part):
    """What is known of one device; each kind of report adds what it measures.

    Attributes:
        format: Version of this file's shape.
        device: The hardware.
    """

    format: Literal[1] = 1
    device: Device

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        atomic_write(path, self.model_dump_json(indent=1) + "\n")


Kind = TypeVar("Kind", bound=DeviceReport)


def read_report(path: Path, kind: type[Kind], *, where: str, advice: str) -> Kind:
    """Read a file.

    Args:
        path: The file.
        kind: What it should hold.
        where: What the message should call it ("report x.json").
        advice: What to do about a damaged one.

    Raises:
        InputError: it is damaged or of another format.
        OSError: it cannot be read.
    """
    try:
        return kind.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise InputError(f"{explain(error, kind, where=where)}; {advice}") from None
    except ValueError as error:  # no JSON, or no UTF-8
        raise InputError(f"bad {where}: expected JSON, found {error}; {advice}") from None


def read_named_report(path: Path, kind: type[Kind], *, advice: str) -> Kind:
    """Read a file that somebody named; that it cannot be read is bad input too.

    Raises:
        InputError: it is damaged, of another format, or cannot be read.
    """
    try:
        return read_report(path, kind, where=f"report {path}", advice=advice)
    except OSError as error:
        raise InputError(f"bad report {path}: {error.strerror}") from None

"""What notebooks have in common: their parameters, read or refused with a message that helps, and how tables look.

papermill itself lets wrong types pass and only warns of unknown names, and a misspelt name never reaches the code at
all: papermill assigns it in a cell of its own and the notebook ignores it. So that cell is read back here.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeVar

import pandas as pd
from IPython.display import HTML
from pydantic import BaseModel, ConfigDict, field_validator

from anytime_core.errors import InputError, did_you_mean
from anytime_study.foundations import ROOT
from anytime_study.foundations.validation import validated

Model = TypeVar("Model", bound=BaseModel)

_INJECTED = "# Parameters"  # how papermill begins the cell that it adds


class NotebookParameters(BaseModel):
    """Parameters of a page: names that it does not have and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class RecordsParameters(NotebookParameters):
    """Parameters of a page that shows records.

    Attributes:
        records_dir: Where the records are, relative to the checkout; empty for their own folder in data/records.
        inside: Folders of which it has at least one.
    """

    records_dir: str
    inside: ClassVar[tuple[str, ...]] = ()

    @field_validator("records_dir")
    @classmethod
    def _is_there(cls, place: str) -> str:
        if place and not any((ROOT / place / name).is_dir() for name in cls.inside or [""]):
            known = f"with folders such as {', '.join(cls.inside)}" if cls.inside else "such as data/records/laptop"
            raise ValueError(f"expected a folder {known}, found none in {ROOT / place}")
        return place

    @property
    def records(self) -> Path | None:
        """The folder; None for the records' own."""
        return ROOT / self.records_dir if self.records_dir else None


class TierParameters(RecordsParameters):
    """Parameters of a page that shows the records of a tier, by its name."""

    tier: Literal["laptop", "cifar", "paper"]


class TiersParameters(RecordsParameters):
    """Parameters of a page that shows the records of several tiers, each in a folder with its name."""

    inside = ("laptop", "cifar", "language", "paper")


def read_parameters(
    namespace: Mapping[str, Any], model: type[Model], *, besides: Mapping[str, type] = MappingProxyType({})
) -> Model:
    """Check a notebook's parameters against ``model``.

    Args:
        namespace: The notebook's ``globals()``. Names that are no fields are left alone, so a notebook may be rerun
            interactively; ``In``, IPython's list of cells, shows what papermill injected.
        model: The parameters, with their types and ranges.
        besides: Parameters of the notebook that are no fields of ``model``, with their types.

    Returns:
        The validated model.

    Raises:
        InputError: a name that papermill injected is no parameter, or a value is not what its field expects.
    """
    known = [*model.model_fields, *besides]
    unknown = [name for name in _injected_names(namespace.get("In", [])) if name not in known]
    if unknown:
        faults = [f"{name}: there is no such parameter{did_you_mean(name, known)}" for name in unknown]
        raise InputError(f"bad parameters: {'; '.join(faults)}; known: {', '.join(known)}")
    for name, kind in besides.items():
        if not isinstance(namespace[name], kind):
            raise InputError(f"bad parameters: {name}: expected {kind.__name__}, found {namespace[name]!r}")
    return validated(model, {name: namespace[name] for name in model.model_fields if name in namespace})


def _injected_names(cells: Sequence[str]) -> list[str]:
    """Names assigned in the cells that papermill injected into this session."""
    names: list[str] = []
    for cell in cells:
        if cell.lstrip().startswith(_INJECTED):
            for statement in ast.parse(cell).body:
                targets = statement.targets if isinstance(statement, ast.Assign) else []
                names += [target.id for target in targets if isinstance(target, ast.Name)]
    return names


def show(table: pd.DataFrame, *, digits: int = 3) -> HTML:
    """A table as a page shows it: no index, and numbers with ``digits`` digits after the point."""
    table = table.rename_axis(columns=None)  # pandas would give a name of all columns an empty column of its own
    wide = "claims" if "claim" in table else None  # a sentence in the first column
    html = table.to_html(classes=wide, index=False, border=0, float_format=lambda number: f"{number:.{digits}f}")
    return HTML(html.replace(" %", "\N{NO-BREAK SPACE}%"))  # else a narrow column has a line for the sign alone

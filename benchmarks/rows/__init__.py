"""The rows of the suite. A new one is one file here and one name in ``RowName``; it is a function Settings -> Found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from benchmarks.results import Comparison

RowName = Literal["training_rate", "ceiling", "weightings", "exits", "streaming", "scaling", "memory"]
ROWS: tuple[RowName, ...] = get_args(RowName)
"""Modules of this package, each with a function ``measure``."""


@dataclass(frozen=True)
class Found:
    """What a row measured.

    Attributes:
        comparisons: By name.
        facts: Further numbers; their names end in their unit.
    """

    comparisons: dict[str, Comparison]
    facts: dict[str, float] = field(default_factory=dict)

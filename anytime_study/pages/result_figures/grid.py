"""How panels are spread over a figure."""

from __future__ import annotations

import math

_ABREAST = 3  # more of them would be set too small to read on a page


def lines_and_columns(panels: int) -> tuple[int, int]:
    """Up to three panels stand in one line, more of them in lines of two."""
    columns = panels if panels <= _ABREAST else 2
    return math.ceil(panels / columns), columns

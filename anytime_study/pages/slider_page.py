"""The book's budget slider in a page: its data as a file and as a script. Loads no torch.

The element itself is book/_assets/budget-slider.js. Browsers read no JSON beside a page that was opened from disk, so
the data are a script that sets ``window.budgetSliderData``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anytime_core.errors import InputError
from anytime_core.files import atomic_write

ELEMENT = '<div class="budget-slider"><p>This element needs JavaScript.</p></div>'


def save_payload(payload: Mapping[str, Any], path: Path) -> None:
    """Keep a payload."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(payload, separators=(",", ":"), allow_nan=False) + "\n")


def load_payload(path: Path) -> dict[str, Any]:
    """Read a payload.

    Raises:
        InputError: it cannot be read, or is not one.
    """
    try:
        payload = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"data: {path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"data: {path}: expected JSON, found {error}") from None
    if not isinstance(payload, dict) or not {"networks", "images", "candidates"} <= payload.keys():
        raise InputError(f"data: {path}: expected networks, images and candidates, found another file")
    return payload


def slider_script(payload: Mapping[str, Any]) -> str:
    """The script that carries the data. It may stand in a page: no text in it can end a script element."""
    text = json.dumps(payload, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    return f"window.budgetSliderData = {text};\n"


def slider_html(data: str, style: str, code: str) -> str:
    """The element with all it needs inside: it works in a notebook and in a page at any depth.

    Args:
        data: From :func:`slider_script`.
        style: Text of budget-slider.css.
        code: Text of budget-slider.js.
    """
    return f"<style>\n{style}</style>\n{ELEMENT}\n<script>\n{data}</script>\n<script>\n{code}</script>\n"

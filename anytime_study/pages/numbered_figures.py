"""Figures of a published notebook: each under its caption, with a name that no other page has.

The cell that draws a figure has ``mystnb: {image: {alt: …}, figure: {caption: …, name: fig-<notebook>-<what>}}`` in
its metadata. MyST-NB sets the caption under *every* output of the cell and gives each the name, and a figure that was
not drawn, for want of runs, would leave references to it without an end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

NOT_DRAWN = "Not drawn: what it shows has not been run or measured."
"""The caption of a figure whose cell drew nothing."""

_GLUED = "application/papermill.record/"  # how the types of values begin that are glued, and not displayed


def figure_of(cell: Any) -> dict[str, str] | None:
    """Caption and name in a cell's metadata; None where it has none."""
    return cell.metadata.get("mystnb", {}).get("figure")


def crowded(cell: Any) -> str | None:
    """What is wrong with a cell that shows something beside its figure; None if nothing is."""
    shown = _shown(cell) if figure_of(cell) else []
    return f"shows {len(shown)} things under one caption; give each a cell of its own" if len(shown) > 1 else None


def settle_figures(notebook: Any, page: str) -> None:
    """Keep a place and a number for figures that were not drawn, and name all figures after the page.

    Args:
        notebook: As papermill wrote it, in nbformat 4; it is changed.
        page: The page's name. Several pages can be runs of one notebook; what it calls ``fig-<notebook>-…`` is
            ``fig-<page>-…`` on the page.
    """
    import nbformat

    for cell in notebook.cells:
        figure = figure_of(cell)
        if figure is None or any(mime.startswith("image/") for output in _shown(cell) for mime in output.data):
            continue
        figure["caption"] = NOT_DRAWN
        if not _shown(cell):
            cell.outputs.append(nbformat.v4.new_output("display_data", {"text/markdown": "*Nothing to draw yet.*"}))

    source = notebook.metadata.get("papermill", {}).get("input_path") or page
    old, new = (f"fig-{Path(name).stem.replace('_', '-')}-" for name in (source, page))
    if old == new:
        return
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace(old, new)
        elif figure := figure_of(cell):
            figure.update({key: text.replace(old, new) for key, text in figure.items()})


def _shown(cell: Any) -> list[Any]:
    """Outputs that MyST-NB sets under a caption: neither streams nor what is only glued."""
    shown = [output for output in cell.outputs if output.output_type in ("display_data", "execute_result")]
    return [output for output in shown if not all(mime.startswith(_GLUED) for mime in output.data)]

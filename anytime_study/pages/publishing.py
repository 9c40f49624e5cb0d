"""From a notebook that papermill has run to a page of the book.

The book never executes anything: papermill runs a notebook and stops where a cell fails, :func:`publish` makes a page
of it, Jupyter Book lays the page out. Times and random names are dropped: same results, same bytes.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

from anytime_core.files import atomic_write

NOT_DRAWN = "Not drawn: what it shows has not been run or measured."
"""The caption of a figure whose cell drew nothing."""

_GLUED = "application/papermill.record/"  # how the types of values begin that are glued, and not displayed
_SILENCE = {"text/plain": "<IPython.core.display.Markdown object>"}  # Markdown(""): a sentence with nothing to say
_HEADING = re.compile(r"^#[ \t]+.*$", re.MULTILINE)
ORIGIN_BEGINS, ORIGIN_ENDS = '<details class="origin"><summary>Where the numbers come from</summary>', "</details>"
"""Around what a cell tells of its runs, in Markdown. On a page all of it is in one fold at the end."""

_ORIGIN = re.compile(rf"\n*{re.escape(ORIGIN_BEGINS)}(.*?){re.escape(ORIGIN_ENDS)}\n*", re.DOTALL)
_FOLD = """\
```{{admonition}} Where the numbers come from
:class: dropdown origin
{origin}
```"""
_AGAIN = """\
```{{admonition}} Make this page again
:class: seealso
In the checkout, with other values if you like:

~~~bash
{command}
~~~
```"""


class PublishError(RuntimeError):
    """A notebook that must not become a page. The message names the notebook, the cell and the reason."""


def publish(executed: Path, page: Path, *, title: str) -> None:
    """Write the page of the book that belongs to a notebook that papermill has executed to its end.

    - Metadata of the run are dropped, ids and counts of cells begin anew.
    - The cell with the defaults is folded, and the one with the values that papermill injected after it.
    - A figure that was not drawn keeps its place and its number, so that references to it have an end.
    - Pictures get the classes ``wide`` and ``photograph`` where they are, for the style sheet.
    - What cells tell of their runs, between ``ORIGIN_BEGINS`` and ``ORIGIN_ENDS``, goes into one fold at the end.
    - A last cell gives the command that makes the page again, if its notebook was named by a relative path.

    Args:
        executed: The notebook that papermill wrote. It is only read.
        page: Where the page goes; an existing page is replaced.
        title: New text of the first heading.

    Raises:
        PublishError: a cell complained, or shows more than its figure under one caption.
    """
    import nbformat

    notebook = nbformat.read(executed, as_version=4)
    run = notebook.metadata.pop("papermill", {})
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type != "code" or cell.source.strip()]
    origins: list[str] = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            if fault := _fault(cell):
                raise PublishError(
                    f"{executed}: cell {number + 1} (`{cell.source.strip().splitlines()[0][:60]}`) {fault}"
                )
            origins += _take_origins(cell)
            _settle(cell, number)
        cell.metadata = {name: kept for name, kept in cell.metadata.items() if name in ("tags", "mystnb") and kept}
    first = next(cell for cell in notebook.cells if cell.cell_type == "markdown")
    first.source = _HEADING.sub(lambda _: f"# {title}", first.source, count=1)
    if origins:
        told = "\n\n".join(dict.fromkeys(origins))
        notebook.cells.append(nbformat.v4.new_markdown_cell(_FOLD.format(origin=told)))
    if command := rerun_command(run):
        notebook.cells.append(nbformat.v4.new_markdown_cell(_AGAIN.format(command=command)))
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    atomic_write(page, nbformat.writes(notebook).rstrip("\n") + "\n")


def rerun_command(run: dict[str, Any]) -> str | None:
    """The papermill line that makes a run again, for a shell in the checkout.

    Args:
        run: Metadata that papermill wrote.

    Returns:
        None if the run's notebook was not named by a relative path: readers do not have it.
    """
    from papermill.cli import _resolve_type  # what option -p makes of a text

    source = run.get("input_path") or ""
    if not source or Path(source).is_absolute():
        return None
    words = ["papermill", source, "out.ipynb"]
    for name, value in run.get("parameters", {}).items():
        simple = repr(_resolve_type(str(value))) == repr(value)
        words += ["-p", name, str(value)] if simple else ["-y", json.dumps({name: value})]
    return shlex.join(words)


def _fault(cell: Any) -> str | None:
    """Why a cell must not be shown; None if nothing speaks against it."""
    if noise := "".join(output.text for output in cell.outputs if output.get("name") == "stderr").strip():
        return f"wrote to stderr: {noise[:200]}"
    if "figure" in cell.metadata.get("mystnb", {}) and (count := len(_shown(cell))) > 1:
        return f"shows {count} things under one caption; give each a cell of its own"
    return None


def _take_origins(cell: Any) -> list[str]:
    """What a cell tells of its runs; the cell loses it."""
    found: list[str] = []
    for output in cell.outputs:
        text = output.get("data", {}).get("text/markdown", "")
        if told := _ORIGIN.findall(text):
            found += [one.strip() for one in told]
            output.data["text/markdown"] = _ORIGIN.sub("\n\n", text).strip()
    return found


_WIDE = 450
"""Points. A broader picture would have unreadable text on a phone if it were made as narrow as that."""


def _picture_classes(cell: Any) -> list[str]:
    """``wide`` for what scrolls on a phone, ``photograph`` for what keeps its colours in the dark."""
    pictures = [output.data for output in cell.outputs if "data" in output]
    drawn = "".join(data.get("image/svg+xml", "") for data in pictures)
    width = re.search(r'<svg\b[^>]*\bwidth="([\d.]+)pt"', drawn)
    raster = "<image " in drawn or any(kind in data for data in pictures for kind in ("image/png", "image/jpeg"))
    return ["wide"] * bool(width and float(width[1]) > _WIDE) + ["photograph"] * raster


def _settle(cell: Any, number: int) -> None:
    """Leave of a cell what depends on its results alone."""
    import nbformat

    cell.execution_count = number + 1
    kept: list[Any] = []
    for output in cell.outputs:
        if output.get("name") == "stderr" or output.get("data") in ({}, _SILENCE, {"text/markdown": "", **_SILENCE}):
            continue
        if output.output_type == "stream" and kept and kept[-1].output_type == "stream":
            kept[-1].text += output.text  # where a stream is cut depends on when it was flushed
            continue
        if "execution_count" in output:
            output.execution_count = number + 1
        kept.append(output)
    cell.outputs = kept
    tags = cell.metadata.get("tags", [])
    if {"parameters", "injected-parameters"} & set(tags) and "hide-input" not in tags:
        cell.metadata["tags"] = [*tags, "hide-input"]
    if classes := _picture_classes(cell):
        cell.metadata.setdefault("mystnb", {}).setdefault("image", {})["classes"] = " ".join(classes)
    figure = cell.metadata.get("mystnb", {}).get("figure")
    if figure and not any(mime.startswith("image/") for output in _shown(cell) for mime in output.data):
        figure["caption"] = NOT_DRAWN
        if not _shown(cell):
            cell.outputs.append(nbformat.v4.new_output("display_data", {"text/markdown": "*Nothing to draw yet.*"}))


def _shown(cell: Any) -> list[Any]:
    """Outputs that MyST-NB sets under a caption: neither streams nor what is only glued."""
    shown = [output for output in cell.outputs if "data" in output]
    return [output for output in shown if not all(mime.startswith(_GLUED) for mime in output.data)]

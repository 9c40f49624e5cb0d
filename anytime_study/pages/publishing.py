"""From a notebook that papermill has run to a page of the book.

The book never executes anything: papermill runs a notebook, :func:`publish` turns the result into a page, Jupyter
Book lays the page out. In between two things must hold, and this module is where they are made to hold:

- **Nothing doubtful is shown.** A run that failed, stopped half-way or complained on stderr is refused
  (:class:`PublishError`), because Jupyter Book would show it without a word: with execution "off" it renders an
  unexecuted cell as an empty one.
- **Same results, same bytes.** Everything that differs between two runs with the same results (times of day,
  durations, random cell ids, memory addresses, where a buffer happened to be flushed) is dropped, so a changed page
  means a changed result. Pictures are not rewritten: a notebook that shows SVG must itself set ``svg.hashsalt`` and
  leave out the date (PNG has neither trouble).

nbformat is imported inside the functions, so that importing the package
does not need it.
"""

import ast
import re
from pathlib import Path
from typing import Any

from anytime_core.files import atomic_write
from anytime_study.pages.numbered_figures import crowded, settle_figures
from anytime_study.pages.rerunning import again

VALUES_COMMENT = "# Values used for this page"
"""First line of the cell with a run's parameters, instead of papermill's ``# Parameters``."""

_BANNER_TAG = "papermill-error-cell-tag"  # the red cells that papermill adds to a failed notebook
_VOLATILE_CELL_METADATA = ("papermill", "execution", "ExecuteTime")  # durations, statuses, times of each message
_VOLATILE_NOTEBOOK_METADATA = ("papermill", "widgets")  # paths, versions and times of the run; random widget ids
_KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
_WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
# What tqdm writes: "name:  40%|####      | 4/10 [00:03<00:04, 1.3it/s]", or "4it [00:03, 1.3it/s]" without a known end.
# Only the bar itself: a warning raised inside the loop follows on the same line and must not pass as part of it.
_PROGRESS = re.compile(r".*?(?:\d+%\|.*?|\d+ ?\w* )\[(?:\d+:)+\d+[^\]]*\]")
_LINE_END = re.compile(r"[\r\n]+")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_STYLER = re.compile(r'id="T_([0-9a-f]{5})"')  # pandas gives every styled table a random id
_NOTHING_SAID = "<IPython.core.display.Markdown object>"
_HEADING = re.compile(r"^#[ \t]+.*$", re.MULTILINE)


class PublishError(RuntimeError):
    """A notebook that must not become a page. The message names the notebook, the cell and the reason."""


def publish(executed: Path, page: Path, *, title: str | None = None) -> None:
    """Write the page of the book that belongs to a notebook executed by papermill.

    Two runs with the same results give byte-identical pages. What is changed, and why:

    - papermill's metadata and the time stamps of every cell are dropped: they differ in every run;
    - cell ids become ``cell-0``, ``cell-1``, …: papermill gives its own cell a random id;
    - execution counts become 1 … n, and kernel and language are reduced to their names: both depend on the machine;
    - code cells without source and outputs without content are dropped: they would show as empty boxes;
    - progress bars on stderr are dropped (any other text there is refused), and neighbouring pieces of stdout are
      joined: where a stream is cut depends on when it was flushed;
    - `` at 0x7f…`` is cut out of plain-text outputs: a memory address says nothing and is new every time;
    - the random ids of tables styled by pandas are numbered;
    - figures keep their places and are named after the page: :mod:`anytime_study.pages.numbered_figures`;
    - the cell tagged ``parameters`` (the notebook's defaults) is folded (tag ``hide-input``) if papermill injected
      values after it; that injected cell stays open, keeps its tag ``injected-parameters``, and begins with
      :data:`VALUES_COMMENT`. Without injected values the defaults *are* the values used, and stay open;
    - a last cell gives the command that makes the page again, if its notebook was named by a relative path.

    The page is written whole or not at all (temporary file beside it, then a rename). Missing parent folders are made.

    Args:
        executed: The notebook that papermill wrote. It is only read.
        page: Where the page goes; an existing page is replaced.
        title: New text of the level-1 heading in the first markdown cell. Many runs of one notebook share its
            heading, which would stand n times in the book's contents. None keeps the notebook's own.

    Raises:
        PublishError: If the file is no notebook; was not run by papermill, failed, or did not finish; has a code cell
            with source that was not executed, an error output, a widget, text on stderr that is no progress bar, or
            more than a figure under one caption; or if ``title`` is given and the first markdown cell has no level-1
            heading to carry it.
        OSError: If ``executed`` cannot be read or ``page`` cannot be written.
    """
    import nbformat

    executed, page = Path(executed), Path(page)
    try:
        notebook = nbformat.v4.upgrade(nbformat.read(executed, as_version=4))
    except (ValueError, nbformat.ValidationError, AttributeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise PublishError(f"{executed}: not a readable notebook ({reason})") from error

    _refuse_unfinished(notebook, executed)
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type != "code" or cell.source.strip()]
    count = 0
    for cell in notebook.cells:
        for key in _VOLATILE_CELL_METADATA:
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]  # papermill adds an empty list to every cell
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = _clean_outputs(cell.outputs, count)
    _mark_parameters(notebook)
    settle_figures(notebook, page.stem)
    if text := again(notebook):
        notebook.cells.append(nbformat.v4.new_markdown_cell(text))
    if title is not None:
        _set_title(notebook, title, executed)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    for key in _VOLATILE_NOTEBOOK_METADATA:
        notebook.metadata.pop(key, None)
    notebook.metadata["kernelspec"] = dict(_KERNELSPEC)
    notebook.metadata["language_info"] = {"name": "python"}

    atomic_write(page, nbformat.writes(notebook).rstrip("\n") + "\n")


def page_parameters(page: Path) -> dict[str, Any]:
    """Read back the parameters that papermill injected into a run: what this page was made with.

    Works on a published page and on papermill's own output. Values are literals, as papermill writes them;
    ``float('nan')`` and ``float('±inf')``, its spelling of the three numbers that are none, are understood too.

    Args:
        page: The notebook file.

    Returns:
        Name -> value in the order of the cell; empty if nothing was injected.

    Raises:
        PublishError: If an injected line is not of the form ``name = literal``.
    """
    import nbformat

    notebook = nbformat.read(Path(page), as_version=4)
    values: dict[str, Any] = {}
    for cell in notebook.cells:
        if "injected-parameters" not in cell.metadata.get("tags", []):
            continue
        for line in ast.parse(cell.source).body:
            text = ast.unparse(line)
            match line:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    values[name] = _literal(value, f"{page}: injected parameter `{text}` is not a literal")
                case _:
                    raise PublishError(f"{page}: injected line `{text}` is not of the form `name = literal`")
    return values


def _literal(value: ast.expr, complaint: str) -> Any:
    """Evaluate a literal, or ``float('nan' | 'inf' | '-inf')``; raise PublishError(complaint) for anything else."""
    try:
        match value:
            case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str(text))], keywords=[]):
                return float(text)
        return ast.literal_eval(value)
    except ValueError as error:
        raise PublishError(complaint) from error


def _refuse_unfinished(notebook: Any, executed: Path) -> None:
    """Raise PublishError at the first sign that this run is not a whole, quiet, successful one."""
    numbered = [cell for cell in notebook.cells if _BANNER_TAG not in cell.metadata.get("tags", [])]
    # Errors first: in a failed notebook the cells after the failure are unexecuted too, but are not the news.
    for reason_of in (_error_in, _omission_in, _noise_in, crowded):
        for number, cell in enumerate(numbered, start=1):
            reason = reason_of(cell) if cell.cell_type == "code" else None
            if reason:
                first = next((line for line in cell.source.splitlines() if line.strip()), "")[:60]
                raise PublishError(f"{executed}: cell {number} of {len(numbered)} (`{first}`) {reason}")
    run = notebook.metadata.get("papermill")
    if not run:
        raise PublishError(f"{executed}: no papermill metadata; only a notebook executed by papermill becomes a page")
    if run.get("exception") or len(numbered) < len(notebook.cells):
        raise PublishError(f"{executed}: papermill recorded an exception in this run")
    if not run.get("end_time"):
        raise PublishError(f"{executed}: papermill did not finish this run (no end time is recorded)")


def _error_in(cell: Any) -> str | None:
    for output in cell.outputs:
        if output.output_type == "error":
            return f"failed with {output.ename}: {_ANSI.sub('', output.evalue)}"
    if cell.metadata.get("papermill", {}).get("exception"):
        return "failed, as papermill recorded"
    return None


def _omission_in(cell: Any) -> str | None:
    if not cell.source.strip():
        return None  # an empty cell has nothing to execute; it is left out of the page
    if cell.execution_count is None:
        return "was not executed"
    status = cell.metadata.get("papermill", {}).get("status", "completed")
    return None if status == "completed" else f"was not executed to its end (papermill's status: {status})"


def _noise_in(cell: Any) -> str | None:
    # The kernel cuts a stream anywhere, so a line can only be judged once the pieces are together again.
    text = "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stderr")
    for line in _LINE_END.split(_ANSI.sub("", text)):
        rest = _PROGRESS.sub("", line, count=1).strip()
        if rest:
            return f"wrote to stderr: {rest[:200]}"
    if any(_WIDGET_MIME in o.get("data", {}) for o in cell.outputs):
        return "shows a Jupyter widget, which a page cannot hold (is ipywidgets installed? print instead)"
    return None


def _clean_outputs(outputs: list[Any], execution_count: int) -> list[Any]:
    """Drop stderr (by now only progress bars) and empty outputs, join stdout; take out what is random in the rest."""
    kept: list[Any] = []
    for output in outputs:
        if output.output_type == "stream":
            if output.name == "stderr" or not output.text:
                continue
            if kept and kept[-1].output_type == "stream":
                kept[-1].text += output.text
            else:
                kept.append(output)
        elif output.get("data") and not _is_empty_text(output.data):
            if output.output_type == "execute_result":
                output.execution_count = execution_count
            kept.append(output)
    for number, output in enumerate(kept):
        if output.output_type == "stream":
            output.text = _ADDRESS.sub("", output.text)
            continue
        for mime, content in output.data.items():  # `glue` puts a prefix before the type, hence endswith
            if mime.endswith("text/plain"):
                output.data[mime] = _ADDRESS.sub("", content)
            elif mime.endswith("text/html"):
                for table, random_id in enumerate(dict.fromkeys(_STYLER.findall(content))):
                    content = content.replace(f"T_{random_id}", f"T_{execution_count}_{number}_{table}")
                output.data[mime] = content
    return kept


def _is_empty_text(data: Any) -> bool:
    """Whether this is ``Markdown("")``: a computed sentence that has nothing to say would show as its Python name."""
    return not data.get("text/markdown", "-").strip() or dict(data) == {"text/plain": _NOTHING_SAID}


def _mark_parameters(notebook: Any) -> None:
    """Fold the defaults and open the injected values; leave the defaults open where nothing was injected."""
    injected = [cell for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    for cell in injected:
        cell.source = re.sub(r"\A# Parameters[ \t]*$", VALUES_COMMENT, cell.source, count=1, flags=re.MULTILINE)
        cell.metadata["tags"] = [t for t in cell.metadata["tags"] if t not in {"hide-input", "hide-cell"}]
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if injected and "parameters" in tags and "hide-input" not in tags:
            cell.metadata["tags"] = [*tags, "hide-input"]


def _set_title(notebook: Any, title: str, executed: Path) -> None:
    first = next((cell for cell in notebook.cells if cell.cell_type == "markdown"), None)
    if first is None or not _HEADING.search(first.source):
        raise PublishError(f"{executed}: a title was given, but the first markdown cell has no `# heading` to carry it")
    heading = "# " + " ".join(title.split())
    first.source = _HEADING.sub(lambda _: heading, first.source, count=1)


if __name__ == "__main__":  # for the workflow: `anytime publish` loads PyTorch, which takes longer than publishing
    import tyro

    try:
        tyro.cli(publish)
    except PublishError as problem:
        raise SystemExit(f"anytime: {problem}") from None

"""Slides, printable sheets and the key: ``book/slides`` and ``book/sheets`` become pages beside the book's.

Slides are made by sphinx-revealjs, which brings reveal.js, and sheets by Sphinx's own HTML. Both show the book's
figures as they are in its executed notebooks, and say results in the book's words, so nothing is typed twice.
"""

from __future__ import annotations

import ast
import base64
import html
import json
import re
import shutil
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole, docutils_namespace

from anytime_core.errors import InputError
from anytime_study.pages.printing import printed, tab_without_network
from anytime_study.studies.study import ROOT

STATIC = ROOT / "_build/html/_static"
PRINTED = ROOT / "_build/teaching"
_THEME = "white"
_WAIT = "() => new Promise((laid_out) => setTimeout(laid_out, 500))"
_SVG = "image/svg+xml"
# The speaker's window copies notes without the page's styles, and would show each formula a second time.
_ONE_FORMULA = "<style>.speaker-controls-notes mjx-assistive-mml { display: none }</style>"


def figure_of(page: str, name: str, results: Path = ROOT / "book/results") -> tuple[str, str]:
    """A figure of an executed page: its address with all that is in it, and its alt text.

    Args:
        page: The page, without folder and suffix.
        name: The figure's name, without ``fig-``.
        results: Where executed pages are.

    Raises:
        InputError: there is no such figure.
    """
    for cell in _cells(page, results):
        told = cell.get("metadata", {}).get("mystnb", {})
        if told.get("figure", {}).get("name") == f"fig-{name}":
            drawn = {kind: data for output in cell["outputs"] for kind, data in output.get("data", {}).items()}
            if svg := "".join(drawn.get(_SVG, "")):
                return f"data:{_SVG};base64,{base64.b64encode(svg.encode()).decode()}", told["image"]["alt"]
    raise InputError(f"figure: expected one of {page}, found {name!r}")


def sentence_of(page: str, key: str, results: Path = ROOT / "book/results") -> str:
    """What an executed page says of its results, by the name under which it is glued.

    Raises:
        InputError: nothing is glued under this name.
    """
    for cell in _cells(page, results):
        for output in cell.get("outputs", []):
            if output.get("metadata", {}).get("scrapbook", {}).get("name") == key:
                (text,) = output["data"].values()
                return str(ast.literal_eval("".join(text)))
    raise InputError(f"sentence: expected one of {page}, found {key!r}")


def _cells(page: str, results: Path) -> list[dict[str, Any]]:
    return json.loads((results / f"{page}.ipynb").read_text(encoding="utf-8"))["cells"]


class BookFigure(SphinxDirective):
    """``{book-figure} PAGE NAME``: a figure of the book, without its caption."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        """The figure, in the page itself."""
        source, alt = figure_of(*self.arguments)
        return [nodes.raw("", f'<img class="book-figure" src="{source}" alt="{html.escape(alt)}">', format="html")]


class Notes(SphinxDirective):
    """``{notes} MINUTES``: what the speaker sees."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        """The notes, in reveal.js's element."""
        said = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, said)
        minutes = nodes.paragraph("", "", nodes.strong("", self.arguments[0]))
        return [_raw(f'<aside class="notes">{_ONE_FORMULA}'), minutes, *said.children, _raw("</aside>")]


class FromBook(SphinxRole):
    """``{from-book}`PAGE::KEY```: a sentence that a page of results has computed."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """The sentence."""
        page, _, key = self.text.partition("::")
        return [nodes.Text(sentence_of(page, key))], []


class Lines(SphinxDirective):
    """``{lines} COUNT``: ruled lines to write on."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The lines."""
        return [_raw('<div class="line-to-write"></div>' * int(self.arguments[0]))]


def _raw(text: str) -> nodes.Node:
    return nodes.raw("", text, format="html")


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directives and the role."""
    app.add_directive("book-figure", BookFigure)
    app.add_directive("lines", Lines)
    app.add_directive("notes", Notes)
    app.add_role("from-book", FromBook())
    return {"version": "1", "parallel_read_safe": True}


def build(out: Path = STATIC) -> None:
    """Make slides and sheets.

    Args:
        out: Folder of ``slides`` and ``sheets``; the book's assets lie beside them.

    Raises:
        InputError: Sphinx had something to complain about.
    """
    for name, builder in (("slides", "revealjs"), ("sheets", "html")):
        styles = {f"{builder}_css_files": [f"{name}.css"], f"{builder}_static_path": ["_assets"]}
        _sphinx(name, builder, out / name, styles)
    _drop_unused(out / "slides/_static/revealjs")


def _drop_unused(reveal: Path) -> None:
    """Of reveal.js keep what slides load: other themes would ask the network for fonts, other plugins are large."""
    for style in (reveal / "dist/theme").glob("*.css"):
        if style.name != f"{_THEME}.css":
            style.unlink()
    for plugin in (reveal / "plugin").iterdir():
        if plugin.name != "notes":
            shutil.rmtree(plugin)
    for unread in (*reveal.rglob("*.map"), *reveal.rglob("*.esm.js")):
        unread.unlink()


def _sphinx(name: str, builder: str, out: Path, more: dict[str, Any]) -> None:
    book = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]
    complaints = StringIO()
    config = {
        "project": name.capitalize(),
        "extensions": ["myst_parser", "sphinx.ext.mathjax", "sphinx_revealjs", __name__, "anytime_study.pages.quiz"],
        "myst_enable_extensions": ["amsmath", "colon_fence", "dollarmath"],
        "suppress_warnings": ["myst.header"],
        "mathjax_path": "../../mathjax/tex-svg-full.js",  # from _static of slides or sheets to that of the book
        "mathjax3_config": book["mathjax3_config"],
        "html_theme": "basic",
        "html_sidebars": {"**": []},
        "html_copy_source": False,
        "html_use_index": False,
        "html_show_sphinx": False,
        "html_permalinks": False,
        "root_doc": "index",
        "revealjs_style_theme": _THEME,
        "revealjs_script_plugins": [{"name": "RevealNotes", "src": "revealjs/plugin/notes/notes.js"}],
        "revealjs_script_conf": {
            "hash": True,
            "center": False,
            "slideNumber": "c/t",
            "transition": "none",
            "width": 1200,
            "height": 700,
            "margin": 0.05,
            "pdfSeparateFragments": False,
        },
        **more,
    }
    source = ROOT / "book" / name
    trees = ROOT / "build/doctrees" / name
    shutil.rmtree(out, ignore_errors=True)
    with docutils_namespace():
        app = Sphinx(
            *(str(source), None, str(out), str(trees), builder),
            confoverrides=config,
            status=None,
            warning=complaints,
            freshenv=True,
        )
        app.build(force_all=True)
    if text := re.sub(r"\x1b\[[\d;]*m", "", complaints.getvalue()):  # without colours
        raise InputError(f"{name}: expected no warning of Sphinx, found:\n{text}")


def names_of(folder: str) -> list[str]:
    """The pages of slides or sheets, in order; the first page, which lists them, is not among them."""
    return sorted(path.stem for path in (ROOT / "book" / folder).glob("*.md") if path.stem != "index")


def print_all(made: Path = STATIC, out: Path = PRINTED) -> None:
    """Print every session's slides, once with the speaker's notes, and every sheet, as PDF.

    Args:
        made: What ``build`` made.
        out: The folder for the files.
    """
    from pypdf import PdfReader, PdfWriter

    out.mkdir(parents=True, exist_ok=True)
    with tab_without_network() as tab:
        for name in names_of("slides"):
            for suffix, query in (("", "?print-pdf"), ("_notes", "?print-pdf&showNotes=separate-page")):
                page = made / f"slides/{name}.html"
                # reveal.js lays its pages out
                pdf = printed(tab, page, query=query, prepare=_WAIT, prefer_css_page_size=True)
                with PdfWriter() as file:
                    for sheet in PdfReader(BytesIO(pdf)).pages:
                        if sheet.extract_text().strip() or "/XObject" in (sheet.get("/Resources") or {}):
                            file.add_page(sheet)
                    file.write(out / f"{name}{suffix}.pdf")
        for name in names_of("sheets"):
            (out / f"{name}.pdf").write_bytes(printed(tab, made / f"sheets/{name}.html"))


def main(*, pdf: bool = False) -> None:
    """Make slides and sheets; with ``--pdf`` print them too.

    Args:
        pdf: Print them with Chromium.
    """
    build()
    if pdf:
        print_all()


if __name__ == "__main__":
    import tyro

    try:
        tyro.cli(main, prog="python -m anytime_study.pages.teaching")
    except InputError as problem:
        raise SystemExit(f"anytime: {problem}") from None

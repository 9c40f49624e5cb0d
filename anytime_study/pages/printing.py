"""The built book on paper: ``make pdf`` prints every page with Chromium and joins them to one file.

Jupyter Book's own ``pdfhtml`` cannot do it: MyST-NB has no single-page output for cells that hide their code, and
Playwright would download a Chromium of its own. Style for paper is in ``book/_assets/print.css``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import yaml

from anytime_core.errors import InputError
from anytime_study.studies.study import ROOT

# Without a screen, without a sandbox (root in a container has none), without a word to anyone.
CHROMIUM_ARGUMENTS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
MATHEMATICS_SET = "() => window.MathJax?.startup?.promise?.then(() => true) ?? true"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Links to other files would name folders of this machine. Folded solutions are opened, or stay unprinted.
_PREPARE = """(solutions) => {
  document.querySelectorAll("a[href]").forEach((link) =>
    link.protocol === "file:" && link.pathname !== location.pathname && link.removeAttribute("href"));
  document.querySelectorAll("img[loading]").forEach((picture) => { picture.loading = "eager"; });
  document.querySelectorAll("article .dropdown").forEach((folded) =>
    solutions ? folded.classList.remove("toggle-hidden") : folded.classList.contains("solution") && folded.remove());
}"""
_FOOTER = (
    '<p style="width: 100%; font-size: 8pt; text-align: center">'
    '<span class="title"></span> · <span class="pageNumber"></span></p>'
)


def find_chromium() -> str:
    """The installed Chromium or Chrome.

    Raises:
        InputError: there is none.
    """
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    raise InputError(f"browser: expected one of {', '.join(_NAMES)}, found none; on Debian: apt-get install chromium")


def pages_of(toc: Path) -> list[str]:
    """The pages of a table of contents in order, without suffix; its sections, the reference's, are for the screen."""
    told = yaml.safe_load(toc.read_text(encoding="utf-8"))
    return [told["root"], *(chapter["file"] for part in told["parts"] for chapter in part["chapters"])]


def print_book(
    html: Path = ROOT / "_build/html",
    out: Path = ROOT / "_build/book.pdf",
    *,
    pages: tuple[str, ...] = (),
    solutions: bool = False,
) -> None:
    """Print the built book to one PDF with an outline.

    Args:
        html: The folder with the built book.
        out: The file to write.
        pages: Print these alone, as the table of contents names them; all of them if empty.
        solutions: Print the solutions of exercises too.

    Raises:
        InputError: a page is not built, or there is no Chromium.
    """
    from pypdf import PdfWriter

    pages = pages or tuple(pages_of(ROOT / "_toc.yml"))
    files = [html / f"{page}.html" for page in pages]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise InputError(f"pages: expected {', '.join(missing)}, found none; `make book` builds them")
    with PdfWriter() as book:
        for title, pdf in _printed(files, solutions=solutions):
            book.append(pdf, outline_item=title, import_outline=False)
        book.write(out)


def _printed(files: list[Path], *, solutions: bool) -> Iterator[tuple[str, BytesIO]]:
    """Title and PDF of each page, printed without a network."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGUMENTS)
        tab = browser.new_context(color_scheme="light", offline=True).new_page()
        tab.emulate_media(media="print")
        for file in files:
            tab.goto(file.resolve().as_uri(), wait_until="load")
            tab.wait_for_function(MATHEMATICS_SET, timeout=600_000)  # some pages have a thousand equations
            tab.evaluate(_PREPARE, solutions)
            pdf = tab.pdf(
                format="A4",
                margin={"top": "18mm", "bottom": "18mm", "left": "18mm", "right": "18mm"},
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=_FOOTER,
                print_background=True,
                tagged=True,  # for screen readers
            )
            yield tab.title().partition(" — ")[0], BytesIO(pdf)
        browser.close()


if __name__ == "__main__":
    import tyro

    try:
        tyro.cli(print_book, prog="python -m anytime_study.pages.printing")
    except InputError as problem:
        raise SystemExit(f"anytime: {problem}") from None

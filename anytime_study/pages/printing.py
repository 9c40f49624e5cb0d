"""Pages on paper: ``make pdf`` prints every page of the built book with Chromium and joins them to one file.

Jupyter Book's own ``pdfhtml`` cannot do it: MyST-NB has no single-page output for cells that hide their code, and
Playwright would download a Chromium of its own. Style for paper is in ``book/_assets/print.css``.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from anytime_core.errors import InputError
from anytime_study.studies.study import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Without a screen, without a sandbox (root in a container has none), without a word to anyone.
CHROMIUM_ARGUMENTS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
MATHEMATICS_SET = "() => window.MathJax?.startup?.promise?.then(() => true) ?? true"
_A4: dict[str, Any] = {"format": "A4", "margin": dict.fromkeys(("top", "bottom", "left", "right"), "18mm")}
# Links to other files would name folders of this machine. Folded solutions are opened, or stay unprinted.
_PREPARE = """(solutions) => {
  document.querySelectorAll("a[href]").forEach((link) =>
    link.protocol === "file:" && link.pathname !== location.pathname && link.removeAttribute("href"));
  document.querySelectorAll("img[loading]").forEach((picture) => { picture.loading = "eager"; });
  document.querySelectorAll("article .solution details").forEach((folded) => {
    folded.open = true;
    solutions ? (folded.closest(".solution").hidden = false) : folded.closest(".solution").remove();
  });
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
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    if found := next(filter(None, map(shutil.which, names)), None):
        return found
    raise InputError(f"browser: expected one of {', '.join(names)}, found none; on Debian: apt-get install chromium")


@contextmanager
def tab_without_network() -> Generator[Page]:
    """An empty tab of the installed Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGUMENTS)
        yield browser.new_context(color_scheme="light", offline=True).new_page()
        browser.close()


def printed(
    tab: Page, page: Path, *, query: str = "", prepare: str = "() => {}", told: Any = None, **paper: Any
) -> bytes:
    """A page as PDF, A4 if nothing else is said.

    Args:
        tab: Of :func:`tab_without_network`.
        page: An HTML file.
        query: Follows its address.
        prepare: JavaScript that is called with ``told`` before it is printed.
        paper: Options of Playwright's ``pdf``.
    """
    tab.goto(page.resolve().as_uri() + query, wait_until="load")
    tab.wait_for_function(MATHEMATICS_SET, timeout=600_000)  # some pages have a thousand equations
    tab.evaluate(prepare, told)
    return tab.pdf(print_background=True, **(paper or _A4))


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
    footer = {"display_header_footer": True, "header_template": "<span></span>", "footer_template": _FOOTER}
    with PdfWriter() as book, tab_without_network() as tab:
        tab.emulate_media(media="print")
        for file in files:
            pdf = BytesIO(printed(tab, file, prepare=_PREPARE, told=solutions, **_A4, **footer, tagged=True))
            book.append(pdf, outline_item=tab.title().partition(" — ")[0], import_outline=False)
        book.write(out)


if __name__ == "__main__":
    import tyro

    try:
        tyro.cli(print_book, prog="python -m anytime_study.pages.printing")
    except InputError as problem:
        raise SystemExit(f"anytime: {problem}") from None

"""The built book as one file for paper: `make pdf`.

Jupyter Book writes one page of HTML for each chapter. Here they become one document, in the order of the table of
contents, which Chromium sets and prints; so paper has the same figures and equations as the screen, and no second
engine has to agree with it. What paper cannot do is done otherwise:

- **Solutions** and the answers to self-checks are folded away on the screen. On paper they are the last chapter, and
  where they belong stands their page. Whoever hands out the book without solutions leaves that chapter out.
- **Code** that a chapter folds away is left out; code that it shows is printed.
- **Links** within the book lead to places in the file. Contents and references to solutions have page numbers.
- What can only be pressed (sidebar, buttons, the slider's controls) is not printed: ``book/_assets/print.css``.

Playwright, pypdf and Beautiful Soup are imported inside the functions, so that importing the package does not need
them.
"""

from __future__ import annotations

import logging
import posixpath
import re
import shutil
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import yaml

from anytime_core.foundations.files import write_whole

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

Outline = list[tuple[str, list[tuple[str, str]]]]

ROOT = Path(__file__).parents[2]

SOLUTIONS = "printed-solutions"
"""Where the chapter of solutions begins."""

# What runs Chromium without a screen, and keeps it from talking to anyone.
CHROMIUM_ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",  # root, as in a container, has no other way
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PACKAGES = ("bs4", "playwright", "pypdf")
_MINUTES = 10  # for some thousand equations on a slow machine
_FOOTER = '<div style="width: 100%; font-size: 8pt; text-align: center"><span class="pageNumber"></span></div>'
_MATHEMATICS_SET = "() => !window.MathJax || (window.MathJax.startup?.promise?.then(() => true) ?? false)"
_EMPTY_PICTURES = "() => [...document.images].filter((one) => !one.naturalWidth).map((one) => one.src.slice(0, 200))"
_FILL_IN = """(numbers) => document.querySelectorAll("[data-page-of]").forEach((place) => {
  place.textContent = numbers[place.dataset.pageOf] ?? "";
})"""
_NAMING = ("id", "for", "headers", "aria-labelledby", "aria-describedby", "aria-controls")  # attributes that hold ids


class PrintingError(RuntimeError):
    """The book cannot be printed. The message says what is missing and where it comes from."""


@dataclass(frozen=True)
class Part:
    """Some chapters under one heading.

    Attributes:
        caption: The heading; empty for the landing page.
        pages: The chapters, as the table of contents names them.
    """

    caption: str
    pages: list[str]


def parts_of(toc: Path) -> list[Part]:
    """The parts of the book in reading order; the first is the landing page alone."""
    told = yaml.safe_load(toc.read_text(encoding="utf-8"))
    parts = [Part(part["caption"], [chapter["file"] for chapter in part["chapters"]]) for part in told["parts"]]
    return [Part("", [told["root"]]), *parts]


def printable(
    html: Path, parts: Sequence[Part], *, title: str, authors: str, base: str = "html/"
) -> tuple[str, Outline]:
    """All chapters as one document of HTML, and its outline.

    Args:
        html: The folder with the built book.
        parts: What to print.
        title: Of the book.
        authors: Of the book.
        base: The address of that folder, seen from where the document will lie.

    Raises:
        PrintingError: a page is not built.
    """
    chapters = {page: _Chapter(page, html / f"{page}.html", base) for part in parts for page in part.pages}
    for chapter in chapters.values():
        chapter.settle(chapters)
    outline = [(part.caption, [(chapters[p].slug, chapters[p].title) for p in part.pages]) for part in parts]
    solved = [chapter for chapter in chapters.values() if chapter.solutions]
    if solved:
        outline.append(("", [(SOLUTIONS, "Solutions")]))
    everything = [str(chapter.article) for chapter in chapters.values()]
    if solved:
        everything.append(f'<article class="bd-article" id="{SOLUTIONS}"><h1>Solutions</h1>')
        for chapter in solved:
            everything += [f"<section><h2>{escape(chapter.title)}</h2>", *map(str, chapter.solutions), "</section>"]
        everything.append("</article>")
    contents = "\n".join(_contents(heading, entries) for heading, entries in outline)
    head = dict.fromkeys(line for chapter in chapters.values() for line in chapter.head)
    scripts = dict.fromkeys(line for chapter in chapters.values() for line in chapter.scripts)
    text = "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en" data-theme="light" data-mode="light">\n<head>\n<meta charset="utf-8">',
            f"<title>{escape(title)}</title>",
            *head,
            '</head>\n<body class="printed-book">\n<main class="bd-content">',
            f'<header><p class="printed-title">{escape(title)}</p><p>{escape(authors)}</p></header>',
            f'<nav class="printed-contents"><h2>Contents</h2>{contents}</nav>',
            *everything,
            "</main>",
            *scripts,
            "</body>\n</html>\n",
        ]
    )
    return text, outline


def _contents(heading: str, entries: Iterable[tuple[str, str]]) -> str:
    lines = (
        f'<li><a href="#{place}">{escape(title)}</a> <span data-page-of="{place}">000</span></li>'
        for place, title in entries
    )
    return (f"<p>{escape(heading)}</p>" if heading else "") + f"<ul>{''.join(lines)}</ul>"


@dataclass
class _Chapter:
    """One page of the built book on its way to paper."""

    page: str
    path: Path
    base: str
    solutions: list[Tag] = field(default_factory=list)

    def __post_init__(self) -> None:
        from bs4 import BeautifulSoup

        if not self.path.is_file():
            raise PrintingError(f"{self.path} is not there; `make book` builds it")
        soup = BeautifulSoup(self.path.read_text(encoding="utf-8"), "html.parser")
        article = soup.select_one("article.bd-article")
        heading = article.find("h1") if article else None
        if article is None or heading is None:
            raise PrintingError(f"{self.path}: expected an article with a heading, found none; `make book` builds it")
        self.article = article
        self.slug = self.page.removeprefix("book/").replace("/", "-")
        for link in article.select("a.headerlink"):
            link.decompose()
        self.title = " ".join(heading.get_text().split())
        self.head = list(self._head_of(soup))
        self.scripts = list(self._scripts_of(article))

    def settle(self, chapters: dict[str, _Chapter]) -> None:
        """Make this chapter part of one document with the others."""
        self._rename()
        self._lead(chapters)
        for folded in self.article.select("details.hide"):
            folded.decompose()
        self._move_solutions()

    def _address(self, address: str) -> str:
        """An address on this page, seen from the one document."""
        if urlsplit(address).scheme or address.startswith("//"):
            return address
        return self.base + posixpath.normpath(posixpath.join(posixpath.dirname(self.page), address))

    def _head_of(self, soup: BeautifulSoup) -> Iterator[str]:
        """Style sheets, and MathJax with its settings."""
        for tag in soup.select("link[rel=stylesheet]"):
            tag["href"] = self._address(str(tag["href"]))
            yield str(tag)
            tag.decompose()
        for tag in soup.select("head script"):
            if "mathjax" in str(tag.get("src", "")):
                tag["src"] = self._address(str(tag["src"]))
                yield str(tag)
            elif "window.MathJax" in tag.get_text():
                yield str(tag)

    def _scripts_of(self, article: Tag) -> Iterator[str]:
        """Scripts that draw something; they come last, each once."""
        for tag in article.find_all("script", src=True):
            tag["src"] = self._address(str(tag["src"]))
            yield str(tag)
            tag.decompose()

    def _named(self, name: str) -> str:
        return f"{self.slug}--{name}"

    def _rename(self) -> None:
        """Prefix every id, so that those of two pages do not meet, and whatever refers to it."""
        for name in _NAMING:
            for tag in self.article.select(f"[{name}]"):
                tag[name] = " ".join(
                    self._named(word) for word in tag.get_attribute_list(name) for word in word.split()
                )
        for style in self.article.find_all("style"):  # pandas colours tables by their ids
            style.string = re.sub(r"#(T_\w+)", lambda found: f"#{self._named(found[1])}", style.get_text())
        self.article["id"] = self.slug

    def _lead(self, chapters: dict[str, _Chapter]) -> None:
        """Make links lead to places in the document, and pictures come from the book's folder."""
        for picture in self.article.find_all("img"):
            picture["src"] = self._address(str(picture["src"]))
            del picture["loading"]
        for link in self.article.find_all("a", href=True):
            parts = urlsplit(str(link["href"]))
            if parts.scheme:
                continue
            path = posixpath.normpath(posixpath.join(posixpath.dirname(self.page), unquote(parts.path)))
            target = chapters.get(path.removesuffix(".html")) if parts.path else self
            if target is None:
                del link["href"]  # an index, a notebook to download: not on this paper
            else:
                link["href"] = f"#{target._named(unquote(parts.fragment)) if parts.fragment else target.slug}"

    def _move_solutions(self) -> None:
        """Take out what is folded away on the screen, and leave a reference."""
        from bs4 import BeautifulSoup

        for number, folded in enumerate(self.article.select("div.solution, div.admonition.dropdown"), start=1):
            place = f"{self.slug}--printed-solution-{number}"
            what = "Solution" if "solution" in folded.get_attribute_list("class") else "Answer"
            question = folded.select_one(".admonition-title")
            left = (
                f'<p class="printed-question">{question.decode_contents()}</p>' if what == "Answer" and question else ""
            )
            number_of = f'<span data-page-of="{place}">000</span>'
            left += f'<p class="printed-reference"><a href="#{place}">{what}</a>: page {number_of}</p>'
            folded.insert_before(BeautifulSoup(left, "html.parser"))
            folded["id"] = place
            folded["class"] = " ".join(name for name in folded.get_attribute_list("class") if name != "dropdown")
            self.solutions.append(folded.extract())


def find_chromium() -> str:
    """The installed Chromium or Chrome.

    Raises:
        PrintingError: there is none.
    """
    for name in _CHROMIUM_NAMES:
        if found := shutil.which(name):
            return found
    raise PrintingError(
        f"no Chromium found (looked for {', '.join(_CHROMIUM_NAMES)}); on Debian: apt-get install chromium. "
        "Or print single pages from your own browser"
    )


@contextmanager
def _opened(document: Path) -> Generator[Any]:
    """A tab of Chromium with a document, set and loaded, and with no way to the network."""
    from playwright.sync_api import Error, sync_playwright

    chromium = find_chromium()
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
            context = browser.new_context(color_scheme="light", offline=True)
            context.set_default_timeout(_MINUTES * 60_000)
            tab = context.new_page()
            tab.emulate_media(media="print")
            tab.goto(document.resolve().as_uri(), wait_until="load")
            tab.wait_for_function(_MATHEMATICS_SET)
            if missing := tab.evaluate(_EMPTY_PICTURES):
                raise PrintingError(f"{document}: pictures cannot be shown: {', '.join(missing)}")
            yield tab
            browser.close()
    except Error as error:
        raise PrintingError(f"{chromium} could not print {document}: {error}") from error


def print_document(document: Path) -> bytes:
    """Print a document of :func:`printable` as PDF, with page numbers and references to pages.

    Raises:
        PrintingError: Chromium or a package is not there, or Chromium fails.
    """
    with _opened(document) as tab:

        def printed() -> bytes:
            return tab.pdf(
                format="A4",
                margin={"top": "18mm", "bottom": "18mm", "left": "18mm", "right": "18mm"},
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=_FOOTER,
                print_background=True,
                tagged=True,  # for screen readers
            )

        # On which page a place is, only the first print can say. The second is as long: every number has its room.
        tab.evaluate(_FILL_IN, pages_of_places(printed()))
        return printed()


def pages_of_places(pdf: bytes) -> dict[str, str]:
    """The page, from 1, of every place in a PDF that something in it links to."""
    from pypdf import PdfReader

    reader = PdfReader(BytesIO(pdf))
    numbers = {}
    for name, place in reader.named_destinations.items():
        page = reader.get_destination_page_number(place)
        if page is not None:
            numbers[unquote(name.removeprefix("/"))] = str(page + 1)
    return numbers


def with_outline(pdf: bytes, outline: Outline, *, title: str, authors: str) -> bytes:
    """Give a printed document its outline, which readers show beside the pages.

    Chromium could make one of the headings; it writes some of them twice, and does not know the parts.

    Args:
        pdf: The document.
        outline: For each part its heading, and the place and the title of each chapter. Chapters of a part without
            heading stand at the top.
        title: Of the book.
        authors: Of the book.
    """
    from pypdf import PdfReader, PdfWriter

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it finds Chromium's count of objects too low by some
    pages = {place: int(number) - 1 for place, number in pages_of_places(pdf).items()}
    reader = PdfReader(BytesIO(pdf))
    writer = PdfWriter(clone_from=reader)
    writer.pdf_header = reader.pdf_header
    for heading, chapters in outline:
        above = writer.add_outline_item(title=heading, page_number=pages[chapters[0][0]]) if heading else None
        for place, chapter in chapters:
            writer.add_outline_item(title=chapter, page_number=pages[place], parent=above)
    writer.add_metadata({"/Title": title, "/Author": authors, "/Creator": "anytime_core.pages.printing"})
    written = BytesIO()
    writer.write(written)
    return written.getvalue()


def print_book(root: Path = ROOT, *, out: Path | None = None, only: tuple[str, ...] = ()) -> Path:
    """Print the built book to one PDF. The document that is printed stays beside it.

    Args:
        root: The checkout, with the built book in ``_build/html``.
        out: The file to write; by default ``_build/book.pdf``.
        only: Print these pages alone, as the table of contents names them.

    Returns:
        Where the file is.

    Raises:
        PrintingError: the book is not built, or Chromium or a package is not there, or Chromium fails.
        OSError: the file cannot be written.
    """
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise PrintingError(f"not installed: {', '.join(missing)}; `make install` installs everything")
    build = root / "_build"
    parts = parts_of(root / "_toc.yml")
    if unknown := set(only) - {page for part in parts for page in part.pages}:
        raise PrintingError(f"expected pages of _toc.yml, found {', '.join(sorted(unknown))}")
    if only:
        parts = [Part(part.caption, [page for page in part.pages if page in only]) for part in parts]
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    of = {"title": config["title"], "authors": config["author"]}
    text, outline = printable(build / "html", [part for part in parts if part.pages], **of)
    find_chromium()  # before anything is written
    document = build / "book.html"
    write_whole(document, text)
    out = out or build / "book.pdf"
    write_whole(out, with_outline(print_document(document), outline, **of))
    return out


if __name__ == "__main__":
    import sys

    import tyro

    try:
        tyro.cli(print_book)
    except PrintingError as problem:
        sys.exit(f"anytime: {problem}")

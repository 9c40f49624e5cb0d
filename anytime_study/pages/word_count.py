"""Words of prose in the built book, page by page: what a reader reads, not code, tables, formulas or the reference.

``make words`` prints them. The main line is the landing page and the first part of ``_toc.yml``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml
from bs4 import BeautifulSoup

MAIN_LINE, WHOLE_BOOK = 12_000, 36_000
"""The most words of prose that the book allows itself, the reference of the library apart."""

_REFERENCE = "book/api"  # this page, and what begins like it
# Not prose, or not the page's own: code, its bars, what it prints, tables, formulas, signatures, entries of
# the bibliography.
_NO_PROSE = (
    "pre, table, script, style, noscript, svg, .cell_input, details.hide > summary, .math, .headerlink, "
    ".caption-number, dl.py, div.citation, .prev-next-area, .toctree-wrapper"
)
_WORD = re.compile(r"\w+(?:[-'’.,/]\w+)*")


def words_of_prose(html: str) -> int:
    """How many words a page says in sentences, headings and captions; a number is a word.

    Args:
        html: A page of the built book.
    """
    page = BeautifulSoup(html, "html.parser")
    article = page.select_one("article.bd-article")
    if article is None:
        return 0
    for part in article.select(_NO_PROSE):
        part.decompose()
    return len(_WORD.findall(article.get_text(" ")))


def count_words(checkout: Path) -> dict[str, dict[str, int]]:
    """Words of prose of every page, by the caption of its part; the landing page is in the first part.

    The reference is left out, and so are sections of chapters: it alone has them.

    Args:
        checkout: The folder of ``_toc.yml``, with the built book in ``_build/html``.

    Raises:
        FileNotFoundError: a page has not been built.
    """
    toc = yaml.safe_load((checkout / "_toc.yml").read_text(encoding="utf-8"))
    pages = {part["caption"]: [chapter["file"] for chapter in part["chapters"]] for part in toc["parts"]}
    pages[next(iter(pages))].insert(0, toc["root"])
    return {
        part: {
            page: words_of_prose((checkout / f"_build/html/{page}.html").read_text(encoding="utf-8"))
            for page in of_part
            if not page.startswith(_REFERENCE)
        }
        for part, of_part in pages.items()
    }


def totals(counts: Mapping[str, Mapping[str, int]]) -> tuple[int, int]:
    """Words of the main line, and of the whole book."""
    main_line, *rest = (sum(pages.values()) for pages in counts.values())
    return main_line, main_line + sum(rest)


def report(counts: Mapping[str, Mapping[str, int]]) -> str:
    """The words of every page, of every part and of the book, a line each."""
    lines = []
    for part, pages in counts.items():
        lines += [f"{sum(pages.values()):7,}  {part}", *(f"{words:15,}  {page}" for page, words in pages.items())]
    main_line, whole = totals(counts)
    lines += [f"{main_line:7,}  main line, at most {MAIN_LINE:,}", f"{whole:7,}  whole book, at most {WHOLE_BOOK:,}"]
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        sys.stdout.write(report(count_words(Path())) + "\n")
    except FileNotFoundError as problem:
        raise SystemExit(f"{problem.filename} is not there: make book builds it") from None

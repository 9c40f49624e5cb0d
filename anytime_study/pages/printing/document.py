"""All chapters as one document of HTML, in the order of the table of contents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import yaml

from anytime_study.pages.printing.chapter import Chapter
from anytime_study.pages.printing.outline import Outline

SOLUTIONS = "printed-solutions"
"""Where the chapter of solutions begins."""


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
    chapters = {page: Chapter(page, html / f"{page}.html", base) for part in parts for page in part.pages}
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

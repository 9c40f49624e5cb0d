"""One page of the built book on its way to paper."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from anytime_study.pages.printing import PrintingError

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_NAMING = ("id", "for", "headers", "aria-labelledby", "aria-describedby", "aria-controls")  # attributes that hold ids


@dataclass
class Chapter:
    """One chapter: an article that :meth:`settle` makes part of one document, and what it needs around it.

    Attributes:
        page: Its name in the table of contents.
        path: The page of HTML.
        base: The address of the built book's folder, seen from where the document will lie.
        solutions: What was folded away, in order; empty before :meth:`settle`.
        article: What is printed.
        slug: The name of its place in the document, and the beginning of all names in it.
        title: Its heading.
        head: Style sheets, and MathJax with its settings, as text.
        scripts: Scripts that draw something, as text.

    Raises:
        PrintingError: the page is not built.
    """

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

    def settle(self, chapters: dict[str, Chapter]) -> None:
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

    def _lead(self, chapters: dict[str, Chapter]) -> None:
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

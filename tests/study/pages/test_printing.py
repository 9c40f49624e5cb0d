"""The document that is printed, made from a small book by hand. What Chromium makes of it: tests/browser."""

import pytest
from bs4 import BeautifulSoup

from anytime_study.pages.printing import PrintingError
from anytime_study.pages.printing.book import print_book
from anytime_study.pages.printing.chromium import CHROMIUM_ARGUMENTS, find_chromium
from anytime_study.pages.printing.document import SOLUTIONS, Part, parts_of, printable

TOC = """\
format: jb-book
root: book/intro
parts:
  - caption: Results & more
    chapters:
      - file: book/results/first
"""
INTRO = """\
<html><head><link rel="stylesheet" href="../_static/custom.css"><script>var theme = 1</script>
<script>window.MathJax = {}</script><script defer src="../_static/mathjax/m.js"></script></head>
<body><nav>sidebar</nav><article class="bd-article"><section id="top">
<h1>Landing<a class="headerlink" href="#top">#</a></h1>
<p><a href="results/first.html#equation-eq">(1)</a> <a href="results/first.html">First</a> <a href="#top">up</a>
<a href="../genindex.html">index</a> <a href="https://e.example/x">out</a>
<img src="../_images/a.png" loading="lazy" alt="a"></p>
<div class="dropdown self-check admonition"><p class="admonition-title">Is it?</p><p>It is.</p></div>
<script src="../_static/slider.js"></script></section></article></body></html>
"""
FIRST = """\
<html><head><link rel="stylesheet" href="../../_static/custom.css"></head><body><article class="bd-article">
<section id="top"><h1>First</h1><details class="hide above-input"><summary>Show</summary>hidden code</details>
<style>#T_1_0_0 td { color: red }</style>
<table id="T_1_0_0"><tr><th id="T_1_0_0_a">x</th><td headers="T_1_0_0_a">y</td></tr></table>
<div class="math" id="equation-eq">\\(x\\)</div><div class="exercise admonition" id="ex-a"><p>Do it.</p></div>
<div class="solution dropdown admonition" id="book/results/first-solution-1"><p class="admonition-title">Solution to
<a href="#ex-a">Exercise 1</a></p><p>Done.</p></div>
<script src="../../_static/slider.js"></script></section></article></body></html>
"""


@pytest.fixture
def book(tmp_path):
    (tmp_path / "_toc.yml").write_text(TOC)
    (tmp_path / "_config.yml").write_text("title: A book\nauthor: Somebody\n")
    (tmp_path / "_build/html/book/results").mkdir(parents=True)
    (tmp_path / "_build/html/book/intro.html").write_text(INTRO)
    (tmp_path / "_build/html/book/results/first.html").write_text(FIRST)
    return tmp_path


@pytest.fixture
def document(book):
    text, _ = printable(book / "_build/html", parts_of(book / "_toc.yml"), title="A <book>", authors="Somebody")
    return BeautifulSoup(text, "html.parser")


def test_parts_are_in_reading_order_and_the_landing_page_is_first(book):
    assert parts_of(book / "_toc.yml") == [
        Part("", ["book/intro"]),
        Part("Results & more", ["book/results/first"]),
    ]


def test_chapters_follow_each_other_and_solutions_are_last(document):
    assert [article["id"] for article in document.find_all("article")] == ["intro", "results-first", SOLUTIONS]
    assert [heading.get_text() for heading in document.find_all("h1")] == ["Landing", "First", "Solutions"]
    assert document.title.get_text() == "A <book>"
    assert "sidebar" not in document.get_text()


def test_the_outline_has_the_parts(book):
    _, outline = printable(book / "_build/html", parts_of(book / "_toc.yml"), title="A", authors="B")
    assert outline == [
        ("", [("intro", "Landing")]),
        ("Results & more", [("results-first", "First")]),
        ("", [(SOLUTIONS, "Solutions")]),
    ]


def test_every_link_leads_to_a_place_in_the_document_or_out_of_the_book(document):
    places = {tag["id"] for tag in document.select("[id]")}
    links = [link["href"] for link in document.select("a[href]")]
    assert "https://e.example/x" in links
    assert "#results-first--equation-eq" in links
    assert {link.removeprefix("#") for link in links if not link.startswith("https:")} <= places
    assert document.find("a", string="index").get("href") is None


def test_no_two_places_have_one_name(document):
    names = [tag["id"] for tag in document.select("[id]")]
    assert len(set(names)) == len(names)


def test_styles_and_labels_follow_the_names(document):
    assert "#results-first--T_1_0_0 td" in document.style.get_text()
    assert document.td["headers"] == [document.th["id"]]


def test_files_are_found_from_where_the_document_lies(document):
    assert document.img["src"] == "html/_images/a.png"
    assert [link["href"] for link in document.select("link[rel=stylesheet]")] == ["html/_static/custom.css"]
    sources = [script["src"] for script in document.find_all("script", src=True)]
    assert sources == ["html/_static/mathjax/m.js", "html/_static/slider.js"]
    assert "var theme" not in str(document)


def test_what_is_folded_is_left_out_or_moved_to_the_end(document):
    assert "hidden code" not in document.get_text()
    first = document.find(id="results-first")
    solutions = document.find(id=SOLUTIONS)
    assert "Do it." in first.get_text()
    assert "Done." not in first.get_text()
    assert "Done." in solutions.get_text()
    place = first.select_one(".printed-reference a")["href"].removeprefix("#")
    assert solutions.find(id=place) is not None
    assert first.select_one(f"[data-page-of={place}]") is not None


def test_a_self_check_keeps_its_question_in_the_chapter(document):
    intro = document.find(id="intro")
    assert intro.select_one(".printed-question").get_text() == "Is it?"
    assert "It is." not in intro.get_text()
    assert "It is." in document.find(id=SOLUTIONS).get_text()


@pytest.fixture
def installed(monkeypatch):
    """As if all packages were there: what is tested comes before they are used."""
    monkeypatch.setattr("anytime_study.pages.printing.book._PACKAGES", ())


def test_a_missing_package_is_told(book, monkeypatch):
    monkeypatch.setattr("anytime_study.pages.printing.book._PACKAGES", ("bs4", "no_such_package"))
    with pytest.raises(PrintingError, match="not installed: no_such_package; `make install` installs everything"):
        print_book(book)


@pytest.mark.usefixtures("installed")
def test_a_book_that_is_not_built_is_told(book):
    (book / "_build/html/book/results/first.html").unlink()
    with pytest.raises(PrintingError, match=r"first\.html is not there; `make book` builds it"):
        print_book(book)


@pytest.mark.usefixtures("installed")
def test_a_page_without_content_is_told(book):
    (book / "_build/html/book/intro.html").write_text("<html></html>")
    with pytest.raises(PrintingError, match="expected an article with a heading, found none"):
        print_book(book)


@pytest.mark.usefixtures("installed")
def test_without_chromium_nothing_is_written(book, monkeypatch):
    monkeypatch.setenv("PATH", str(book))
    with pytest.raises(PrintingError, match=r"no Chromium found .* apt-get install chromium"):
        find_chromium()
    with pytest.raises(PrintingError, match="no Chromium found"):
        print_book(book)
    assert sorted(path.name for path in (book / "_build").iterdir()) == ["html"]


def test_chromium_stays_silent_on_the_network():
    assert "--disable-background-networking" in CHROMIUM_ARGUMENTS

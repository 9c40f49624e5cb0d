"""The built book: complete, readable offline, and made of whole runs.

Jupyter Book's own gate (`-W -n`) stops on unknown references and stderr. It does not see what is checked here: a page
that was never executed renders empty, a picture may go without alt text, a script may come from elsewhere, an option
of a directive may be printed as text.

The class at the end reads `_build/html` and is marked ``book``; without a built book it is skipped. The tests before
it try each check on small snippets with the fault in question, and always run.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup, Tag
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from anytime_study.pages.word_count import MAIN_LINE, WHOLE_BOOK, count_words, totals

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
RESULTS = "book/results/"

# ------------------------------------------------------------------------------------------------------- the checks

# Attributes from which a browser loads something by itself. <a href> is not among them: a link is followed by choice.
LOADING = {
    "script": ["src"],
    "img": ["src", "srcset"],
    "source": ["src", "srcset"],
    "video": ["src", "poster"],
    "audio": ["src"],
    "track": ["src"],
    "iframe": ["src"],
    "embed": ["src"],
    "object": ["data"],
    "input": ["src"],
    "image": ["href", "xlink:href"],
    "use": ["href", "xlink:href"],
    "link": ["href"],
}
# <link> elements that only tell where something is; every other kind is loaded.
POINTING_RELS = {"alternate", "author", "canonical", "help", "index", "license", "next", "prev", "search", "top", "up"}
REMOTE = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
CSS_URL = re.compile(r"""url\(\s*['"]?([^'")]+)['"]?\s*\)|@import\s+['"]([^'"]+)['"]""", re.IGNORECASE)
PRINTED_OPTION = re.compile(r"^\s*:(?:alt|name|width|height|align|class|label|figclass|style|filter):", re.MULTILINE)


def loaded_by(soup: BeautifulSoup) -> Iterator[tuple[str, str]]:
    """Yield (element name, address) of everything that a browser loads for this page without being asked."""
    for tag in soup.find_all(list(LOADING)):
        rels = {rel for rel in tag.get_attribute_list("rel") if rel}
        if tag.name == "link" and rels and rels <= POINTING_RELS:
            continue
        for attribute in LOADING[tag.name]:
            value = str(tag.get(attribute) or "")
            addresses = (
                [part.split()[0] for part in value.split(",") if part.split()] if "srcset" in attribute else [value]
            )
            yield from ((tag.name, address) for address in addresses if address)
    for tag in soup.find_all(style=True):
        yield from ((tag.name, address) for address in loaded_by_css(str(tag["style"])))
    for tag in soup.find_all("style"):
        yield from (("style", address) for address in loaded_by_css(tag.get_text()))


def loaded_by_css(text: str) -> list[str]:
    """Every address that a style sheet loads."""
    return [first or second for first, second in CSS_URL.findall(text)]


def remote(addresses: Iterator[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those that are not files of the book. ``data:`` holds its content itself; ``//host`` takes the page's scheme."""
    return [(name, address) for name, address in addresses if REMOTE.match(address)]


def poor_alt(image: Tag) -> str | None:
    """Say what is wrong with an image's alt text; None if it reads like a description."""
    alt = str(image.get("alt") or "").strip()
    if not alt:
        return "has no alt text"
    if re.search(r"\.(?:svg|png|jpe?g|gif|webp)$", alt, re.IGNORECASE):
        return f"has a file name for alt text: {alt}"
    if re.search(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{16,}\b", alt):
        return f"has a hash in its alt text: {alt}"
    if len(alt.split()) < 4:
        return f"has too short an alt text: {alt}"
    return None


def broken_links(page: Path, root: Path) -> list[str]:
    """Addresses on a page (links, pictures, scripts, styles) that lead to no file, or to no place in it."""
    soup = parsed(page)
    addresses = {address for _, address in loaded_by(soup)}
    addresses |= {str(link["href"]) for link in soup.find_all(["a", "link"], href=True)}
    broken = []
    for address in sorted(addresses):
        parts = urlsplit(address.strip())
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if parts.path.startswith("/") or not target.is_relative_to(root):
            broken.append(f"{address} (leaves the book)")
        elif not target.is_file():
            broken.append(f"{address} (no such file)")
        elif parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in anchors(target):
            broken.append(f"{address} (no such place on the page)")
    return broken


def printed_options(soup: BeautifulSoup) -> list[str]:
    """Options such as ``:width: 100%`` that stand in the text, because the directive around them was misread."""
    texts = [tag.get_text() for tag in soup.find_all(["p", "figcaption"]) if not tag.find_parent("pre")]
    return sorted({line.strip() for text in texts for line in text.splitlines() if PRINTED_OPTION.match(line)})


def unnumbered(soup: BeautifulSoup) -> list[str]:
    """Pictures of an article that stand in no figure with a number and a caption, and figures without them."""
    article = soup.select_one("article.bd-article") or soup
    alone = [str(image.get("src")) for image in article.find_all("img") if not image.find_parent("figure")]
    return alone + [str(figure.get("id")) for figure in article.find_all("figure") if not number_and_caption(figure)]


def number_and_caption(figure: Tag) -> tuple[int, str] | None:
    """What stands under a figure: its number and its caption; None if one of them is missing."""
    number, caption = figure.select_one("figcaption .caption-number"), figure.select_one("figcaption .caption-text")
    found = re.search(r"\d+", number.get_text()) if number else None
    text = " ".join(caption.get_text().split()) if caption else ""
    return (int(found[0]), text) if found and text else None


def not_whole(notebook: nbformat.NotebookNode) -> list[str]:
    """Signs that a page's notebook is not a whole, successful run with something to show."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    signs = [f"`{cell.source[:40]}` was not executed" for cell in code if cell.execution_count is None]
    outputs = [output for cell in code for output in cell.outputs]
    signs += [f"a cell failed with {output.ename}" for output in outputs if output.output_type == "error"]
    signs += ["a cell wrote to stderr" for output in outputs if output.get("name") == "stderr"]
    return signs or ([] if outputs else ["no cell has an output"])


def injected(notebook: nbformat.NotebookNode) -> dict[str, object]:
    """The values that papermill injected into a run."""
    sources = [cell.source for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    return {line.targets[0].id: ast.literal_eval(line.value) for text in sources for line in ast.parse(text).body}


def pages_of(toc: object) -> Iterator[str]:
    """Every file named in a parsed _toc.yml, without suffix, in reading order."""
    if isinstance(toc, dict):
        yield from (str(toc[key]) for key in ("root", "file") if key in toc)
        for key in ("parts", "chapters", "sections", "subtrees", "entries"):
            yield from pages_of(toc.get(key))
    elif isinstance(toc, list):
        for entry in toc:
            yield from pages_of(entry)


@cache
def parsed(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


@cache
def anchors(page: Path) -> set[str]:
    places = {str(tag[key]) for key in ("id", "name") for tag in parsed(page).find_all(attrs={key: True})}
    return places | {"", "top"}


def html(text: str) -> BeautifulSoup:
    return BeautifulSoup(text, "html.parser")


# --------------------------------------------------------------------------------- each check finds what it is for


@pytest.mark.parametrize(
    "text",
    [
        '<script src="//cdn.example/m.js"></script>',
        '<link rel="stylesheet" href="http://fonts.example/a.css">',
        '<link rel="shortcut icon" href="https://e.example/i.ico">',
        '<link href="https://e.example/untold">',
        '<img src="a.png" srcset="a.png 1x, HTTPS://e.example/b.png 2x">',
        '<video poster="https://e.example/a.png"><source src="v.mp4"></video>',
        '<svg><image xlink:href="https://e.example/a.png"/></svg>',
        '<p style="background: url(//e.example/a.png)">',
        "<style>@import 'https://e.example/a.css';</style>",
        '<style>a { src: url( "https://e.example/f.woff2" ) }</style>',
    ],
)
def test_remote_loads_are_found(text):
    assert len(remote(loaded_by(html(text)))) == 1


def test_links_and_local_files_are_no_remote_loads():
    text = (
        '<a href="https://e.example">x</a><link rel="canonical" href="https://e.example/p.html"><img src="a/b.png">'
        '<link rel="next" href="https://e.example/q.html"><img src="data:image/png;base64,AA//"><script>1</script>'
        "<style>a { background: url(x.png), url('data:image/svg+xml;//') }</style><script src='../m.js?v=1'></script>"
    )
    assert remote(loaded_by(html(text))) == []
    assert ("script", "../m.js?v=1") in loaded_by(html(text))


@pytest.mark.parametrize(
    ("alt", "poor"),
    [
        (None, "no alt text"),
        ("  ", "no alt text"),
        ("../_images/exits.svg", "file name"),
        ("a picture of curves.PNG", "file name"),
        ("the figure 0123456789abcdef0123456789abcdef", "hash"),
        ("error curves", "too short"),
        ("Error falls with cost at all eight exits.", None),
        ("Error 0.123456789 at exit 12 of the decade", None),
    ],
)
def test_poor_alt_text_is_found(alt, poor):
    image = html("<img>" if alt is None else f'<img alt="{alt}">').img
    found = poor_alt(image)
    assert (poor in found) if poor else (found is None)


def test_broken_links_are_found(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a b.png").write_bytes(b"")
    (tmp_path / "other.html").write_text('<h1 id="é1">x</h1><a name="old"></a>')
    page = tmp_path / "sub" / "page.html"
    good = ["../other.html", "../other.html#%C3%A91", "../other.html?v=1#old", "#here", "#", "https://e.example/none"]
    bad = ["../none.html", "../other.html#none", "#nowhere", "/other.html", "../../outside.html", "../sub"]
    links = "".join(f'<a href="{address}">x</a>' for address in [*good, *bad, "mailto:a@b.example"])
    page.write_text(f'<p id="here">{links}<img src="../a%20b.png"><img src="../none.png">')
    assert {entry.split(" (")[0] for entry in broken_links(page, tmp_path)} == {*bad, "../none.png"}


def test_printed_options_are_found():
    text = "<figcaption>Fig. 1\n:width: 100%</figcaption><p>Note: :alt: is meant.</p><pre><p>:name: x</p></pre>"
    assert printed_options(html(text)) == [":width: 100%"]


CAPTION = '<figcaption><span class="caption-number">Fig. 3</span><span class="caption-text">Errors.</span></figcaption>'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f'<figure id="a"><img src="a.svg">{CAPTION}</figure>', []),
        (f'<img src="b.svg"><figure id="a"><img src="a.svg">{CAPTION}</figure>', ["b.svg"]),
        ('<figure id="a"><img src="a.svg"></figure>', ["a"]),
        (f'<figure id="a"><img src="a.svg">{CAPTION.replace("Fig. 3", "")}</figure>', ["a"]),
        (f'<figure id="a"><img src="a.svg">{CAPTION.replace("Errors.", " ")}</figure>', ["a"]),
    ],
)
def test_pictures_without_number_or_caption_are_found(text, found):
    assert unnumbered(html(f'<img src="logo.svg"><article class="bd-article">{text}</article>')) == found


@pytest.mark.parametrize(
    ("cells", "sign"),
    [
        ([new_code_cell("f()")], "was not executed"),
        ([new_markdown_cell("x"), new_code_cell("f()", execution_count=1)], "no cell has an output"),
        ([new_code_cell("f()", execution_count=1, outputs=[new_output("error", ename="E")])], "failed with E"),
        ([new_code_cell("f()", execution_count=1, outputs=[new_output("stream", name="stderr", text="x")])], "stderr"),
        ([new_code_cell(""), new_code_cell("1", execution_count=1, outputs=[new_output("stream", text="1")])], None),
    ],
)
def test_runs_that_are_not_whole_are_found(cells, sign):
    signs = not_whole(new_notebook(cells=cells))
    assert (sign in signs[0]) if sign else (signs == [])


def test_pages_of_a_toc_in_order():
    toc = {
        "format": "jb-book",
        "root": "book/intro",
        "parts": [
            {"caption": "A", "chapters": [{"file": "a", "sections": [{"file": "a1"}]}, {"file": "b", "title": "B"}]},
            {"chapters": [{"file": "c"}, {"url": "https://e.example", "title": "out"}]},
        ],
    }
    assert list(pages_of(toc)) == ["book/intro", "a", "a1", "b", "c"]


# --------------------------------------------------------------------------------------------------- the book itself


@pytest.fixture(scope="module")
def pages() -> list[Path]:
    """All HTML pages of the built book. What lies in _static are templates that the themes copy there, not pages."""
    return sorted(page for page in HTML.rglob("*.html") if "_static" not in page.relative_to(HTML).parts)


@pytest.fixture(scope="module")
def listed() -> list[str]:
    """All pages that _toc.yml lists."""
    return list(pages_of(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))


@pytest.mark.book
@pytest.mark.skipif(not (HTML / "index.html").is_file(), reason="no built book in _build/html (make book)")
class TestBuiltBook:
    """Every fault is collected before a test fails, so that one build shows all of them."""

    def test_every_listed_page_was_built(self, listed):
        assert [page for page in listed if not (HTML / f"{page}.html").is_file()] == []

    def test_nothing_is_loaded_from_elsewhere(self, pages):
        found = {str(page.relative_to(HTML)): remote(loaded_by(parsed(page))) for page in pages}
        assert {page: loads for page, loads in found.items() if loads} == {}
        sheets = {sheet: loaded_by_css(sheet.read_text(encoding="utf-8")) for sheet in sorted(HTML.rglob("*.css"))}
        assert [(str(s.relative_to(HTML)), u) for s, urls in sheets.items() for u in urls if REMOTE.match(u)] == []

    def test_mathjax_is_served_by_the_book(self, pages):
        with_math = [page for page in pages if parsed(page).find(class_="math")]
        assert with_math, "no page has mathematics: is this the whole book?"
        for page in with_math:
            sources = [str(script["src"]) for script in parsed(page).find_all("script", src=True)]
            engines = [urlsplit(source).path for source in sources if "mathjax" in source.lower()]
            assert engines, f"{page.relative_to(HTML)} has mathematics and no MathJax"
            for engine in engines:
                assert (page.parent / engine).is_file(), f"{page.relative_to(HTML)}: {engine} is not in the book"

    def test_every_picture_has_real_alt_text(self, pages):
        found = [
            f"{page.relative_to(HTML)}: {image.get('src')} {reason}"
            for page in pages
            for image in parsed(page).find_all("img")
            if (reason := poor_alt(image))
        ]
        assert found == []

    @pytest.mark.parametrize("faults_of", [unnumbered, printed_options])
    def test_every_figure_has_a_number_and_no_option_is_printed(self, faults_of, pages):
        found = {str(page.relative_to(HTML)): faults_of(parsed(page)) for page in pages}
        assert {page: faults for page, faults in found.items() if faults} == {}

    def test_figures_are_numbered_through_the_book(self, listed):
        figures = [figure for page in listed for figure in parsed(HTML / f"{page}.html").find_all("figure")]
        numbers = [found[0] for found in map(number_and_caption, figures) if found]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) > 50

    def test_no_caption_shows_markup(self, pages):
        texts = [
            (str(page.relative_to(HTML)), figure.figcaption.get_text())
            for page in pages
            for figure in parsed(page).find_all("figure")
            if figure.figcaption
        ]
        assert [place for place in texts if re.search(r"\{[a-z:]+\}`|\bnan\b", place[1])] == []

    def test_every_internal_link_arrives(self, pages):
        assert [f"{page.relative_to(HTML)}: {bad}" for page in pages for bad in broken_links(page, HTML)] == []

    def test_no_page_names_a_folder_of_this_machine(self, pages):
        # _sources holds what the download button gives: the notebooks, with the values injected into them.
        texts = [*pages, *sorted(path for path in (HTML / "_sources").rglob("*") if path.is_file())]
        assert [str(p.relative_to(HTML)) for p in texts if str(ROOT) in p.read_text(encoding="utf-8")] == []

    def test_every_results_page_is_a_whole_run(self, listed):
        faults = {}
        for page in (page for page in listed if page.startswith(RESULTS)):
            notebook = ROOT / f"{page}.ipynb"
            if not notebook.is_file():
                faults[page] = ["no such notebook"]
                continue
            faults[page] = not_whole(nbformat.read(notebook, as_version=4))
            if not parsed(HTML / f"{page}.html").select(".cell_output, .stop-it-yourself"):  # networks that run there
                faults[page].append("the built page shows no output")
        assert {page: signs for page, signs in faults.items() if signs} == {}

    def test_the_book_and_its_main_line_are_as_short_as_they_promise(self):
        main_line, whole = totals(count_words(ROOT))
        assert (main_line <= MAIN_LINE, whole <= WHOLE_BOOK) == (True, True), (main_line, whole)

    def test_every_results_page_was_made_as_the_workflow_asks(self, listed):
        asked = yaml.safe_load((ROOT / "workflow/pages.yaml").read_text(encoding="utf-8"))
        names = [page.removeprefix(RESULTS) for page in listed if page.startswith(RESULTS)]
        assert names
        found = {name: injected(nbformat.read(ROOT / f"{RESULTS}{name}.ipynb", as_version=4)) for name in names}
        assert found == {name: asked[name].get("parameters", {}) for name in names}

"""Two chapters of the built book on paper, read back. In a process of its own: this one's browser is in use."""

import subprocess
import sys
from pathlib import Path

import pytest

from anytime_study.pages.printing.book import ROOT
from anytime_study.pages.printing.outline import pages_of_places

pytestmark = pytest.mark.browser

PAGES = ["book/anytime_prediction", "book/results/budget_slider"]


def run(*arguments):
    command = [sys.executable, "-m", "anytime_study.pages.printing", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def pdf(tmp_path_factory, tab) -> Path:  # `tab` skips without Chromium or the book
    out = tmp_path_factory.mktemp("print") / "two.pdf"
    done = run("--out", str(out), "--only", *PAGES)
    assert (done.returncode, done.stderr) == (0, "")
    return out


@pytest.fixture(scope="module")
def reader(pdf):
    return pytest.importorskip("pypdf").PdfReader(pdf)


def test_title_contents_two_chapters_and_their_solutions(reader):
    assert 6 <= len(reader.pages) <= 20
    assert "a reproducible study" in " ".join(reader.pages[0].extract_text().split())
    contents = reader.pages[1].extract_text()
    assert all(title in contents for title in ("What anytime prediction is", "Stop it yourself", "Solutions"))


def test_every_chapter_begins_a_page_and_stands_in_the_outline(reader):
    outline = [part for entry in reader.outline for part in (entry if isinstance(entry, list) else [entry])]
    found = {entry.title: reader.get_destination_page_number(entry) for entry in outline}
    assert [*found] == ["Question", "What anytime prediction is", "Stop it yourself", "Solutions"]
    for title in ("What anytime prediction is", "Stop it yourself", "Solutions"):
        assert reader.pages[found[title]].extract_text().lstrip().startswith(title)


def test_pages_named_in_the_text_are_those_where_things_are(pdf, reader):
    places = pages_of_places(pdf.read_bytes())
    contents = " ".join(reader.pages[1].extract_text().split())
    assert f"What anytime prediction is {places['anytime_prediction']}" in contents
    first = next(number for place, number in places.items() if place.startswith("anytime_prediction--printed-solution"))
    text = " ".join(page.extract_text() for page in reader.pages[2 : int(places["printed-solutions"]) - 1])
    assert f"page {first}" in " ".join(text.split())


def test_pages_are_numbered(reader):
    for number, page in enumerate(reader.pages, start=1):
        assert str(number) in page.extract_text().split()


def test_equations_are_set(reader):
    text = "".join(page.extract_text() for page in reader.pages)
    assert "\\frac" not in text
    assert "\\(" not in text


def test_what_can_only_be_pressed_is_not_printed(reader):
    text = "".join(page.extract_text() for page in reader.pages)
    assert "Run through the exits" not in text
    assert "Probability of each class" in text


def test_no_link_names_a_folder_of_this_machine(pdf, reader):
    actions = [
        annotation.get_object().get("/A", {}) for page in reader.pages for annotation in page.get("/Annots") or []
    ]
    addresses = [str(action["/URI"]) for action in actions if "/URI" in action]
    assert [address for address in addresses if not address.startswith("http")] == []
    assert str(ROOT).encode() not in pdf.read_bytes()


def test_a_page_that_is_not_in_the_book_is_told():
    done = run("--only", "book/none")
    assert done.returncode != 0
    assert "book/none" in done.stderr

"""Two chapters of the built book on paper, read back. In a process of its own: this one's browser is in use."""

import subprocess
import sys

import pytest

from anytime_study.studies.study import ROOT

pytestmark = pytest.mark.browser


def run(*arguments):
    command = [sys.executable, "-m", "anytime_study.pages.printing", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


def printed(folder, *arguments):
    pypdf = pytest.importorskip("pypdf")
    out = folder / "two.pdf"
    done = run("--out", str(out), "--pages", "book/anytime_prediction", "book/results/stop_it_yourself", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return out, pypdf.PdfReader(out)


@pytest.fixture(scope="module")
def two(tmp_path_factory, tab):  # `tab` skips without Chromium or the book
    return printed(tmp_path_factory.mktemp("print"))


def text_of(reader):
    return " ".join("".join(page.extract_text() for page in reader.pages).split())


def test_every_chapter_begins_a_page_and_is_in_the_outline(two):
    _, reader = two
    assert 6 <= len(reader.pages) <= 24
    titles = ["What anytime prediction is", "Stop it yourself"]
    assert [entry.title for entry in reader.outline] == titles
    for entry in reader.outline:
        first = reader.pages[reader.get_destination_page_number(entry)].extract_text()
        assert " ".join(first.split()).startswith(entry.title)


def test_equations_are_set_and_what_can_only_be_pressed_is_left_out(two):
    text = text_of(two[1])
    assert "\\frac" not in text
    assert "\\(" not in text
    assert "Stops by itself" not in text
    assert "Now make it harder" in text


def test_solutions_are_printed_only_when_asked_for(two, tmp_path):
    assert "Solution to Exercise" not in text_of(two[1])
    _, reader = printed(tmp_path, "--solutions")
    assert "Solution to Exercise" in text_of(reader)
    assert len(text_of(reader)) > len(text_of(two[1]))


def test_no_link_names_a_folder_of_this_machine(two):
    file, reader = two
    actions = [
        annotation.get_object().get("/A", {}) for page in reader.pages for annotation in page.get("/Annots") or []
    ]
    addresses = [str(action["/URI"]) for action in actions if "/URI" in action]
    assert [address for address in addresses if not address.startswith("http")] == []
    assert str(ROOT).encode() not in file.read_bytes()


def test_a_page_that_is_not_in_the_book_is_told():
    done = run("--pages", "book/none")
    assert done.returncode == 1
    assert "book/none.html" in done.stderr

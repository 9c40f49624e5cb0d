"""No page types a result by hand: numbers of runs and of the papers come from runs and files, through ``glue``."""

import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.prose

ROOT = Path(__file__).parents[2]
NUMBER = re.compile(
    r"(?<![\w.{-])\d+(?:[.,]\d+)?\s*(?:%|per cent|percentage points|points|ms\b|milliseconds|seconds|s\b|minutes|hours|"
    r"images/s|images per second|times as (?:long|fast|large|much))"
)
# What may be typed: choices, plans and mathematics. (file, what stands there, why)
ALLOWED = [
    (r".*", r"95 % interval", "how wide intervals are is a choice"),
    (r"lab\.ipynb|intro\.md|instructors\.md|session_1\.md|lesson_plans\.md", r"\d+ minutes", "plans of a lesson"),
    (r"lab\.ipynb", r"at most 5 percentage points", "a task"),
    (
        r"benchmarks\.ipynb",
        r"with a probability of at least 95 %",
        "follows from the number of pairs",
    ),
    (r"session_\d\.md", r"\d+ minutes in all", "plans of a lesson"),
    (r"session_5\.md", r"91 instead of 90 %", "invented, and says so"),
    (r"sheet_4\.md", r"(?:from )?\d %", "invented, and says so"),
    (r"sheet_5\.md", r"\d+ % in", "invented"),
    (r"session_4\.md|sheet_4\.md|sheet_5\.md", r"95 % intervals", "how wide intervals are is a choice"),
    (r"cookbook\.md", r"an error of 10 % has a standard error of 3 percentage points", "arithmetic"),
]
PAGES = [
    *sorted((ROOT / "book").glob("*.md")),
    *sorted((ROOT / "book").glob("s[lh]*/*.md")),  # slides and sheets
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
]


def prose(path):
    """What a reader reads, captions too, without code, mathematics, exercises and their solutions."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
        text = "\n\n".join(
            texts + [cell["metadata"].get("mystnb", {}).get("figure", {}).get("caption", "") for cell in cells]
        )
    for taken in (r"```\{(?:exercise|solution).*?\n```", r"```.*?```", r"`[^`]*`", r"\$[^$]*\$"):
        text = re.sub(taken, " ", text, flags=re.DOTALL)
    return " ".join(text.split())


def typed(name, text):
    """Numbers with a unit that nobody allowed."""
    for file, phrase, _ in ALLOWED:
        if re.fullmatch(file, name):
            text = re.sub(phrase, "", text)
    return [text[max(0, found.start() - 40) : found.end() + 20] for found in NUMBER.finditer(text)]


@pytest.mark.parametrize("path", PAGES, ids=[path.name for path in PAGES])
def test_no_result_is_typed(path):
    assert typed(path.name, prose(path)) == []


@pytest.mark.parametrize(
    "text",
    ["an error of 10.3 %", "it takes 87 s", "two points, 3.1 points", "2 ms", "940 images/s", "about 12 per cent more"],
)
def test_typed_results_are_found(text):
    assert len(typed("fashion_mnist.ipynb", text)) == 1


def test_what_is_glued_or_allowed_is_not():
    assert typed("fashion_mnist.ipynb", "means with 95 % intervals, and {glue:text} %, in 3 panels, exit 4") == []


@pytest.mark.parametrize(("file", "phrase", "why"), ALLOWED)
def test_every_exception_is_still_needed(file, phrase, why):
    pages = [path for path in PAGES if re.fullmatch(file, path.name)]
    assert any(re.search(phrase, prose(path)) for path in pages), why

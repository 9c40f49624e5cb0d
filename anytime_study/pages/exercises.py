"""The exercises of the book, read from its chapters: for sheets without solutions, and for tests.

An exercise stands in a page or in a notebook's Markdown as Jupyter Book has it::

    ```{exercise} Its title
    :label: ex-its-label

    The text.
    ```

and its solution anywhere after it, folded (``:class: dropdown``). The workflow calls this module, so that a sheet never
says anything else than its chapter: ``python -m anytime_study.pages.exercises --out build/exercise_sheets.md``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from anytime_core.files import atomic_write

ROOT = Path(__file__).parents[2]

_RESULTS = "book/results/"  # pages that are made from notebooks
# The fence closes with as many backticks as it opens with, so a block of code inside does not end it.
_DIRECTIVE = re.compile(
    r"^(?P<fence>`{3,})\{(?P<kind>exercise|solution)\}[ \t]*(?P<argument>[^\n]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
_OPTION = re.compile(r":(?P<name>[a-z-]+):[ \t]*(?P<value>[^\n]*)\n")
_TITLE = re.compile(r"^#[ \t]+(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        label: Its label in the book.
        title: Its title.
        text: What is asked, in MyST Markdown.
        solution: Its solution, in MyST Markdown; None if there is none.
        folded: Whether the solution is folded away.
    """

    label: str
    title: str
    text: str
    solution: str | None
    folded: bool


@dataclass(frozen=True)
class Chapter:
    """A page of the book.

    Attributes:
        page: As the table of contents names it, without suffix.
        title: Its heading.
        source: The file that people edit: a page, or the notebook that becomes one.
    """

    page: str
    title: str
    source: Path

    @property
    def text(self) -> str:
        """Its Markdown; of a notebook, that of all Markdown cells."""
        return markdown_of(self.source)

    @property
    def exercises(self) -> list[Exercise]:
        """Its exercises, in their order."""
        return exercises_in(self.text)


def chapters(root: Path = ROOT) -> list[Chapter]:
    """The pages of the table of contents, in reading order; the landing page is not among them.

    Args:
        root: The checkout.

    Raises:
        KeyError: a page under ``book/results/`` that the workflow does not make.
        OSError: a page that is not there.
    """
    parts = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    made = yaml.safe_load((root / "workflow/pages.yaml").read_text(encoding="utf-8"))
    found = []
    for page in (chapter["file"] for part in parts for chapter in part["chapters"]):
        if page.startswith(_RESULTS):
            told = made[page.removeprefix(_RESULTS)]
            found.append(Chapter(page, told["title"], root / told["notebook"]))
        else:
            source = root / f"{page}.md"
            heading = _TITLE.search(source.read_text(encoding="utf-8"))
            found.append(Chapter(page, heading.group(1) if heading else page, source))
    return found


def markdown_of(source: Path) -> str:
    """The Markdown of a page or a notebook."""
    text = source.read_text(encoding="utf-8")
    if source.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def exercises_in(text: str) -> list[Exercise]:
    """The exercises in a piece of Markdown, each with its solution.

    Raises:
        ValueError: an exercise without a label, or a solution whose exercise is not in this text.
    """
    asked: dict[str, tuple[str, str]] = {}
    solved: dict[str, tuple[str, bool]] = {}
    for found in _DIRECTIVE.finditer(text):
        options, body = _options(found["body"])
        argument = found["argument"].strip()
        if found["kind"] == "solution":
            solved[argument] = (body, "dropdown" in options.get("class", "").split())
        elif "label" not in options:
            raise ValueError(f"exercise {argument!r}: expected a :label:, found {', '.join(options) or 'no option'}")
        else:
            asked[options["label"]] = (argument, body)
    if lost := sorted(solved.keys() - asked.keys()):
        raise ValueError(f"solutions: expected those of {', '.join(asked) or 'no exercise'}, found {', '.join(lost)}")
    return [Exercise(label, title, body, *solved.get(label, (None, False))) for label, (title, body) in asked.items()]


def sheets(of: list[Chapter]) -> str:
    """All exercises without their solutions, one section for each chapter, as MyST Markdown.

    Exercises keep the numbers that they have in the book, by reference.
    """
    return "\n".join(line for chapter in of if chapter.exercises for line in _sheet(chapter))


def _sheet(chapter: Chapter) -> Iterator[str]:
    address = chapter.page.removeprefix("book/") + (".ipynb" if chapter.page.startswith(_RESULTS) else ".md")
    yield f"## {chapter.title}\n"
    yield f"*From the chapter [](<{address}>).*\n"
    for exercise in chapter.exercises:
        yield f"**{{ref}}`{exercise.label}`: {exercise.title}**\n"
        yield f"{exercise.text}\n"
        yield '<div class="room-to-write"></div>\n'


def _options(body: str) -> tuple[dict[str, str], str]:
    """Split a directive's body into its options and its text."""
    options, rest = {}, body
    while found := _OPTION.match(rest):
        options[found["name"]] = found["value"].strip()
        rest = rest[found.end() :]
    return options, rest.strip("\n")


def write_sheets(out: Path) -> None:
    """Write the sheets of the whole book.

    Args:
        out: The Markdown file to write.
    """
    atomic_write(out, sheets(chapters()))


if __name__ == "__main__":
    import tyro

    tyro.cli(write_sheets)

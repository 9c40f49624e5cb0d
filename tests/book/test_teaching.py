"""The book as teaching material: exercises, words and the parts that belong to a course."""

import ast
import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
import yaml

import anytime_core
from anytime_study.runs.config import RunConfig

pytestmark = pytest.mark.prose

ROOT = Path(__file__).parents[2]
# The fence closes with as many backticks as it opens with, so a block of code inside does not end it.
DIRECTIVE = re.compile(
    r"^(?P<fence>`{3,})\{(?P<kind>exercise|solution)\}[ \t]*(?P<argument>[^\n]*)\n"
    r"(?P<options>(?::[a-z-]+:[^\n]*\n)*)(?P<body>.*?)^(?P=fence)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)


class Chapter(NamedTuple):
    """A page of the book, the file that people edit, and whether it is part of the story."""

    page: str
    source: Path
    main: bool

    @property
    def exercises(self):
        return exercises_in(markdown_of(self.source))


def chapters():
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    made = yaml.safe_load((ROOT / "workflow/pages.yaml").read_text(encoding="utf-8"))
    for page, main in ((chapter["file"], part is parts[0]) for part in parts for chapter in part["chapters"]):
        name = page.removeprefix("book/results/")
        yield Chapter(page, ROOT / (f"{page}.md" if name == page else made[name]["notebook"]), main)


def markdown_of(source):
    """The Markdown of a page or a notebook."""
    text = source.read_text(encoding="utf-8")
    if source.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")


def exercises_in(text):
    """Label -> (text, solution, whether that is folded); a solution may be missing."""
    found = list(DIRECTIVE.finditer(text))
    solved = {one["argument"].strip(): one for one in found if one["kind"] == "solution"}
    asked = {re.search(r":label: (\S+)", one["options"])[1]: one for one in found if one["kind"] == "exercise"}
    assert solved.keys() <= asked.keys()
    return {
        label: (
            one["body"],
            label in solved and solved[label]["body"],
            label in solved and "dropdown" in solved[label]["options"],
        )
        for label, one in asked.items()
    }


CHAPTERS = list(chapters())
# Pages to look things up in, reports, or about the course itself: they teach nothing that could be practised.
WITHOUT_EXERCISES = {
    *("beyond_one_machine", "how_it_was_tested", "instructors", "integrations", "lesson_plans", "quiz", "notation"),
    *("results/peers", "results/lab"),  # the lab has questions and checkpoints instead
    *("glossary", "api", "contributing", "how_to_cite", "changelog", "references"),
}
TAUGHT = [chapter for chapter in CHAPTERS if chapter.page.removeprefix("book/") not in WITHOUT_EXERCISES]
THEORY = {
    *("anytime_prediction", "what_adaloss_does", "likelihood_and_barrier"),
    *("descent_and_failure", "sequences_in_full", "fairness_axioms"),
}
PAGES = [*(chapter.source for chapter in CHAPTERS), ROOT / "book" / "intro.md"]
TERM = re.compile(r"\{term\}`(?:[^`<]*<)?([^`>]+)>?`")
FIRST = re.compile("predict|before you run|guess|estimate|write down", re.IGNORECASE)
# The page takes the prediction, from a list, and shows what happens after it.
PREDICTED = re.compile(
    r"\{exercise\}[^\n]*\n:label: (\S+)\n:class: predict\n.*?\n- .*?```\n\n```\{solution\} \1\n:class: dropdown\n"
    r".*?\n:::\{(?:raw|glue)\}",
    re.DOTALL,
)
COMMAND = re.compile(r"`(papermill (?!--)[^`]+)`")


def page_id(chapter):
    return chapter.page


def name_of(source):
    return str(source.relative_to(ROOT))


# ------------------------------------------------------------------------------------------------------- exercises


@pytest.mark.parametrize("chapter", TAUGHT, ids=page_id)
def test_every_chapter_has_an_exercise_and_every_exercise_a_folded_solution(chapter):
    assert chapter.exercises, "no exercise"
    assert {label for label, (_, solution, folded) in chapter.exercises.items() if not solution or not folded} == set()


@pytest.mark.parametrize("chapter", TAUGHT, ids=page_id)
def test_every_chapter_has_an_outcome_to_predict_before_a_run(chapter):
    """Or several: a parameter is changed through papermill, and the text asks for a prediction first. In the story it
    runs in the page itself."""
    if chapter.main:
        assert PREDICTED.search(markdown_of(chapter.source))
    runs = re.compile("") if chapter.main else COMMAND
    asked = [text for text, *_ in chapter.exercises.values() if runs.search(text) and FIRST.search(text)]
    assert asked


def test_labels_are_unique_in_the_book():
    labels = [label for chapter in CHAPTERS for label in chapter.exercises]
    assert len(set(labels)) == len(labels)


COMMANDS = sorted(
    {(chapter.page, command) for chapter in CHAPTERS for command in COMMAND.findall(markdown_of(chapter.source))}
)
REFUSED_ON_PURPOSE = {("book/rerun", "epoch"), ("book/rerun", "epochs"), ("book/rerun", "weighting")}


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[f"{page}-{i}" for i, (page, _) in enumerate(COMMANDS)])
def test_commands_in_the_text_name_parameters_that_there_are(page, command):
    program, notebook, out, *options = shlex.split(command)
    assert (program, out) == ("papermill", "out.ipynb")
    cells = nbformat.read(ROOT / notebook, as_version=4).cells
    (defaults,) = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    known = {line.target.id for line in ast.parse(defaults).body if isinstance(line, ast.AnnAssign)}
    assert options[::3] == ["-p"] * (len(options) // 3)
    unknown = {name for name in options[1::3] if name not in known and (page, name) not in REFUSED_ON_PURPOSE}
    assert unknown == set()
    if notebook.endswith("train.ipynb") and page != "book/rerun":
        values = dict(zip(options[1::3], map(yaml.safe_load, options[2::3]), strict=True))
        values.pop("records_dir", None)
        if str(values.get("dataset", "")).startswith("text:"):  # a file that the reader has
            del values["dataset"], values["network"]
        RunConfig(**values)  # refuses what the notebook would refuse


@pytest.mark.parametrize("name", sorted(THEORY))
def test_theory_has_questions_to_check_oneself(name):
    (chapter,) = [chapter for chapter in CHAPTERS if chapter.page.endswith(f"/{name}")]
    found = re.findall(
        r"^```\{admonition\} .+\?\n:class: dropdown self-check\n\n\S", markdown_of(chapter.source), re.MULTILINE
    )
    assert 2 <= len(found) <= 4


def test_exercises_are_read_with_their_solutions():
    text = """
```{exercise} One
:label: ex-one

What? `x`
```

````{exercise} With code
:label: ex-two
```bash
ls
```
````

```{solution} ex-one
:class: dropdown

This.
```
"""
    assert exercises_in(text) == {
        "ex-one": ("\nWhat? `x`\n", "\nThis.\n", True),
        "ex-two": ("```bash\nls\n```\n", False, False),
    }


# ------------------------------------------------------------------------------------------- words, symbols, parts


def glossary():
    text = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    body = re.search(r"^```\{glossary\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[1]
    return [line for line in body.splitlines() if line and not line.startswith(" ")]


def test_the_glossary_is_sorted_and_has_each_word_once():
    words = glossary()
    assert len({word.lower() for word in words}) == len(words)
    assert words == sorted(words, key=str.lower)


@pytest.mark.parametrize("source", PAGES, ids=name_of)
def test_every_term_is_in_the_glossary(source):
    used = {" ".join(word.split()) for word in TERM.findall(markdown_of(source))}
    assert used - set(glossary()) == set()


@pytest.mark.parametrize("macro", ["loss", "meanloss", "error"])
def test_symbols_with_a_name_of_their_own_are_in_the_notation(macro):
    assert f"\\{macro}" in (ROOT / "book" / "notation.md").read_text(encoding="utf-8")


def test_every_public_name_is_in_the_reference():
    text = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "book").glob("api_*.md"))
    documented = set(re.findall(r"^\.\. auto\w+:: anytime_core\.[\w.]*?(\w+)$", text, re.MULTILINE))
    whole = set(re.findall(r"^\.\. automodule:: (anytime_core[\w.]*)\n +:members:", text, re.MULTILINE))
    names = set(anytime_core.__all__) - {"__version__"} - documented
    assert {name for name in names if getattr(anytime_core, name).__module__ not in whole} == set()


def test_the_course_has_six_sessions_with_an_aim_each():
    text = (ROOT / "book" / "instructors.md").read_text(encoding="utf-8")
    rows = [row.strip("|").split("|") for row in re.findall(r"^\| [1-6] .+\|$", text, re.MULTILINE)]
    assert [cells[0].split()[0] for cells in rows] == re.findall(r"^(\d)\. ", text, re.MULTILINE) == list("123456")
    listed = {chapter.page.removeprefix("book/") for chapter in CHAPTERS}
    for _, chapters, talk, exercises, hand_in in rows:
        assert {Path(page).with_suffix("").as_posix() for page in re.findall(r"\]\((.+?)\)", chapters)} <= listed
        assert sum(int(re.search(r"(\d+) min", cell)[1]) for cell in (talk, exercises)) == 90
        assert hand_in.strip()


# ------------------------------------------------------------------------------------------------ slides, sheets, quiz


SLIDES = sorted((ROOT / "book/slides").glob("session_*.md"))
NOTES = re.compile(r"^:::\{notes\} (\d+) min.*?\n(.*?)^:::$", re.MULTILINE | re.DOTALL)


def talk_minutes():
    text = (ROOT / "book" / "instructors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([1-6]) [^|]*\|[^|]*\| (\d+) min", text, re.MULTILINE)
    return {int(session): int(minutes) for session, minutes in rows}


@pytest.mark.parametrize("path", SLIDES, ids=lambda path: path.stem)
def test_every_slide_has_notes_and_their_minutes_are_those_of_the_talk(path):
    first, *slides = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    told = [NOTES.findall(slide) for slide in (first, *slides)]
    assert 9 <= len(told) <= 11
    assert [len(notes) for notes in told] == [1] * len(told)
    assert sum(int(minutes) for ((minutes, _),) in told) == talk_minutes()[int(path.stem[-1])]
    assert sum("?" in text for ((_, text),) in told) >= 6  # slides ask


def test_lesson_plans_share_out_ninety_minutes():
    text = (ROOT / "book" / "lesson_plans.md").read_text(encoding="utf-8")
    plans = re.findall(r"^\*\*Minutes\.\*\* (Talk .*)$", text, re.MULTILINE)
    minutes = [[int(re.findall(r"(\d+)(?!.*\d)", step)[0]) for step in plan.split("·")] for plan in plans]
    assert [steps[0] for steps in minutes] == list(talk_minutes().values())
    assert [sum(steps) for steps in minutes] == [90] * 6

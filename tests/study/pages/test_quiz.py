import re

import yaml
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from anytime_study.studies.study import ROOT

FILE = """
- ask: Which of $a$ and $b$?
  right: 2
  answers:
    - [the first, "It is too small."]
    - [the second, "It is large enough."]
"""


EXERCISE = """# E

```{{exercise}} A
:label: ex-a
:class: {kind}

Which?

- the first
- the second
```

```{{solution}} ex-a
:class: dropdown

**The second.** It is large enough.
```
"""


def built(folder, kind, text="# Quiz\n\n```{{quiz}} questions.yaml\n:kind: {kind}\n```\n"):
    source, out = folder / "source", folder / kind
    source.mkdir(exist_ok=True)
    (source / "questions.yaml").write_text(FILE)
    (source / "index.md").write_text(text.format(kind=kind))
    extensions = ["myst_parser", "sphinx_exercise", "anytime_study.pages.quiz"]
    with docutils_namespace():
        app = Sphinx(
            *(str(source), None, str(out), str(folder / "trees"), "html"),
            confoverrides={"extensions": extensions, "html_theme": "basic"},
            status=None,
            freshenv=True,
        )
        app.build(force_all=True)
    return (out / "index.html").read_text()


def test_a_page_folds_what_is_right_under_the_answers(tmp_path):
    page = built(tmp_path, "page")
    answers, _, folded = page.partition("<details>")
    assert "the second" in answers
    assert "large enough" not in answers
    assert "quiz-right-2" in answers
    assert "<strong>No.</strong> It is too small." in folded
    assert "<strong>Right.</strong> It is large enough." in folded


def test_on_paper_questions_and_key_are_apart(tmp_path):
    assert "large enough" not in built(tmp_path, "questions")
    key = built(tmp_path, "key")
    assert "<strong>B</strong>, the second. It is large enough." in key
    assert "too small" not in key


def test_the_solution_of_a_prediction_is_folded_without_scripts_and_others_are_left(tmp_path):
    folded = re.compile(r'<div class="solution admonition".*?<details><summary>.*?large enough.*?</details>', re.DOTALL)
    assert folded.search(built(tmp_path, "predict", EXERCISE))
    other = built(tmp_path, "other", EXERCISE)
    assert "solution dropdown admonition" in other
    assert "<details>" not in other


def test_the_book_asks_twenty_questions_and_the_right_answers_are_spread():
    questions = yaml.safe_load((ROOT / "book/quiz.yaml").read_text(encoding="utf-8"))
    assert len(questions) == 20
    assert all(len(question["answers"]) == 3 for question in questions)
    assert {len(answer) for question in questions for answer in question["answers"]} == {2}  # and what is said of it
    right = [question["right"] for question in questions]
    assert all(5 <= right.count(place) <= 8 for place in (1, 2, 3))

"""A quiz in a page: the directive ``quiz`` makes questions, answers and feedback of a YAML file.

Without JavaScript the answers are folded under each question; ``questions.js`` makes buttons and a score of the same
page. On paper (``:kind: questions`` and ``:kind: key``) questions and key are apart. For Sphinx it is an extension.

It folds the solution of an exercise of the class ``predict`` in the same way: its reader chooses first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

_KINDS = ("page", "questions", "key")


class Question(TypedDict):
    """One question of a file: ``right`` counts the answers from 1, each with what is said of it."""

    ask: str
    right: int
    answers: list[tuple[str, str]]


class Quiz(SphinxDirective):
    """``{quiz} FILE``, relative to the page; ``:kind:`` page, questions or key."""

    required_arguments = 1
    option_spec = {"kind": lambda text: directives.choice(text, _KINDS)}  # noqa: RUF012 (docutils reads it as it is)

    def run(self) -> list[nodes.Node]:
        """The questions in order, as the kind says."""
        path = Path(self.env.doc2path(self.env.docname)).parent / self.arguments[0]
        self.env.note_dependency(str(path))
        questions: list[Question] = yaml.safe_load(path.resolve().read_text(encoding="utf-8"))
        kind = self.options.get("kind", "page")
        if kind == "key":
            return [self._list([self._key(one) for one in questions], "1")]
        made = [self._question(number, one, folded=kind == "page") for number, one in enumerate(questions, start=1)]
        return [nodes.container("", *made, classes=["quiz", f"quiz-{kind}"])]

    def _question(self, number: int, question: Question, *, folded: bool) -> nodes.Node:
        asked = self._text(f"**{number}.** {question['ask']}")
        answers = self._list([self._text(answer) for answer, _ in question["answers"]], "A", "quiz-answers")
        found = nodes.container("", *asked, answers, classes=["quiz-question"])
        if folded:
            said = self._list(
                [self._said(question, place) for place in range(len(question["answers"]))], "A", "quiz-said"
            )
            found += [_raw("<details><summary>What is right?</summary>"), said, _raw("</details>")]
            found["classes"].append(f"quiz-right-{question['right']}")
        return found

    def _said(self, question: Question, place: int) -> list[nodes.Node]:
        word = "Right." if place + 1 == question["right"] else "No."
        return self._text(f"**{word}** {question['answers'][place][1]}")

    def _key(self, question: Question) -> list[nodes.Node]:
        answer, said = question["answers"][question["right"] - 1]
        return self._text(f"**{'ABCDE'[question['right'] - 1]}**, {answer.rstrip('.')}. {said}")

    def _list(self, items: list[list[nodes.Node]], kind: str, name: str = "quiz-key") -> nodes.Node:
        listed = nodes.enumerated_list(classes=[name], enumtype="arabic" if kind == "1" else "upperalpha", suffix=".")
        listed += [nodes.list_item("", *item) for item in items]
        return listed

    def _text(self, text: str) -> list[nodes.Node]:
        found = nodes.Element()
        self.state.nested_parse(StringList([text], self.arguments[0]), self.content_offset, found)
        return found.children


class PredictFirst(SphinxPostTransform):
    """Folds the solution that follows an exercise of the class ``predict``, so that it works without JavaScript too."""

    default_priority = 30  # once solutions have their titles

    def run(self, **_: Any) -> None:
        """Change the page."""
        for solution in self.document.findall(nodes.Element):
            if "solution" not in solution.get("classes", []) or not _predicted(solution):
                continue
            solution["classes"].remove("dropdown")  # which needs JavaScript
            content = solution[-1]
            content.insert(0, _raw("<details><summary>What happens?</summary>"))
            content += _raw("</details>")


def _predicted(solution: nodes.Element) -> bool:
    siblings = solution.parent.children if solution.parent is not None else []
    place = siblings.index(solution) if siblings else 0
    before = siblings[place - 1] if place else None
    return isinstance(before, nodes.Element) and "predict" in before.get("classes", [])


def _raw(html: str) -> nodes.Node:
    return nodes.raw("", html, format="html")


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of both."""
    app.add_directive("quiz", Quiz)
    app.add_post_transform(PredictFirst)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

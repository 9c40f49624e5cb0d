"""What is done alike on every page of the book, typed or made by code: a Sphinx extension."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_NO_BREAK_SPACE = "\u00a0"
_LEFT_ALONE = (nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw, nodes.comment)


class PercentSigns(SphinxPostTransform):
    """No line begins with a per cent sign: the space before it does not break, but for code and formulas."""

    default_priority = 900  # once what is glued is there

    def run(self, **_: Any) -> None:
        """Change the text of the page."""
        for text in list(self.document.findall(nodes.Text)):
            if any(isinstance(above, _LEFT_ALONE) for above in _ancestors(text)):
                continue
            before = text.parent[text.parent.index(text) - 1] if text.parent.index(text) else None
            after_number = isinstance(before, nodes.Node) and before.astext()[-1:].isdigit()
            if (kept := keep_percent_signs(text.astext(), after_number=after_number)) != text.astext():
                text.parent.replace(text, nodes.Text(kept))


def keep_percent_signs(text: str, *, after_number: bool = False) -> str:
    """The text with no-break spaces between numbers and per cent signs.

    Args:
        text: Prose.
        after_number: Whether what stands before the text, such as a glued value, ends with a digit.
    """
    found = re.sub(r"(?<=\d)\s%", f"{_NO_BREAK_SPACE}%", text)
    return re.sub(r"^\s%", f"{_NO_BREAK_SPACE}%", found) if after_number else found


def _ancestors(node: Any) -> list[Any]:
    found = []
    while node.parent is not None:
        node = node.parent
        found.append(node)
    return found


def without_thebe(*event: Any) -> None:
    """Leave the scripts of sphinx-thebe out of a page: nothing here uses them.

    Jupyter Book always adds them, and one of them twice, whose constants are an error in the console then.

    Args:
        event: What Sphinx gives for ``html-page-context``: application, page, template, context and document.
    """
    scripts = event[3]["script_files"]
    scripts[:] = [script for script in scripts if "thebe" not in f"{script.filename} {script.attributes}".lower()]


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of both."""
    app.add_post_transform(PercentSigns)
    app.connect("html-page-context", without_thebe, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

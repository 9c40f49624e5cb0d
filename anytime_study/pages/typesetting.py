"""What is done alike on every page of the book, typed or made by code: a Sphinx extension."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_LEFT_ALONE = (nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw, nodes.comment)


class PercentSigns(SphinxPostTransform):
    """No line begins with a per cent sign: the space before it does not break, but for code and formulas."""

    default_priority = 900  # once what is glued is there

    def run(self, **_: Any) -> None:
        """Change the text of the page."""
        for text in list(self.document.findall(nodes.Text)):
            if not any(isinstance(above, _LEFT_ALONE) for above in _ancestors(text)):
                place = text.parent.index(text)
                before = text.parent[place - 1].astext()[-1:] if place else ""
                text.parent.replace(text, nodes.Text(keep_percent_signs(text.astext(), before)))


def keep_percent_signs(text: str, before: str = "") -> str:
    """The text with no-break spaces between numbers and per cent signs.

    Args:
        text: Prose.
        before: The last character of what stands before the text, such as a glued value.
    """
    return re.sub(r"(?<=\d)\s%", "\N{NO-BREAK SPACE}%", before + text)[len(before) :]


def _ancestors(node: Any) -> Iterator[Any]:
    while (node := node.parent) is not None:
        yield node


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

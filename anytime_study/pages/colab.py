"""A notebook in Google Colab: the directive ``colab`` links it where the publishing environment names the repository.

GitHub's workflows do, in ``GITHUB_REPOSITORY``. Elsewhere the address is not known, and the directive says nothing.
For Sphinx it is an extension.
"""

from __future__ import annotations

import os
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_TEXT = """\
Or [open it in Colab](https://colab.research.google.com/github/{repository}/blob/main/notebooks/{notebook}.ipynb),
and run this first, in a cell of its own:

```
!git clone --depth 1 https://github.com/{repository} anytime
%cd anytime
%pip install --quiet . myst-nb papermill pydantic torchjd tyro
```
"""


def colab_text(notebook: str, repository: str | None) -> str:
    """What a page says of a notebook in Colab, in Markdown; nothing without an address.

    Args:
        notebook: Its name, without suffix.
        repository: Owner and name, as GitHub gives them.
    """
    return _TEXT.format(notebook=notebook, repository=repository) if repository else ""


class Colab(SphinxDirective):
    """``{colab} NOTEBOOK``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The link and what to run first, if the address is known."""
        said = nodes.Element()
        lines = colab_text(self.arguments[0], os.environ.get("GITHUB_REPOSITORY")).splitlines()
        self.state.nested_parse(StringList(lines, "colab"), self.content_offset, said)
        return said.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directive."""
    app.add_directive("colab", Colab)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

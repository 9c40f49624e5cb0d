"""Buttons of the book that lead to its repository: a Sphinx extension, named in `_config.yml`.

Where the book is published is not known in a checkout, so the pages name no address. Whoever publishes them says it in
the environment, and every page gets a button to the repository and one to report a fault of that page:

- ``BOOK_REPOSITORY``: the address, for instance ``https://github.com/owner/name`` (GitHub, GitLab or Bitbucket);
- ``BOOK_BRANCH``: the branch that the pages are built from; ``main`` if it is not given.

There is no "edit" button, since a page under ``book/results/`` is made by a run and is no file of the repository. There
are no buttons for Colab and Binder either: a notebook needs the package and its records beside it, which Colab has not,
and nobody has tried the environment on Binder.
"""

from __future__ import annotations

import os
import re
from typing import Any

from anytime_core import __version__

_ADDRESS = re.compile(r"https://[\w.-]+(?:/[\w.-]+){2,}")


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("config-inited", lambda _, config: config.html_theme_options.update(buttons(os.environ)))
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}


def buttons(environment: Any) -> dict[str, Any]:
    """Options of the theme for what the environment says; none if it names no repository.

    Raises:
        ValueError: the address is none of a repository.
    """
    address = environment.get("BOOK_REPOSITORY", "").strip().rstrip("/").removesuffix(".git")
    if not address:
        return {}
    if not _ADDRESS.fullmatch(address):
        raise ValueError(
            f"BOOK_REPOSITORY: expected an address such as https://github.com/owner/name, found {address!r}"
        )
    return {
        "repository_url": address,
        "repository_branch": environment.get("BOOK_BRANCH", "").strip() or "main",
        "use_repository_button": True,
        "use_issues_button": True,
    }

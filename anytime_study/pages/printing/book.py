"""The built book in, one PDF out."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import yaml

from anytime_core.files import atomic_write
from anytime_study.pages.printing import PrintingError
from anytime_study.pages.printing.chromium import find_chromium, print_document
from anytime_study.pages.printing.document import Part, parts_of, printable
from anytime_study.pages.printing.outline import with_outline

ROOT = Path(__file__).parents[3]

_PACKAGES = ("bs4", "playwright", "pypdf")


def print_book(root: Path = ROOT, *, out: Path | None = None, only: tuple[str, ...] = ()) -> Path:
    """Print the built book to one PDF. The document that is printed stays beside it.

    Args:
        root: The checkout, with the built book in ``_build/html``.
        out: The file to write; by default ``_build/book.pdf``.
        only: Print these pages alone, as the table of contents names them.

    Returns:
        Where the file is.

    Raises:
        PrintingError: the book is not built, or Chromium or a package is not there, or Chromium fails.
        OSError: the file cannot be written.
    """
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise PrintingError(f"not installed: {', '.join(missing)}; `make install` installs everything")
    build = root / "_build"
    parts = parts_of(root / "_toc.yml")
    if unknown := set(only) - {page for part in parts for page in part.pages}:
        raise PrintingError(f"expected pages of _toc.yml, found {', '.join(sorted(unknown))}")
    if only:
        parts = [Part(part.caption, [page for page in part.pages if page in only]) for part in parts]
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    of = {"title": config["title"], "authors": config["author"]}
    text, outline = printable(build / "html", [part for part in parts if part.pages], **of)
    find_chromium()  # before anything is written
    document = build / "book.html"
    atomic_write(document, text)
    out = out or build / "book.pdf"
    atomic_write(out, with_outline(print_document(document), outline, **of))
    return out

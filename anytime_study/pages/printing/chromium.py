"""Chromium, which sets and prints a document without a screen and without the network."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anytime_study.pages.printing import PrintingError
from anytime_study.pages.printing.outline import pages_of_places

# What runs Chromium without a screen, and keeps it from talking to anyone.
CHROMIUM_ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",  # root, as in a container, has no other way
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MINUTES = 10  # for some thousand equations on a slow machine
_FOOTER = '<div style="width: 100%; font-size: 8pt; text-align: center"><span class="pageNumber"></span></div>'
_MATHEMATICS_SET = "() => !window.MathJax || (window.MathJax.startup?.promise?.then(() => true) ?? false)"
_EMPTY_PICTURES = "() => [...document.images].filter((one) => !one.naturalWidth).map((one) => one.src.slice(0, 200))"
_FILL_IN = """(numbers) => document.querySelectorAll("[data-page-of]").forEach((place) => {
  place.textContent = numbers[place.dataset.pageOf] ?? "";
})"""


def find_chromium() -> str:
    """The installed Chromium or Chrome.

    Raises:
        PrintingError: there is none.
    """
    for name in _CHROMIUM_NAMES:
        if found := shutil.which(name):
            return found
    raise PrintingError(
        f"no Chromium found (looked for {', '.join(_CHROMIUM_NAMES)}); on Debian: apt-get install chromium. "
        "Or print single pages from your own browser"
    )


@contextmanager
def _opened(document: Path) -> Generator[Any]:
    """A tab of Chromium with a document, set and loaded, and with no way to the network."""
    from playwright.sync_api import Error, sync_playwright

    chromium = find_chromium()
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
            context = browser.new_context(color_scheme="light", offline=True)
            context.set_default_timeout(_MINUTES * 60_000)
            tab = context.new_page()
            tab.emulate_media(media="print")
            tab.goto(document.resolve().as_uri(), wait_until="load")
            tab.wait_for_function(_MATHEMATICS_SET)
            if missing := tab.evaluate(_EMPTY_PICTURES):
                raise PrintingError(f"{document}: pictures cannot be shown: {', '.join(missing)}")
            yield tab
            browser.close()
    except Error as error:
        raise PrintingError(f"{chromium} could not print {document}: {error}") from error


def print_document(document: Path) -> bytes:
    """Print a document of :func:`printable` as PDF, with page numbers and references to pages.

    Raises:
        PrintingError: Chromium or a package is not there, or Chromium fails.
    """
    with _opened(document) as tab:

        def printed() -> bytes:
            return tab.pdf(
                format="A4",
                margin={"top": "18mm", "bottom": "18mm", "left": "18mm", "right": "18mm"},
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=_FOOTER,
                print_background=True,
                tagged=True,  # for screen readers
            )

        # On which page a place is, only the first print can say. The second is as long: every number has its room.
        tab.evaluate(_FILL_IN, pages_of_places(printed()))
        return printed()

"""The places in a printed document: their pages, and the outline that leads to them."""

from __future__ import annotations

import logging
from io import BytesIO
from urllib.parse import unquote

Outline = list[tuple[str, list[tuple[str, str]]]]


def pages_of_places(pdf: bytes) -> dict[str, str]:
    """The page, from 1, of every place in a PDF that something in it links to."""
    from pypdf import PdfReader

    reader = PdfReader(BytesIO(pdf))
    numbers = {}
    for name, place in reader.named_destinations.items():
        page = reader.get_destination_page_number(place)
        if page is not None:
            numbers[unquote(name.removeprefix("/"))] = str(page + 1)
    return numbers


def with_outline(pdf: bytes, outline: Outline, *, title: str, authors: str) -> bytes:
    """Give a printed document its outline, which readers show beside the pages.

    Chromium could make one of the headings; it writes some of them twice, and does not know the parts.

    Args:
        pdf: The document.
        outline: For each part its heading, and the place and the title of each chapter. Chapters of a part without
            heading stand at the top.
        title: Of the book.
        authors: Of the book.
    """
    from pypdf import PdfReader, PdfWriter

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it finds Chromium's count of objects too low by some
    pages = {place: int(number) - 1 for place, number in pages_of_places(pdf).items()}
    reader = PdfReader(BytesIO(pdf))
    writer = PdfWriter(clone_from=reader)
    writer.pdf_header = reader.pdf_header
    for heading, chapters in outline:
        above = writer.add_outline_item(title=heading, page_number=pages[chapters[0][0]]) if heading else None
        for place, chapter in chapters:
            writer.add_outline_item(title=chapter, page_number=pages[place], parent=above)
    writer.add_metadata({"/Title": title, "/Author": authors, "/Creator": "anytime_study.pages.printing"})
    written = BytesIO()
    writer.write(written)
    return written.getvalue()

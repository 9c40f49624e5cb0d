"""The command ``python -m anytime_core.pages.printing``."""

import sys

import tyro

from anytime_core.pages.printing import PrintingError
from anytime_core.pages.printing.book import print_book

if __name__ == "__main__":
    try:
        tyro.cli(print_book, prog="python -m anytime_core.pages.printing")
    except PrintingError as problem:
        sys.exit(f"anytime: {problem}")

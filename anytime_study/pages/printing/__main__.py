"""The command ``python -m anytime_study.pages.printing``."""

import sys

import tyro

from anytime_study.pages.printing import PrintingError
from anytime_study.pages.printing.book import print_book

if __name__ == "__main__":
    try:
        tyro.cli(print_book, prog="python -m anytime_study.pages.printing")
    except PrintingError as problem:
        sys.exit(f"anytime: {problem}")

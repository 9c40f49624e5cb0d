"""The built book as one file for paper: `make pdf`.

Jupyter Book writes one page of HTML for each chapter. Here they become one document, in the order of the table of
contents, which Chromium sets and prints; so paper has the same figures and equations as the screen, and no second
engine has to agree with it. What paper cannot do is done otherwise:

- **Solutions** and the answers to self-checks are folded away on the screen. On paper they are the last chapter, and
  where they belong stands their page. Whoever hands out the book without solutions leaves that chapter out.
- **Code** that a chapter folds away is left out; code that it shows is printed.
- **Links** within the book lead to places in the file. Contents and references to solutions have page numbers.
- What can only be pressed (sidebar, buttons, the slider's controls) is not printed: ``book/_assets/print.css``.

Playwright, pypdf and Beautiful Soup are imported inside the functions, so that importing these modules does not need
them.
"""


class PrintingError(RuntimeError):
    """The book cannot be printed. The message says what is missing and where it comes from."""

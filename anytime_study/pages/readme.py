"""The answer in README.md, as the records have it: ``make readme`` writes it anew, and a test compares.

Usage: python -m anytime_study.pages.readme
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from anytime_study.pages.answer import answer, recommendation
from anytime_study.pages.evidence import load_evidence
from anytime_study.studies.study import ROOT

PICTURE = Path("book/_assets/trade-off.svg")  # a package index shows README where no dark style reaches its pictures
_ANSWER = re.compile(r"(?<=<!-- answer -->\n).*?(?=\n<!-- end of the answer -->)", re.DOTALL)


def with_answer(readme: str) -> str:
    """README's text with the answer of the records between its two comments."""
    sources = load_evidence().sources
    told = f"**The answer.** {answer(sources)} {recommendation(sources)}"
    text = textwrap.fill(told, 120, break_on_hyphens=False)
    return _ANSWER.sub(lambda _: text, readme)


def main() -> None:
    """Write the answer, and take the figure of the page *Does AdaLoss work?* from build/figures."""
    readme = ROOT / "README.md"
    readme.write_text(with_answer(readme.read_text()))
    drawn = (ROOT / "build/figures/trade-off.svg").read_text()
    (ROOT / PICTURE).write_text(drawn.replace("<svg ", '<svg style="background: #fff" ', 1))


if __name__ == "__main__":
    main()

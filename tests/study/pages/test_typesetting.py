from types import SimpleNamespace

import pytest

from anytime_study.pages.typesetting import keep_percent_signs, without_thebe

PAGE = """# Errors

It makes 3.1 % fewer errors, `100 * x % 2`, $5 % 2$, 95 %
of them.

| errors |
| --- |
| 12 % |

~~~python
a = 5 % 2
~~~
"""


def test_the_space_before_a_percent_sign_stays_unless_no_number_is_before_it():
    assert keep_percent_signs("3.1 % and 5\n% of x % y") == "3.1\u00a0% and 5\u00a0% of x % y"
    assert [keep_percent_signs(" % wrong", before) for before in ("4", "x", "")] == ["\u00a0% wrong", *[" % wrong"] * 2]


def test_thebe_is_left_out_and_nothing_else():
    scripts = [
        SimpleNamespace(filename="page.js", attributes={}),
        SimpleNamespace(filename="sphinx-thebe.js", attributes={}),
        SimpleNamespace(filename=None, attributes={"body": 'const THEBE_JS_URL = "x"'}),
    ]
    context = {"script_files": scripts}
    without_thebe(None, "a", "page.html", context, None)
    assert [script.filename for script in context["script_files"]] == ["page.js"]


def test_a_page_keeps_its_code_and_its_formulas(tmp_path):
    build_main = pytest.importorskip("sphinx.cmd.build").build_main
    (tmp_path / "index.md").write_text(PAGE, encoding="utf-8")
    (tmp_path / "conf.py").write_text(
        'extensions = ["myst_parser", "anytime_study.pages.typesetting"]\n'
        'html_theme = "basic"\nmyst_enable_extensions = ["dollarmath"]\n'
    )
    assert build_main(["-q", "-b", "html", str(tmp_path), str(tmp_path / "out")]) == 0
    made = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert made.count("\u00a0%") == 3
    assert "100 * x % 2" in made.replace('</span> <span class="pre">', " ")
    assert "5 % 2" in made

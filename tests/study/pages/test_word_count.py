import pytest

from anytime_study.pages.word_count import count_words, report, totals, words_of_prose

PAGE = """
<html><body><nav>Not these words</nav><article class="bd-article">
<h1>Three short words<a class="headerlink">#</a></h1>
<p>An error of 10.3 % at <span class="math">x_i</span> every exit's <code>net</code>.</p>
<details class="hide above-input"><summary><p>Show code cell source</p></summary></details>
<div class="cell_input"><pre>code = 1</pre></div>
<div class="cell_output"><pre>printed</pre><p>Generated sentence.</p><table><tr><td>cell</td></tr></table></div>
<figure><figcaption><span class="caption-number">Fig. 1</span>
<span class="caption-text">Errors fall.</span></figcaption></figure>
<dl class="py function"><dt>f(x)</dt><dd>Reference.</dd></dl><script>var a;</script>
</article></body></html>
"""


def test_words_are_those_of_headings_sentences_and_captions():
    heading, sentence, generated, caption = 3, 8, 2, 2  # the sentence: An error of 10.3 at every exit's net
    assert words_of_prose(PAGE) == heading + sentence + generated + caption
    assert words_of_prose("<html><body>words</body></html>") == 0  # no article


TOC = {
    "root": "book/intro",
    "parts": [
        {"caption": "Story", "chapters": [{"file": "book/a"}, {"file": "book/b"}]},
        {
            "caption": "Use",
            "chapters": [{"file": "book/api", "sections": [{"file": "book/api_b"}]}, {"file": "book/c"}],
        },
    ],
}


def test_the_main_line_is_the_first_part_and_the_reference_counts_nowhere(tmp_path):
    (tmp_path / "_toc.yml").write_text(str(TOC))  # a dictionary of Python is YAML
    (tmp_path / "_build/html/book").mkdir(parents=True)
    for place, page in enumerate(["intro", "a", "b", "api", "c"], start=1):
        text = f"<article class='bd-article'>{'word ' * place}</article>"
        (tmp_path / f"_build/html/book/{page}.html").write_text(text)
    counts = count_words(tmp_path)
    assert counts == {"Story": {"book/intro": 1, "book/a": 2, "book/b": 3}, "Use": {"book/c": 5}}
    assert totals(counts) == (6, 11)
    assert report(counts).splitlines()[-2:] == [
        "      6  main line, at most 12,000",
        "     11  whole book, at most 36,000",
    ]
    (tmp_path / "_build/html/book/c.html").unlink()
    with pytest.raises(FileNotFoundError):
        count_words(tmp_path)

"""The chapters of theory run with other parameters than their own, and say something about each."""

import warnings

import pytest
from IPython.display import HTML, Markdown

from anytime_core.errors import InputError

CHAPTERS = {
    "what_adaloss_does": [{"sigma2": 0.1}, {"sigma2": 100, "num_exits": 2}],
    "likelihood_and_barrier": [{"sigma2": 0.1}, {"barrier": 3}],
    "descent_and_failure": [{"floor": 0.2}, {"momentum": 0.0, "refresh_period": 1}],
    "sequences_in_full": [{"b": 3}, {"b": 1}, {"b": 1.5, "growth": 2}],
    "fairness_axioms": [{"sigma2": 0.1}, {"num_exits": 3}, {"scale_decades": 0}],
}


@pytest.mark.parametrize(
    ("name", "changed"),
    [(name, changed) for name, several in CHAPTERS.items() for changed in several],
    ids=lambda value: value if isinstance(value, str) else " ".join(f"{k}={v}" for k, v in value.items()),
)
def test_a_chapter_makes_sense_with_another_parameter(name, changed, run):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning would be noise on the page
        found = run(name, **changed)
    shown = found.shown
    assert changed.keys() <= found.defaults.keys()
    assert {type(value) for value in shown} <= {Markdown, HTML}  # sentences and tables, no bare values
    assert len(shown) >= 3
    for text in (value.data for value in shown):
        assert "nan" not in text.lower().split()
        assert "$" not in text  # math in computed sentences is not rendered


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_refuses_what_it_cannot_use(name, run):
    with pytest.raises(InputError, match=r"bad parameters: nonsense: there is no such parameter"):
        run(name, nonsense=1)


@pytest.mark.parametrize(
    ("name", "changed", "field"),
    [
        ("what_adaloss_does", {"sigma2": -1.0}, "sigma2"),
        ("sequences_in_full", {"b": 0.5}, "b"),
        ("descent_and_failure", {"floor": "large"}, "floor"),
    ],
)
def test_a_value_out_of_range_is_named(name, changed, field, run):
    with pytest.raises(InputError, match=rf"bad parameters: {field}: "):
        run(name, **changed)

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from anytime_core.errors import InputError
from anytime_study.foundations.validation import read_yaml, validated
from anytime_study.runs.config import RunConfig


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    size: int = 1


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    count: int = Field(ge=1)
    kind: Literal["a", "b"] = "a"
    even: int = 2
    inner: Inner = Inner()

    @field_validator("even")
    @classmethod
    def _is_even(cls, value):
        if value % 2:
            raise ValueError("expected an even number")
        return value

    @model_validator(mode="after")
    def _fits(self):
        if self.count > 10 * self.even:
            raise ValueError(f"count: expected at most 10 times even, found {self.count}")
        return self


def message(values, **options):
    with pytest.raises(InputError) as caught:
        validated(Model, values, **options)
    return str(caught.value)


def test_good_values_make_the_model():
    assert validated(Model, {"count": 3, "inner": {"size": 2}}) == Model(count=3, inner=Inner(size=2))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"count": 0}, "bad parameters: count: expected greater than or equal to 1, found 0"),
        ({"count": "3"}, "bad parameters: count: expected a valid integer, found '3'"),
        ({}, "bad parameters: count: expected a value, found none"),
        ({"count": 1, "kind": "c"}, "bad parameters: kind: expected 'a' or 'b', found 'c'"),
        ({"count": 1, "even": 3}, "bad parameters: even: expected an even number, found 3"),
        ({"count": 50}, "bad parameters: together: count: expected at most 10 times even, found 50"),
        ({"count": 1, "inner": {"size": "big"}}, "bad parameters: inner.size: expected a valid integer, found 'big'"),
        (
            {"count": 1, "kinds": "a"},
            "bad parameters: kinds: there is no such name (did you mean kind?); known: count, kind, even, inner",
        ),
        (
            {"count": 1, "zzz": "a"},
            "bad parameters: zzz: there is no such name; known: count, kind, even, inner",
        ),
    ],
    ids=str,
)
def test_a_fault_is_one_line_with_name_expectation_and_finding(values, expected):
    assert message(values) == expected


def test_several_faults_have_a_line_each():
    assert message({"count": 0, "kind": "c", "even": 1}, where="file x").splitlines() == [
        "bad file x: ",
        "  count: expected greater than or equal to 1, found 0",
        "  kind: expected 'a' or 'b', found 'c'",
        "  even: expected an even number, found 1",
    ]


def test_a_long_value_is_cut():
    assert message({"count": "x" * 1000}).endswith(", found '" + "x" * 79 + "…")


def test_the_message_stands_alone():
    with pytest.raises(InputError) as caught:
        validated(Model, {"count": 0})
    assert caught.value.__suppress_context__  # no chain of pydantic's own errors
    assert isinstance(caught.value, ValueError)
    assert caught.value._render_traceback_() == [f"InputError: {caught.value}"]


def test_the_given_values_are_left_alone():
    values = {"count": 1}
    validated(Model, values)
    assert values == {"count": 1}


def test_the_real_config():
    with pytest.raises(InputError, match=r"^bad parameters: together: opt exit: expected 1 to 9, found 99$"):
        validated(RunConfig, {"weighting": "opt(exit=99)"})


def test_a_value_that_would_be_endless_to_write_down_is_cut_before_it_is_written():
    bomb = ["x"] * 10
    for _ in range(12):
        bomb = [bomb] * 10  # 10^13 values in a few lists
    assert message({"count": bomb}).startswith("bad parameters: count: expected a valid integer, found [[[[...], [...]")
    assert message({"count": 1, "kind": 10**5000}).endswith("found a int that is too long to write down")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("title: a\ntier: quick\ntitle: b\n", 3),
        ("grids:\n  - seed: [0]\n    epochs: 1\n    seed: [1]\n", 4),
        ("a: &a {b: 1, b: 2}\nc: [*a, *a]\n", 1),
    ],
)
def test_a_name_that_is_given_twice_is_refused(tmp_path, text, line):
    file = tmp_path / "twice.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=rf"(?s)bad file twice: .*is given twice.*line {line}"):
        read_yaml(file, where="file twice", expected="names")


def test_a_value_may_stand_in_two_places_and_lead_back_to_itself(tmp_path):
    file = tmp_path / "aliases.yaml"
    file.write_text("a: &a [1, *a]\nb: *a\nc: {a: 1, b: 1}\nd: {1: x, '1': y}\n")
    content = read_yaml(file, where="file", expected="names")
    assert content["a"][1] is content["b"]
    assert content["d"] == {1: "x", "1": "y"}


@pytest.mark.parametrize("text", ["", "- 1\n", "a"])
def test_anything_but_names_with_values_is_refused(tmp_path, text):
    file = tmp_path / "none.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match="expected names, found"):
        read_yaml(file, where="file", expected="names")

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from anytime_core.errors import InputError
from anytime_study.foundations.validation import read_yaml, validated


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
    assert caught.value.__suppress_context__  # no chain of pydantic's own errors
    return str(caught.value)


def test_good_values_make_the_model():
    assert validated(Model, {"count": 3, "inner": {"size": 2}}) == Model(count=3, inner=Inner(size=2))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"count": "3"}, "count: expected a valid integer, found '3'"),
        ({}, "count: expected a value, found none"),
        ({"count": 1, "even": 3}, "even: expected an even number, found 3"),
        ({"count": 50}, "together: count: expected at most 10 times even, found 50"),
        ({"count": 1, "inner": {"size": "big"}}, "inner.size: expected a valid integer, found 'big'"),
        (
            {"count": 1, "kinds": "a"},
            "kinds: there is no such name (did you mean kind?); known: count, kind, even, inner",
        ),
    ],
    ids=str,
)
def test_a_fault_is_one_line_with_name_expectation_and_finding(values, expected):
    assert message(values) == f"bad parameters: {expected}"


def test_several_faults_have_a_line_each():
    told = message({"count": 0, "kind": "c"}, where="file x").splitlines()
    assert told[0] == "bad file x: "
    assert [line.strip().partition(":")[0] for line in told[1:]] == ["count", "kind"]


def test_a_value_that_would_be_endless_to_write_down_is_cut():
    bomb = ["x"] * 10
    for _ in range(12):
        bomb = [bomb] * 10  # 10^13 values in a few lists
    assert len(message({"count": bomb})) < 10_000
    assert len(message({"count": 1, "kind": "x" * 1000})) < 200


@pytest.mark.parametrize("text", ["", "- 1\n", "a", "a: [", "a: !!python/name:os.system", "a: \x00"])
def test_anything_but_names_with_plain_values_is_refused(tmp_path, text):
    file = tmp_path / "none.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"bad file: expected (names|YAML), found"):
        read_yaml(file, where="file", expected="names")

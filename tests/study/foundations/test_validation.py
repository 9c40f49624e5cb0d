"""Messages about several faults, and about endless values; those of single ones are tested with the models."""

import pytest

from anytime_core.errors import InputError
from anytime_study.foundations.validation import read_yaml, validated
from anytime_study.runs.config import RunConfig


def message(values, **options):
    with pytest.raises(InputError) as caught:
        validated(RunConfig, values, **options)
    assert caught.value.__suppress_context__  # no chain of pydantic's own errors
    return str(caught.value)


def test_several_faults_have_a_line_each():
    told = message({"epochs": 0, "schedule": "c"}, where="file x").splitlines()
    assert told[0] == "bad file x: "
    assert [line.strip().partition(":")[0] for line in told[1:]] == ["epochs", "schedule"]


def test_what_was_found_is_told_once():
    assert message({"weighting": "adalos"}).endswith("(did you mean adaloss?), found 'adalos'")
    assert message({"epoch": 3}).startswith(
        "bad parameters: epoch: there is no such name (did you mean epochs?); known: dataset, train_size, "
    )
    assert message({"dataset": "mnist"}).count("found") == 1


def test_a_value_that_would_be_endless_to_write_down_is_cut():
    bomb = ["x"] * 10
    for _ in range(12):
        bomb = [bomb] * 10  # 10^13 values in a few lists
    assert len(message({"seed": bomb})) < 10_000
    assert len(message({"schedule": "x" * 1000})) < 200


@pytest.mark.parametrize("text", ["", "- 1\n", "a", "a: [", "a: !!python/name:os.system", "a: \x00"])
def test_anything_but_names_with_plain_values_is_refused(tmp_path, text):
    file = tmp_path / "none.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"bad file: expected (names|YAML), found"):
        read_yaml(file, where="file", expected="names")

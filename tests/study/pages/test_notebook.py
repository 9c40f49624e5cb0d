import ast

import nbformat
import pandas as pd
import pytest
from papermill.translators import PythonTranslator

from anytime_core.errors import InputError
from anytime_study.pages.notebook import TierParameters, TiersParameters, read_parameters, show
from anytime_study.runs.config import RunConfig
from anytime_study.studies.study import ROOT

BESIDES = {"records_dir": str}
DEFAULTS = {**RunConfig().model_dump(), "records_dir": "records"}


def notebook(injected=None, **globals_of_the_notebook):
    """A notebook's globals after papermill has set ``injected``: its first cell, papermill's cell, and the third."""
    injected = injected or {}
    cells = ["", "\n".join(f"{name} = {value!r}" for name, value in DEFAULTS.items())]
    if injected:
        cells.append("\n".join(["# Parameters", *(f"{name} = {_written(value)}" for name, value in injected.items())]))
    cells.append("config = read_parameters(globals(), RunConfig)")
    return {"__name__": "__main__", "In": cells, **DEFAULTS, **globals_of_the_notebook, **injected}


def _written(value):
    """As papermill writes a value into its cell."""
    return f'float("{value}")' if isinstance(value, float) and value != value else repr(value)


def refusal(**injected):
    with pytest.raises(InputError) as caught:
        read_parameters(notebook(injected), RunConfig, besides=BESIDES)
    return str(caught.value)


# --- what is let through -------------------------------------------------------------------------------------------


def test_injected_values_reach_the_config():
    assert read_parameters(notebook(), RunConfig, besides=BESIDES) == RunConfig()
    injected = {"epochs": 3, "weighting": "const", "records_dir": "elsewhere"}
    config = read_parameters(notebook(injected), RunConfig, besides=BESIDES)
    assert config == RunConfig(epochs=3, weighting="const")


def test_an_interactive_rerun_may_have_any_other_names():
    namespace = notebook(
        {"epochs": 3}, figure=object(), epoch=7, learning_rates=[1, 2], config="old", _=None, Out={}, np=pytest
    )
    namespace["In"] += ["epoch = 7", "# a comment\nlearning_rates = [1, 2]", "%matplotlib inline", "!ls", "x ="]
    assert read_parameters(namespace, RunConfig, besides=BESIDES) == RunConfig(epochs=3)


def test_a_notebook_may_define_some_of_the_fields_only_outside_ipython():
    assert read_parameters({"epochs": 2}, RunConfig) == RunConfig(epochs=2)


# --- what is refused: the parameter, what was expected, what was found ---------------------------------------------


@pytest.mark.parametrize(("name", "meant"), [("epoch", "epochs"), ("Epochs", "epochs"), ("record_dir", "records_dir")])
def test_a_misspelt_name_is_refused_with_the_one_that_was_meant(name, meant):
    found = refusal(**{name: 3})
    assert found.startswith(f"bad parameters: {name}: there is no such parameter (did you mean {meant}?); known: ")
    assert all(known in found for known in DEFAULTS)


def test_all_misspelt_names_are_told_at_once_before_bad_values():
    found = refusal(epoch=3, zzz=1, batch_size=0)
    assert found.startswith(
        "bad parameters: epoch: there is no such parameter (did you mean epochs?); zzz: there is no "
    )
    assert "such parameter; known: dataset, " in found


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("epochs", "many", "epochs: expected a valid integer, found 'many'"),
        ("learning_rate", float("nan"), "learning_rate: expected a finite number, found nan"),
        ("records_dir", None, "records_dir: expected str, found None"),
    ],
)
def test_a_bad_value_is_refused(name, value, expected):
    assert refusal(**{name: value}) == f"bad parameters: {expected}"


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_papermill_lists_every_parameter(path):
    """A line with a second equals sign is one that it leaves out."""
    (cell,) = [cell for cell in nbformat.read(path, 4).cells if "parameters" in cell.metadata.get("tags", [])]
    names = [line.target.id for line in ast.parse(cell.source).body]
    assert [parameter.name for parameter in PythonTranslator.inspect(cell)] == names


def test_only_papermills_cell_is_read_for_names():
    namespace = notebook({"epochs": 3})
    namespace["In"].append("\n# Parameters\nepoch = 3")  # papermill may put an empty line first
    with pytest.raises(InputError, match="epoch: there is no such parameter"):
        read_parameters(namespace, RunConfig, besides=BESIDES)
    namespace["In"][-1] = "print()\n# Parameters\nepoch = 3"
    assert read_parameters(namespace, RunConfig, besides=BESIDES).epochs == 3


def test_a_page_reads_its_own_records_or_others():
    assert TierParameters(tier="laptop", records_dir="").records is None
    assert TierParameters(tier="laptop", records_dir="data/records/live").records == ROOT / "data/records/live"
    assert TiersParameters(records_dir="data/records").records == ROOT / "data/records"


@pytest.mark.parametrize(
    ("model", "values", "expected"),
    [
        (TierParameters, {"tier": "desk"}, "tier: expected 'laptop', 'cifar' or 'paper', found 'desk'"),
        (
            TierParameters,
            {"records_dir": "nowhere"},
            "records_dir: expected a folder such as data/records/laptop, found",
        ),
        (TierParameters, {"records_dir": "README.md"}, "records_dir: expected a folder such as data/records/laptop, "),
        (
            TiersParameters,
            {"records_dir": "data/records/laptop"},
            "records_dir: expected a folder with folders such as ",
        ),
    ],
)
def test_a_page_refuses_a_tier_or_records_that_are_not_there(model, values, expected):
    with pytest.raises(InputError) as caught:
        read_parameters({"tier": "laptop", "records_dir": "", **values}, model)
    assert str(caught.value).startswith(f"bad parameters: {expected}")


def test_a_shown_table_has_no_index_rounded_numbers_and_no_empty_header():
    page = show(pd.DataFrame({"exit": [1, 2], "error": [0.12345, 2 / 3], "cost": [10, 20_776]}, index=[77, 78])).data
    assert "<td>0.123</td>" in page
    assert "<td>20776</td>" in page
    assert "77" not in page.replace("20776", "")
    wide = pd.DataFrame({"a": [1, 2], "key": ["x", "y"], "b": [1.0, 2.0]}).pivot_table(index="a", columns="key")
    assert "<th></th>" not in show(wide["b"].reset_index()).data

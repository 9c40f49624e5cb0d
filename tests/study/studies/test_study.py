import pytest
import yaml

from anytime_core.errors import InputError
from anytime_study.runs.config import RunConfig
from anytime_study.studies.study import ROOT, load_records, load_study

HEAD = {"title": "A study", "tier": "quick", "committed": False}


@pytest.fixture
def write(tmp_path):
    """Write a study file; a text as it is, anything else as YAML."""

    def write(content, **head):
        path = tmp_path / "study.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump({**HEAD, **content, **head}))
        return path

    return write


def refusal(path):
    with pytest.raises(InputError) as caught:
        load_study(path)
    return str(caught.value)


# --- expansion -----------------------------------------------------------------------------------------------------


def test_the_last_list_of_a_grid_runs_fastest(write):
    path = write(
        "title: A study\ntier: laptop\ncommitted: true\ncommon: {epochs: 2}\n"
        "grids:\n- {weighting: [const, linear], seed: [0, 1]}\n- {weighting: opt, seed: 5, epochs: 3}\n"
    )
    found, runs = load_study(path)
    assert runs == [
        *(RunConfig(weighting=weighting, seed=seed, epochs=2) for weighting in ("const", "linear") for seed in (0, 1)),
        RunConfig(weighting="opt", seed=5, epochs=3),  # a grid goes before what is common
    ]
    assert (found.title, found.tier, found.committed) == ("A study", "laptop", True)
    assert found.records == ROOT / "data" / "records" / "laptop"


def test_each_run_is_there_once_where_it_came_first(write):
    grids = [
        {"weighting": ["opt(exit=2)", "const"]},
        {"weighting": ["const", "opt( exit = 2 )"], "epochs": 15},  # other spellings of the same runs
        {"weighting": "linear"},
    ]
    _, runs = load_study(write({"grids": grids}))
    assert [run.weighting for run in runs] == ["opt(exit=2)", "const", "linear"]


def test_a_study_of_ones_own_needs_a_title_and_grids_and_lies_in_none_of_the_books_tiers(tmp_path):
    (tmp_path / "mine.yaml").write_text("title: Mine\ngrids: [{seed: [0, 1]}]\n")
    found, runs = load_study(tmp_path / "mine.yaml")
    assert (found.records, found.committed) == (ROOT / "data/records/local", False)
    assert runs == [RunConfig(seed=0), RunConfig(seed=1)]


def test_a_relative_path_starts_at_the_current_folder_alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert "No such file" in refusal("workflow/studies/quick.yaml")


# --- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tier": "huge"}, "tier: expected 'quick', 'laptop', 'cifar', 'language', 'paper' or 'local', found 'huge'"),
        ({"grids": []}, "grids: List should have at least 1 item"),
        ({"committed": "no"}, "committed: expected a valid boolean, found 'no'"),
        ({"grid": [{}]}, "grid: there is no such name (did you mean grids?)"),
    ],
    ids=str,
)
def test_a_bad_field_of_a_study_is_named(write, changes, message):
    path = write({"grids": [{}]}, **changes)
    assert refusal(path).startswith(f"bad study {path}: {message}")


def test_what_is_no_yaml_is_told_in_one_line_with_its_place(write):
    path = write("title: Mine\ngrids: [{seed: 0}\n")
    assert refusal(path).startswith(f"bad study {path}: expected YAML, found: expected ',' or ']', ")
    assert refusal(path).endswith(" in line 3")


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"epoch": 3}, "epoch: there is no such name (did you mean epochs?)"),
        ({"epochs": [1, 0]}, "epochs: expected greater than or equal to 1, found 0"),
        ({"seed": [[1, 2]]}, "seed: expected a valid integer, found [1, 2]"),
        ({"seed": []}, "seed: expected at least one value, found an empty list"),  # which would leave no run
        ({"batch_size": 9999}, "together: batch_size: expected at most the 1257 training images"),
    ],
    ids=str,
)
def test_a_bad_run_is_named_with_its_file_and_grid(write, grid, message):
    path = write({"grids": [{}, grid]})
    assert refusal(path).startswith(f"bad study {path}, grid 2: {message}")


# --- records of a study --------------------------------------------------------------------------------------------


def test_records_come_in_the_order_of_the_runs(made_up_record, tmp_path):
    records = [made_up_record(seed=seed) for seed in (2, 0, 1)]
    for record in reversed(records):
        record.save(tmp_path)
    assert load_records([record.config for record in records], tmp_path) == records
    assert load_records([], tmp_path) == []


def test_missing_records_are_counted_and_the_first_is_named(made_up_record, tmp_path):
    records = [made_up_record(seed=seed) for seed in range(3)]
    records[1].save(tmp_path)
    with pytest.raises(InputError) as caught:
        load_records([record.config for record in records], tmp_path)
    assert str(caught.value) == f"bad records in {tmp_path}: 2 of 3 missing, such as {records[0].name}.json"


def test_a_record_under_the_name_of_another_run_is_refused(made_up_record, tmp_path):
    right, wrong = made_up_record(seed=0), made_up_record(seed=1)
    wrong.save(tmp_path).rename(tmp_path / f"{right.name}.json")
    with pytest.raises(InputError, match=right.name):
        load_records([right.config], tmp_path)

import json
from importlib.metadata import version

import pytest
import yaml

from anytime_study.pages.build_status import notebook_minutes, tier_counts, versions
from anytime_study.studies.study import load_study


def executed(folder, name, **papermill):
    (folder / f"{name}.ipynb").write_text(json.dumps({"cells": [], "metadata": {"papermill": papermill}}))


def test_versions_are_those_that_are_installed():
    found = versions().set_index("package")["version"]
    assert found["torch"] == version("torch")
    assert found.index.is_unique


def test_minutes_come_from_runs_that_finished(tmp_path):
    executed(tmp_path, "short", duration=30.0, exception=None)
    executed(tmp_path, "long", duration=90.0)
    executed(tmp_path, "failed", duration=60.0, exception=True)
    executed(tmp_path, "killed", start_time="today")
    (tmp_path / "by_hand.ipynb").write_text('{"cells": [], "metadata": {}}')
    table = notebook_minutes(tmp_path)
    assert table.to_dict("list") == {"page": ["long", "short"], "minutes": [pytest.approx(1.5), pytest.approx(0.5)]}


def test_without_logs_there_is_an_empty_table(tmp_path):
    table = notebook_minutes(tmp_path / "none")
    assert list(table.columns) == ["page", "minutes"]
    assert table.empty


def test_records_are_counted_against_the_plan(tmp_path):
    studies, records = tmp_path / "studies", tmp_path / "records"
    (studies / "laptop").mkdir(parents=True)
    plan = {"title": "x", "tier": "laptop", "committed": True, "grids": [{"weighting": ["const", "adaloss"]}]}
    for name in ("one", "two"):  # the same runs twice: they count once
        (studies / "laptop" / f"{name}.yaml").write_text(yaml.safe_dump(plan))
    _, runs = load_study(studies / "laptop/one.yaml")
    (records / "laptop").mkdir(parents=True)
    (records / "laptop" / f"{runs[0].name}.json").write_text("{}")
    (records / "laptop" / "of-another-study.json").write_text("{}")
    rows = tier_counts(records=records, studies=studies).set_index("tier")
    assert rows.loc["laptop"].tolist() == [2, 2, 1]
    assert rows.loc["paper"].tolist() == [0, 0, 0]

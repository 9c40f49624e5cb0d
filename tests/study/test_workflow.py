"""What the workflow would run, asked of Snakemake itself in a copy of the checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from anytime_study.studies.study import load_study

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
STUDY = {
    "title": "A study with committed records",
    "tier": "laptop",
    "committed": True,
    "common": {"epochs": 1},
    "grids": [{"weighting": ["const", "adaloss"], "seed": [0, 1]}],
}


@pytest.fixture
def checkout(tmp_path):
    """A copy of the tracked files, as a clone has them, with a study whose records are all there but older."""
    for folder in ("anytime_core", "anytime_study", "notebooks", "workflow", "book"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "results"))
    for file in ("README.md", "CHANGELOG.md", "CITATION.cff", "_config.yml", "_toc.yml"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "workflow/studies/committed.yaml").write_text(yaml.safe_dump(STUDY))
    pages = {
        "page": {"notebook": "notebooks/quick.ipynb", "title": "x", "studies": ["workflow/studies/committed.yaml"]}
    }
    (tmp_path / "workflow/pages.yaml").write_text(json.dumps(pages))
    records = tmp_path / "data/records/laptop"
    records.mkdir(parents=True)
    _, runs = load_study(tmp_path / "workflow/studies/committed.yaml")
    for run in runs:
        path = records / f"{run.name}.json"
        path.write_text("{}")
        os.utime(path, (1e9, 1e9))  # older than the code, as a clone may have it
    return tmp_path


def planned(checkout, *arguments):
    """Jobs by rule in a dry run, and the outputs that training would make."""
    done = subprocess.run(
        [SNAKEMAKE, *arguments, "--dry-run", "--quiet", "host"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    output = done.stdout + done.stderr
    jobs = {
        rule: int(count)
        for rule, count in re.findall(r"^(train|train_\w+|study|pages_\w+|book)\s+(\d+)$", output, flags=re.MULTILINE)
    }
    return jobs, sorted(
        set(
            re.findall(
                r"data/records/laptop/(\S+)\.json",
                "\n".join(line for line in output.splitlines() if line.strip().startswith("output:")),
            )
        )
    )


def test_committed_records_are_kept_and_only_a_missing_one_is_made(checkout):
    jobs, trained = planned(checkout)
    assert jobs == {"pages_trained": 1, "book": 1}
    assert trained == []

    missing = sorted((checkout / "data/records/laptop").iterdir())[1]
    missing.unlink()
    jobs, trained = planned(checkout)
    assert jobs["train"] == 1
    assert trained == [missing.stem]


def test_records_that_are_not_committed_follow_the_code(checkout):
    study = checkout / "workflow/studies/committed.yaml"
    study.write_text(yaml.safe_dump({**STUDY, "committed": False}))
    jobs, _ = planned(checkout)
    # older than the code, so made again, all in one job: the negative control of the test above
    assert jobs == {"train_laptop": 1, "pages_trained": 1, "book": 1}
    jobs, _ = planned(checkout, "study", "--config", "study=workflow/studies/committed.yaml")
    assert jobs == {"train": 4, "study": 1}  # asked for by itself it can be spread over a cluster


def test_one_study_is_made_without_the_book(checkout):
    """Of a study that no page reads, and whose data are not here: Snakemake knows each run that has no record."""
    other = checkout / "workflow/studies/other.yaml"
    common = {"dataset": "ilsvrc", "network": "resann_imagenet(depth=14)", "epochs": 1}
    other.write_text(yaml.safe_dump({**STUDY, "tier": "paper", "common": common}))
    chosen = ("study", "--config", "study=workflow/studies/other.yaml")
    jobs, _ = planned(checkout, *chosen)
    assert jobs == {"train": 4, "study": 1}
    _, runs = load_study(other)
    for run in runs[1:]:
        path = checkout / "data/records/paper" / f"{run.name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
        os.utime(path, (1e9, 1e9))
    jobs, _ = planned(checkout, *chosen)
    assert jobs["train"] == 1


def test_every_page_is_in_the_table_of_contents_and_back():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = {chapter["file"] for part in toc["parts"] for chapter in part["chapters"]}
    pages = yaml.safe_load((ROOT / "workflow/pages.yaml").read_text())
    assert {name for name in listed if name.startswith("book/results/")} == {f"book/results/{name}" for name in pages}


PROFILES = sorted(path.name for path in (ROOT / "workflow/profiles").iterdir())


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_repeats_what_every_call_needs(name):
    """A profile takes the place of the default one."""
    profile = yaml.safe_load((ROOT / "workflow/profiles" / name / "config.yaml").read_text())
    assert {key: profile.get(key) for key in ("keep-going", "rerun-incomplete")} == {
        "keep-going": True,
        "rerun-incomplete": True,
    }
    assert profile.get("executor", "local") == {"default": "local"}.get(name, name)


@pytest.mark.parametrize("name", [name for name in PROFILES if name != "default"])
def test_a_study_is_planned_under_every_profile(checkout, name):
    """Snakemake refuses keys that it or an executor does not know; the second call shows that it does."""
    for path in (checkout / "data/records/laptop").iterdir():
        path.unlink()
    folder = checkout / "workflow/profiles" / name
    chosen = ("study", "--config", "study=workflow/studies/committed.yaml", "--workflow-profile", str(folder))
    jobs, _ = planned(checkout, *chosen)
    assert jobs == {"train": 4, "study": 1}
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text + f"{name}-no-such-key: 1\n")
    with pytest.raises(AssertionError, match="no-such-key"):
        planned(checkout, *chosen)

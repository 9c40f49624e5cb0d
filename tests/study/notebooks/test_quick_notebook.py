"""notebooks/quick.ipynb on a tiny study: it reads the study's records, whatever the study is."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from anytime_study.studies.study import load_study
from anytime_study.training.loop import train

ROOT = Path(__file__).parents[3]
STUDY = {
    "title": "Tiny",
    "tier": "quick",
    "committed": False,
    "common": {"network": "resann(n=1, c=4)", "epochs": 2, "train_size": 64, "batch_size": 32},
    "grids": [{"weighting": ["const", "linear", "opt"], "seed": [0, 1]}],
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(STUDY))
    _, runs = load_study(folder / "tiny.yaml")
    for run in runs:
        train(run, progress=False).save(folder / "records")
    return folder


def papermill(study, *parameters):
    out = study / "out.ipynb"
    command = [Path(sys.executable).with_name("papermill"), "notebooks/quick.ipynb", out, "--no-progress-bar"]
    command += ["-p", "study", study / "tiny.yaml", "-p", "records_dir", study / "records"]
    done = subprocess.run([*command, *parameters], cwd=ROOT, capture_output=True, text=True, timeout=300)
    return done, nbformat.read(out, as_version=4)


def test_it_shows_another_study(study):
    done, notebook = papermill(study)
    assert done.returncode == 0, done.stderr[-2000:]
    text = "\n".join(
        str(output.get("data", {}).get(kind, ""))
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        for kind in ("text/html", "text/markdown")
    )
    assert "6 runs of `resann(n=1, c=4)` with 3 exits" in text
    assert "LINEAR − CONST" in text
    assert "AdaLoss" not in text  # prose from the run only names what was run

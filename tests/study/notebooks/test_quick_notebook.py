"""notebooks/quick.ipynb on a tiny study: it reads the study's records, whatever the study is."""

import pytest
import yaml
from IPython.display import HTML, Markdown

from anytime_study.studies.study import load_study
from anytime_study.training.loop import train

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
    for config in load_study(folder / "tiny.yaml")[1]:
        train(config, progress=False).save(folder / "records")
    return folder


def test_it_shows_another_study(study, run):
    found = run("quick", study=str(study / "tiny.yaml"), records_dir=str(study / "records"))
    text = "\n".join(value.data for value in found.shown if isinstance(value, HTML | Markdown))
    assert "6 runs of `resann(n=1, c=4)` with 3 exits" in text
    assert "LINEAR − CONST" in text
    assert "AdaLoss" not in text  # prose from the run only names what was run
    assert len(found.figures) == 3

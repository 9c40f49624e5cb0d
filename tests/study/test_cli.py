import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from anytime_core import __version__
from anytime_core.errors import InputError
from anytime_study import study_commands
from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import RunRecord, load_outcome
from anytime_study.studies import study
from anytime_study.studies.runner import Finished
from anytime_study.training.artefacts import load_model
from anytime_study.training.checkpointed_run import run_to_record

TINY = [
    *("--train-size", "64", "--batch-size", "16", "--epochs", "1"),
    *("--network", "resann(n=1, c=4)"),
]


# --- help ----------------------------------------------------------------------------------------------------------


def test_help_of_train_tells_every_field(anytime):
    status, out, _ = anytime("train", "--help")
    assert status == 0
    assert all(f"--{field.replace('_', '-')}" in out for field in RunConfig.model_fields)
    assert "--records-dir" in out
    assert "passes over the training images" in re.sub(r"[│\s]+", " ", out)


@pytest.mark.parametrize("arguments", [[], ["bogus"], ["study"], ["train", "--epochs", "many"], ["train", "--epoch=1"]])
def test_arguments_that_cannot_be_read_are_told_without_a_traceback(anytime, arguments):
    status, out, err = anytime(*arguments)
    assert status != 0
    assert err + out
    assert "Traceback" not in err


def test_the_version_is_told(anytime):
    assert anytime("--version") == (0, f"anytime {__version__}\n", "")


@pytest.mark.slow
def test_a_reader_who_has_seen_enough_ends_it_quietly():
    command = f"{sys.executable} -m anytime_study.cli ledger | true"
    assert subprocess.run(command, shell=True, capture_output=True, text=True).stderr == ""


# --- bad input: one line, status 1 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--epochs", "-1"], "bad arguments: epochs: expected greater than or equal to 1, found -1"),
        (["train", "--weighting", "opt(exit=99)"], "bad arguments: together: opt exit: expected 1 to 9, found 99"),
        (["study", "nothing.yaml"], "bad study nothing.yaml: No such file or directory"),
        (
            ["study", "workflow/studies/quick.yaml", "--minutes", "0"],
            "bad arguments: minutes: expected above 0, found 0",
        ),
        (["train", "--device", "cuda"], "device: expected a GPU that PyTorch can use, found none"),
        (["fetch", "mnist3"], "data set: expected one of "),
        (["record", "check", "nowhere"], "nowhere: expected a folder of records, found none"),
        (
            ["train", "--records-dir", "README.md"],
            "records_dir: expected a folder that can be written, found README.md",
        ),
        (["ledger", "--records-dir", "nowhere"], "nowhere: expected a folder of records, found none"),
    ],
)
def test_bad_input_is_one_line_and_status_one(anytime, arguments, message):
    status, out, err = anytime(*arguments)
    assert (status, out) == (1, "")
    assert err.startswith(f"anytime: {message}")
    assert err.count("\n") == 1


# --- train ---------------------------------------------------------------------------------------------------------


def test_train_writes_one_record_and_prints_its_place_and_the_model_too(anytime, tmp_path, caplog):
    folders = ["--records-dir", tmp_path / "records", "--model-dir", tmp_path / "model"]
    status, out, err = anytime("train", *TINY, "--seed", "3", "--no-augment", *folders)
    assert status == 0, err
    config = RunConfig(train_size=64, batch_size=16, epochs=1, network="resann(n=1, c=4)", seed=3, augment=False)
    (path,) = (tmp_path / "records").iterdir()
    assert out == f"{path}\n"
    assert path.name == f"{config.name}.json"
    assert RunRecord.load(path).config == config
    assert load_model(tmp_path / "model").card.about["record"] == config.name
    assert "every weight stayed 1, as with const: the run has 4 steps" in caplog.text
    caplog.clear()
    anytime("train", *TINY, "--weighting", "adaloss(refresh_period=3)", "--records-dir", tmp_path / "records")
    assert not caplog.records


def test_a_run_that_diverges_is_recorded_as_that_and_not_as_a_result(anytime, tmp_path):
    status, out, err = anytime(
        "train", *TINY, "--learning-rate", "1e30", "--warmup-epochs", "0", "--records-dir", tmp_path / "records"
    )
    assert status == 1
    assert "epoch 1: losses: expected finite values of 0 or more" in err
    assert "Traceback" not in err
    (path,) = (tmp_path / "records").iterdir()
    assert out.strip() == str(path)
    record = load_outcome(path)
    assert (record.outcome, record.epoch) == ("diverged", 1)
    with pytest.raises(InputError, match=r"expected a finished run, found one that diverged: .*epoch 1"):
        RunRecord.load(path)


# --- study ---------------------------------------------------------------------------------------------------------


def test_runs_with_a_record_are_marked_and_a_damaged_one_is_to_do(anytime, made_up_record, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "RECORDS", tmp_path)
    records = [made_up_record(seed=seed) for seed in (0, 1, 2)]
    for record in records[1:]:
        record.save(tmp_path / "laptop")
    (tmp_path / "laptop" / f"{records[2].name}.json").write_text("{")
    grid = {**records[0].config.model_dump(exclude_defaults=True), "seed": [0, 1, 2]}
    content = {"title": "Mine", "tier": "laptop", "committed": True, "grids": [grid]}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
    status, out, _ = anytime("study", tmp_path / "study.yaml")
    assert status == 0
    lines = [f"{mark:6} {record.name}" for mark, record in zip(("to do", "made", "to do"), records, strict=True)]
    assert out.splitlines() == [*lines, "Mine: 3 runs, 1 with a record"]


@pytest.fixture
def own_study(made_up_record, monkeypatch, tmp_path):
    """A study of one's own whose runs take no time, in the working directory, and a weighting of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def run_study(todo, folder, **_):
        for config in todo:
            made_up_record(**config.model_dump(exclude_defaults=True)).save(folder)
            yield Finished(config, "finished", "in no time")

    monkeypatch.setattr(study_commands, "run_study", run_study)
    fields = made_up_record().config.model_dump(exclude_defaults=True)
    grid = {**fields, "weighting": ["const", "adaloss"], "seed": [0, 1, 2]}
    content = {"title": "Mine", "tier": "quick", "committed": False, "grids": [grid]}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    name = f"weightings_{tmp_path.name.replace('-', '_')}"  # a module is imported once
    (tmp_path / f"{name}.py").write_text(OWN_WEIGHTING)
    return f"{name}.Ramp"


OWN_WEIGHTING = """
import torch
from anytime_core import LossWeighting

class Ramp(LossWeighting):
    def __init__(self, num_exits: int, slope: float = 1.0) -> None:
        super().__init__(torch.linspace(1.0, 1.0 + slope, num_exits))

class Steep(Ramp):
    def __init__(self, num_exits: int) -> None:
        raise TypeError("too steep")

class Faulty(Ramp):
    def update(self, losses):
        self.weights[0] = 1 / 0
"""


def test_a_study_of_ones_own_ends_with_a_table_and_a_picture(anytime, own_study, tmp_path):
    status, out, err = anytime("study", "mine.yaml", "--jobs", "2", "--records-dir", "records")
    assert (status, err) == (0, "")
    assert re.search(r"^ *const +3 +11\.00 +2\.48 +31\.00 +2\.48$", out, flags=re.MULTILINE)
    assert out.endswith("saved: records/mine.csv records/mine.png\n")
    assert (tmp_path / "records/mine.png").stat().st_size > 1000


def test_a_weighting_of_ones_own_stands_beside_the_studys(anytime, own_study, tmp_path):
    command = ["compare-weighting", f"{own_study}(slope=2)", "--study", "mine.yaml", "--seeds", "0", "2"]
    status, out, err = anytime(*command, "--records-dir", "records")
    assert (status, err) == (0, "")
    assert "Ramp(slope=2.0), beside 2 of const and 2 of adaloss; 6 without a record" in out
    assert re.search(r"const +at the last exit +2 +0\.00 +0\.00 +0\.00", out)
    assert len(list((tmp_path / "records").glob(f"digits-resann-{own_study}-*.json"))) == 2
    assert len(list((tmp_path / "records").glob("*-beside-mine.png"))) == 1
    _, out, _ = anytime(*command, "--records-dir", "records")
    assert "0 without a record" in out


@pytest.mark.parametrize(
    ("given", "told", "against", "file"),
    [
        (
            "adaloss(momentum=0.9)",
            "3 runs of adaloss(momentum=0.9), beside 3 of const and 3 of adaloss; 9 without a record",
            ["const", "adaloss"],
            "adaloss-momentum=0.9-beside-mine.csv",
        ),
        (
            "adaloss(momentum=0.99)",
            "3 runs of adaloss, beside 3 of const; 6 without",
            ["const"],
            "adaloss-beside-mine.csv",
        ),
    ],
)
def test_adaloss_with_options_is_a_weighting_of_ones_own(anytime, own_study, tmp_path, given, told, against, file):
    status, out, err = anytime("compare-weighting", given, "--study", "mine.yaml", "--records-dir", "records")
    assert (status, err) == (0, "")
    assert told in out
    assert list(pd.read_csv(tmp_path / "records" / file)["against"].unique()) == against


def test_a_reference_with_a_rate_of_its_own_is_said_to_be_missing(anytime, own_study, tmp_path):
    with open("mine.yaml", "a") as file:
        file.write("own_rates: {const: 0.1, adaloss: 0.2}\n")
    status, out, _ = anytime("compare-weighting", own_study, "--study", "mine.yaml", "--records-dir", "records")
    assert status == 0
    assert "\nadaloss is not in the table: the study trains it otherwise than const" in out


@pytest.mark.parametrize(
    ("command", "weighting", "told"),
    [
        ("compare-weighting", "nowhere.Mine", "bad arguments: weighting: expected nowhere.Mine to be a class"),
        ("compare-weighting", "{}Steep", "bad arguments: together: {folder}/{}py:11: TypeError: too steep"),
        ("train", "{}Faulty", "{folder}/{}py:15: ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_wrong_with_a_weighting_of_ones_own_is_told_in_one_line(
    anytime, own_study, tmp_path, command, weighting, told
):
    module = own_study.removesuffix("Ramp")
    more = ["--study", "mine.yaml"] if command == "compare-weighting" else TINY
    given = weighting.format(module) if command == "compare-weighting" else f"--weighting={weighting.format(module)}"
    status, _, err = anytime(command, given, *more, "--records-dir", "records")
    assert status == 1
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith(f"anytime: {told.format(module, folder=tmp_path)}")


# --- predict -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """Folder of a trained model and the path of an image."""
    folder = tmp_path_factory.mktemp("predict")
    config = RunConfig(train_size=64, batch_size=16, epochs=1, network="resann(n=1, c=4)")
    run_to_record(config, folder / "records", progress=False, model_dir=folder / "model")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(folder / "image.png")
    return folder / "model", folder / "image.png"


@pytest.mark.parametrize(
    "limit",
    [["--exit", "3"], ["--deadline", "60s"], ["--macs", "1e9"], ["--confidence", "1"]],
    ids=lambda words: words[0],
)
def test_predict_prints_the_answer(anytime, saved_model, limit):
    model, image = saved_model
    status, out, err = anytime("predict", image, "--model", model, *limit)
    assert status == 0, err
    fields = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in out.splitlines())
    assert list(fields) == ["class", "probability", "exit", "MACs", "elapsed"]
    assert fields["class"] in list("0123456789")
    assert 0.1 <= float(fields["probability"]) <= 1
    assert fields["exit"] == "3 of 3"
    assert int(fields["MACs"]) > 0
    assert fields["elapsed"].endswith(" ms")
    assert ("no latency table of this device" in err) == (limit[0] == "--deadline")


def test_predict_answers_for_several_images_and_in_json(anytime, saved_model):
    model, image = saved_model
    status, out, err = anytime("predict", image, image, "--model", model, "--exit", "2")
    assert (status, err) == (0, "")
    assert [line for line in out.splitlines() if "image  " in line] == [f"image        {image}"] * 2
    status, out, err = anytime("predict", image, image, "--model", model, "--exit", "2", "--json")
    one, other = json.loads(out)
    assert {**one, "elapsed_s": 0} == {**other, "elapsed_s": 0}
    assert (one["image"], one["exit"], one["num_exits"], one["late"]) == (str(image), 2, 3, False)
    shares = list(one["probabilities"].values())
    assert len(shares) == 10
    assert shares == sorted(shares, reverse=True)
    assert (one["class_name"], one["probability"]) == next(iter(one["probabilities"].items()))


def test_predict_tells_that_an_answer_was_late(anytime, saved_model):
    model, image = saved_model
    status, out, _ = anytime("predict", image, "--model", model, "--deadline", "0.001us")
    assert status == 0
    assert "exit         1 of 3" in out
    assert "late: after the deadline" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "predict: expected one of deadline, macs, exit, confidence, found none"),
        (["--deadline", "soon"], "deadline: expected a time above 0 such as 2ms"),
        (["--exit", "1", "--threads", "0"], "threads: expected 1 to 1024, found 0"),
        (["--exit", "1", "--threads", "100000"], "threads: expected 1 to 1024, found 100000"),
    ],
)
def test_predict_refuses_bad_limits_in_one_line(anytime, saved_model, arguments, message):
    model, image = saved_model
    status, out, err = anytime("predict", image, "--model", model, *arguments)
    assert (status, out) == (1, "")
    assert err.startswith(f"anytime: {message}")
    assert err.count("\n") == 1


def test_predict_refuses_a_foreign_file_as_image_or_model_in_one_line(anytime, saved_model, tmp_path):
    model, image = saved_model
    nameless = shutil.copytree(model, tmp_path / "nameless")
    card = json.loads((model / "card.json").read_text())
    (nameless / "card.json").write_text(json.dumps({**card, "class_names": ["cat", "dog"]}))
    for arguments, message in [
        (("predict", model / "card.json", "--model", model), f"{model / 'card.json'}: no image that can be read"),
        (("predict", tmp_path / "none.png", "--model", model), f"{tmp_path / 'none.png'}: missing"),
        (("predict", image, "--model", tmp_path), f"bad model {tmp_path}: card.json: No such file or directory"),
        (("predict", image, "--model", nameless), "model: expected 10 class_names in its card, found 2"),
        (("predict", image, "--model", image), f"bad model {image}: card.json: Not a directory"),
    ]:
        status, out, err = anytime(*arguments, "--exit", "1")
        assert (status, out) == (1, "")
        assert err.startswith(f"anytime: {message}")
        assert err.count("\n") == 1

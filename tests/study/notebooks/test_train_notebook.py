"""The training notebook as a reader runs it: papermill from a shell, in the checkout."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import RunRecord, load_outcome

ROOT = Path(__file__).parents[3]
NOTEBOOK = ROOT / "notebooks" / "train.ipynb"
TINY = {"train_size": 64, "batch_size": 16, "epochs": 1, "network": "resann(n=1, c=4)"}


def papermill(folder, **parameters):
    """Run the notebook; its records go to ``folder/records``. Returns the finished process."""
    program = shutil.which("papermill", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    given = {**TINY, "records_dir": str(folder / "records"), **parameters}
    options = [text for name, value in given.items() for text in ("-p", name, str(value))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("MPLBACKEND", None)  # the notebook shows its figures inline
    return subprocess.run(
        [program, "notebooks/train.ipynb", str(folder / "out.ipynb"), "--no-progress-bar", "-k", "python3", *options],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_good_run_runs_every_cell_and_writes_one_record(tmp_path):
    done = papermill(tmp_path)
    assert done.returncode == 0, done.stderr

    (path,) = (tmp_path / "records").iterdir()
    record = RunRecord.load(path)
    assert record.config == RunConfig(**TINY)
    assert path.name == f"{record.name}.json" == f"{RunConfig(**TINY).name}.json"
    assert not record.stale
    assert (len(record.epoch_losses), record.num_exits) == (1, 3)

    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    code = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert len([output for output in outputs if "image/svg+xml" in output.get("data", {})]) == 4
    assert f"{path.name}\n" in "".join(output.get("text", "") for output in outputs)

    # made again over its own record it says nothing of that: for what a page says on stderr it is refused
    assert papermill(tmp_path).returncode == 0
    again = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    outputs = [output for cell in again.cells for output in cell.get("outputs", [])]
    assert f"{path.name}\n" in "".join(output.get("text", "") for output in outputs if output.get("name") == "stdout")
    assert "exists" not in "".join(output.get("text", "") for output in outputs if output.get("name") == "stderr")


def test_a_run_that_diverges_ends_there_and_is_recorded_as_that(tmp_path):
    done = papermill(tmp_path, learning_rate=1e30, warmup_epochs=0.0)
    assert done.returncode == 0, done.stderr  # else the workflow would throw the record away

    (path,) = (tmp_path / "records").iterdir()
    record = load_outcome(path)
    assert (record.outcome, record.epoch) == ("diverged", 1)
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    assert record.reason in "".join(output.get("text", "") for output in outputs)
    assert len([output for output in outputs if "image/svg+xml" in output.get("data", {})]) == 1  # the images alone


@pytest.mark.parametrize(
    ("name", "value", "parts"),
    [
        ("epochs", -1, ["epochs: ", "expected greater than or equal to 1", "found -1"]),
        ("learning_rate", "nan", ["learning_rate: ", "expected a finite number", "found nan"]),
        ("epoch", 3, ["epoch: ", "there is no such parameter", "(did you mean epochs?)"]),
        ("weighting", "adalos", ["weighting: ", "expected one of ", "(did you mean adaloss?)", "'adalos'"]),
    ],
)
def test_a_bad_parameter_stops_the_run_with_a_reason_and_writes_nothing(tmp_path, name, value, parts):
    done = papermill(tmp_path, **{name: value})
    assert done.returncode != 0
    message = done.stderr.partition("InputError: bad parameters: ")[2]
    assert all(part in message for part in parts), done.stderr
    assert "anytime_core/" not in message  # no path through the package's code
    assert not (tmp_path / "records").exists()


def test_the_parameters_are_the_fields_of_the_config_and_the_place_of_the_record():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    (cell,) = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    parameters = {
        statement.target.id: ast.literal_eval(statement.value)
        for statement in ast.parse(cell.source).body
        if isinstance(statement, ast.AnnAssign)
    }
    assert list(parameters) == [*RunConfig.model_fields, "records_dir"]
    assert parameters.pop("records_dir") == "data/records/local"
    assert parameters == {name: getattr(RunConfig(), name) for name in RunConfig.model_fields}
    assert len(ast.parse(cell.source).body) == len(RunConfig.model_fields) + 1

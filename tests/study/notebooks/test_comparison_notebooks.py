"""The chapters on small against large networks and on the EANN: with all runs made, and with none."""

import ast
import json
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.display import HTML, Markdown

from anytime_study.studies.experiments import load_experiments
from anytime_study.studies.study import ROOT

CHAPTERS = {"small_against_large": {"margin": 5.0}, "eann": {"tolerance": 40.0}}
MISSING = "*These runs have not all been made yet.*"


def run(name, **changed):
    """Execute the code of a notebook as papermill would; gives what its cells show, as text."""
    namespace, shown = {"In": []}, []
    for cell in json.loads((ROOT / f"notebooks/{name}.ipynb").read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        value = None
        if isinstance(tree.body[-1], ast.Expr):
            value = ast.Expression(tree.body.pop().value)
        exec(compile(tree, name, "exec"), namespace)
        if value is not None and (found := eval(compile(value, name, "eval"), namespace)) is not None:
            assert isinstance(found, HTML | Markdown), found  # nothing else is shown by accident
            shown.append(found.data)
        if "parameters" in cell["metadata"].get("tags", []):
            namespace.update(changed)
    return shown


@pytest.fixture(scope="module")
def records(tmp_path_factory, made_up_record):
    """A made-up record of every run that the two chapters read: errors fall with cost, a little apart by seed."""
    folder = tmp_path_factory.mktemp("records")
    experiments = load_experiments("laptop", records=folder)
    for name in ("small_against_large", "eann", "weightings"):
        for config in experiments[name].planned.values():
            exits = 3 * {"resann": 3}.get(config.network, int(config.network.partition("n=")[2].rstrip(")") or 3))
            rng = np.random.default_rng(config.seed)
            errors = (0.5 * np.arange(1, exits + 1) ** -0.5 + rng.uniform(0, 0.02, exits)).tolist()
            trained = [1.0] * exits
            if config.weighting.startswith("opt"):
                exit = int(config.weighting.partition("exit=")[2].rstrip(")") or exits)
                trained = [float(k + 1 == exit) for k in range(exits)]
            scores = {"test": errors, "weights": trained}
            made_up_record(scores=scores, **config.model_dump(exclude={"weights"})).save(folder)
    return folder


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("name", CHAPTERS)
@pytest.mark.parametrize("changed", [False, True])
def test_with_all_runs_every_part_is_there(name, changed, records):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning would be noise on the page
        shown = run(name, records_dir=str(records), **(CHAPTERS[name] if changed else {}))
    assert MISSING not in shown
    assert plt.get_fignums()
    assert all("nan" not in text.lower().replace("eann", "") for text in shown)
    assert "planned runs have been made; seeds 0, 1, 2, 3, 4" in shown[0]


@pytest.mark.parametrize("name", CHAPTERS)
def test_without_runs_it_says_so_and_shows_no_figure(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = run(name, records_dir=str(tmp_path))
    assert MISSING in shown
    assert not plt.get_fignums()
    assert any("not tested" in text for text in shown)


def test_a_stricter_tolerance_predicts_for_fewer(records):
    """The exercise's answer: no more seeds with a prediction at 2 than at 40 per cent."""
    loose, strict = (
        next(text for text in run("eann", records_dir=str(records), tolerance=tau) if "seeds with a prediction" in text)
        for tau in (40.0, 2.0)
    )
    assert "5 of 5" in loose
    assert "5 of 5" not in strict

"""The chapters on architectures, oscillating weights, other methods and what lies beyond: with all runs, some, none."""

import ast
import functools
import json
import re
import warnings
import zlib

import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.display import HTML, Markdown
from matplotlib.figure import Figure

from anytime_core.costs import exit_costs
from anytime_core.errors import InputError
from anytime_study.datasets import DATASETS
from anytime_study.studies import study
from anytime_study.studies.experiments import load_experiments
from anytime_study.studies.study import ROOT

CHAPTERS = {  # the figures that are drawn if all runs have been made
    "architectures": 4,
    "oscillating": 3,
    "methods_and_knobs": 4,
    "beyond": 4,
}
WITHOUT_RUNS = {"architectures": 1, "oscillating": 1, "methods_and_knobs": 0, "beyond": 0}  # the paper's, and the draws


@pytest.fixture(scope="module", autouse=True)
def _studies_are_read_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "load_study", functools.cache(study.load_study))
        yield


@pytest.fixture(autouse=True)
def _own_style(monkeypatch):
    """Figures are closed, the style is put back, and nothing is set in an IPython that is not there."""
    monkeypatch.setattr("anytime_study.pages.figures.set_matplotlib_formats", lambda *_, **__: None)
    with plt.rc_context():
        yield
    plt.close("all")


@functools.cache
def sizes(dataset, network):
    """Costs of a network's exits."""
    from anytime_study.runs.config import RunConfig

    costs = exit_costs(RunConfig(dataset=dataset, network=network).build_network(), DATASETS[dataset].image_shape)
    return {"cumulative": list(costs.macs_cumulative), "alone": list(costs.macs_fixed)}


@pytest.fixture(scope="module")
def all_runs(tmp_path_factory, made_up_record):
    """A folder with made-up records of every run that these chapters show, in the tier laptop."""
    folder = tmp_path_factory.mktemp("records")
    experiments = load_experiments("laptop", records=folder)
    for name in (*CHAPTERS, "weightings"):
        for config in experiments[name].planned.values():
            costs = sizes(config.dataset, config.network)
            noise = np.random.default_rng(zlib.crc32(config.name.encode())).uniform(0.9, 1.1, len(costs["alone"]))
            scores = {
                **costs,
                "test": (0.3 * noise / np.arange(1, len(noise) + 1)).tolist(),
                "weights": (noise * np.arange(1, len(noise) + 1)).tolist(),
            }
            made_up_record(scores=scores, **config.model_dump()).save(folder)
    return folder


def run(name, **changed):
    """Execute the code of a notebook as papermill would; gives the values that its cells show, and its figures."""
    cells = json.loads((ROOT / f"notebooks/{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    namespace, shown, figures = {"In": []}, [], []
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
        before = set(plt.get_fignums())
        exec(compile(tree, name, "exec"), namespace)
        if last:
            shown.append(eval(compile(last, name, "eval"), namespace))
        new = [plt.figure(number) for number in sorted(set(plt.get_fignums()) - before)]
        figures += [(figure, cell["metadata"].get("mystnb", {}).get("image", {}).get("alt")) for figure in new]
        if "parameters" in cell["metadata"].get("tags", []):
            namespace.update(changed)
            namespace["In"] = ["# Parameters\n" + "\n".join(f"{key} = {value!r}" for key, value in changed.items())]
    return [value for value in shown if value is not None], figures


def check(shown):
    """Sentences and tables, without math that would not be rendered, and without holes."""
    assert {type(value) for value in shown} <= {Markdown, HTML, Figure}
    texts = [value.data for value in shown if not isinstance(value, Figure)]
    for text in texts:
        assert "$" not in text
        assert not re.search(r"\bnan\b|\binf\b", text)
        assert "<tbody>\n  </tbody>" not in text  # no table without a row
    return "\n".join(texts)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_with_all_runs_draws_every_figure(name, all_runs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning would be noise on the page
        shown, figures = run(name, records_dir=str(all_runs))
        text = check(shown)
        assert len(figures) == CHAPTERS[name]
        for figure, alt in figures:
            assert len(alt) > 40  # each with words for those who cannot see it
            figure.canvas.draw()
    assert "Not shown" not in text
    assert "Not yet" not in text
    assert "not tested" not in text


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_without_runs_says_so(name, tmp_path):
    shown, figures = run(name, records_dir=str(tmp_path))
    text = check(shown)
    assert "There is nothing to show yet." in text
    assert re.search(r"Of the \d claims: \d not tested\.", text)
    assert len(figures) == WITHOUT_RUNS[name]


@pytest.mark.parametrize(("name", "tier"), [("architectures", "paper"), ("beyond", "cifar")])
def test_a_chapter_of_a_tier_with_other_runs_or_none(name, tier, tmp_path):
    shown, _ = run(name, records_dir=str(tmp_path), tier=tier)
    assert f"**Tier *{tier}*:** 0 of " in check(shown)


def test_with_some_runs_the_page_says_what_is_missing(all_runs, tmp_path):
    for path in all_runs.glob("*.json"):
        if "-gls-" not in path.name and "-adaloss-seed2-" not in path.name:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    shown, figures = run("methods_and_knobs", records_dir=str(tmp_path))
    text = check(shown)
    assert "for want of finished runs: AdaLoss; geometric mean (GLS).*" in text
    assert len(figures) == 4 - 1  # no knob without AdaLoss at three seeds
    assert "for want of finished runs: momentum 0.9 instead of 0.99; refresh in every step;" in text


def test_the_drawn_weights_follow_the_parameters(tmp_path):
    shown, figures = run("oscillating", records_dir=str(tmp_path), rho=0.5, num_exits=5, steps=20)
    assert "In every step all weights sum to 6.00 instead of 2.00." in check(shown)  # as the exercise says
    assert figures[0][0].axes[0].get_xlim() == (0.5, 20.5)
    assert figures[0][0].axes[0].get_ylim() == (0.5, 5.5)


@pytest.mark.parametrize(
    ("name", "changed", "field"),
    [(name, {"nonsense": 1}, "nonsense") for name in CHAPTERS]
    + [("oscillating", {"rho": 0.0}, "rho"), ("oscillating", {"steps": 1}, "steps")],
)
def test_a_chapter_refuses_what_it_cannot_use(name, changed, field):
    with pytest.raises(InputError, match=rf"bad parameters: {field}: "):
        run(name, **changed)

"""The chapters of results: with all runs made, with some, and with none."""

import functools
import json
import re
import warnings
import zlib

import numpy as np
import pytest
from IPython.display import HTML, Markdown
from matplotlib.figure import Figure

from anytime_core.costs import exit_costs
from anytime_core.errors import InputError
from anytime_study.datasets import find_card
from anytime_study.runs.config import RunConfig
from anytime_study.studies import study
from anytime_study.studies.experiments import load_experiments

CHAPTERS = {  # the figures that are drawn if all runs have been made, and without any: the paper's, and drawn weights
    "architectures": (2, 0),
    "oscillating": (2, 1),
    "other_methods": (4, 0),
    "larger_or_better": (2, 0),
    "eann": (4, 1),
}
EXPERIMENTS = (
    "architectures",
    "oscillating",
    "methods_and_knobs",
    "beyond",
    "small_against_large",
    "eann",
    "weightings",
)


@pytest.fixture(scope="module", autouse=True)
def _studies_are_read_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "load_study", functools.cache(study.load_study))
        yield


@functools.cache
def sizes(dataset, network):
    """Costs of a network's exits."""
    costs = exit_costs(RunConfig(dataset=dataset, network=network).build_network(), find_card(dataset).example())
    return {"cumulative": list(costs.macs_cumulative), "alone": list(costs.macs_fixed)}


@pytest.fixture(scope="module")
def all_runs(tmp_path_factory, made_up_record):
    """A made-up record of every run that these chapters show: errors fall with the exits, a little apart by seed."""
    folder = tmp_path_factory.mktemp("records")
    experiments = load_experiments("laptop", records=folder)
    for name in EXPERIMENTS:
        for config in experiments[name].planned.values():
            costs = sizes(config.dataset, config.network)
            count = len(costs["alone"])
            noise = np.random.default_rng(zlib.crc32(config.name.encode())).uniform(0.98, 1.02, count)
            weights = (noise * np.arange(1, count + 1)).tolist()
            if config.weighting.startswith("opt"):
                exit = int(config.weighting.partition("exit=")[2].rstrip(")") or count)
                weights = [float(k + 1 == exit) for k in range(count)]
            scores = {**costs, "test": (0.5 * noise * np.arange(1, count + 1) ** -0.5).tolist(), "weights": weights}
            made_up_record(scores=scores, **config.model_dump()).save(folder)
    return folder


@pytest.fixture
def checked(run):
    """Run a notebook without a warning; gives sentences and tables, without holes, as text, and the figures."""

    def execute(name, **changed):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a warning would be noise on the page
            found = run(name, **changed)
        assert {type(value) for value in found.shown} <= {Markdown, HTML, Figure}
        texts = [value.data for value in found.shown if not isinstance(value, Figure)]
        for text in texts:
            assert "$" not in text  # mathematics in computed sentences is not set
            assert not re.search(r"\bnan\b|\binf\b", text)
            assert "<tbody>\n  </tbody>" not in text  # no table without a row
        return "\n".join(texts), found.figures

    return execute


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_with_all_runs_draws_every_figure(name, checked, all_runs):
    text, figures = checked(name, records_dir=str(all_runs))
    assert len(figures) == CHAPTERS[name][0]
    for figure, alt in figures:
        assert len(alt) > 40  # each with words for those who cannot see it
        figure.canvas.draw()
    for missing in ("Not shown", "Not yet", "not tested", "not all been made yet"):
        assert missing not in text


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_without_runs_says_so(name, checked, tmp_path):
    text, figures = checked(name, records_dir=str(tmp_path))
    assert "There is nothing to show." in text
    assert len(figures) == CHAPTERS[name][1]


@pytest.mark.parametrize(("name", "tier"), [("architectures", "paper"), ("other_methods", "cifar")])
def test_a_chapter_of_a_tier_with_other_runs_or_none(name, tier, checked, tmp_path):
    assert (
        f"glossary.html#term-tier) *{tier}*). There is nothing"
        in checked(name, records_dir=str(tmp_path), tier=tier)[0]
    )


def test_with_some_runs_the_page_says_what_is_missing(checked, all_runs, tmp_path):
    for path in all_runs.glob("*.json"):
        if "-gls-" not in path.name and "-adaloss-seed2-" not in path.name:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    text, figures = checked("other_methods", records_dir=str(tmp_path))
    assert "for want of finished runs: AdaLoss; geometric mean (GLS).*" in text
    assert len(figures) == 4 - 1  # no knob without AdaLoss at three seeds
    assert "for want of finished runs: momentum 0.9 instead of 0.99; refresh in every step;" in text


def test_the_drawn_weights_follow_the_parameters(checked, tmp_path):
    text, figures = checked("oscillating", records_dir=str(tmp_path), rho=0.5, num_exits=5, steps=20)
    assert "In every step all weights sum to 6.00 instead of 2.00." in text  # as the exercise says
    shades = figures[0][0].axes[0].collections[0].get_array()
    assert shades.shape == (5, 20)  # a row per exit, a column per step


@pytest.fixture
def with_language(tmp_path, made_up_record):
    """A folder of records with those of the images, and of so many seeds of the language model: in these, AdaLoss makes
    3 % more errors at the first exit, as many fewer at the last one, and a tenth more of its own objective."""

    def make(seeds):
        for tier in ("laptop", "cifar"):
            (tmp_path / tier).symlink_to(study.RECORDS / tier)
        folder = tmp_path / "language"
        for config in load_experiments("language", records=folder)["language"].planned.values():
            if config.seed > seeds:
                continue
            costs = sizes(config.dataset, config.network)
            tilt = np.linspace(0.03, -0.03, 8) if config.weighting == "adaloss" else np.zeros(8)
            errors = np.linspace(0.6, 0.5, 8) * np.exp(tilt + 0.002 * np.random.default_rng(config.seed).normal(size=8))
            losses = np.linspace(1.8, 1.5, 8) * (1.1 if config.weighting == "adaloss" else 1)
            weights = [1.0] * 8
            if config.weighting.startswith("opt"):
                exit = int(config.weighting.partition("exit=")[2].rstrip(")") or 8)
                weights = [float(k + 1 == exit) for k in range(8)]
                errors[exit - 1] *= 0.9
            scores = {**costs, "test": errors.tolist(), "train": losses.tolist(), "weights": weights}
            made_up_record(scores=scores, **config.model_dump()).save(folder)
        return str(tmp_path)

    return make


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (
            0,
            [
                "No answer yet: none of the five planned seeds has been trained",
                "<td>0 of 5</td>",
                "We write the rules before the runs.",
            ],
        ),
        (1, ["This is one seed, so there is no interval. One of five planned pairs", "windows of text"]),
        (
            5,
            ["In this language model, AdaLoss trades early accuracy for late accuracy", "shown as claimed", "<td>10 ["],
        ),
    ],
)
def test_the_language_model_is_told_with_the_seeds_that_there_are(seeds, said, checked, with_language):
    text, ((figure, alt),) = checked("language_model", records_dir=with_language(seeds))
    for words in said:
        assert words in text
    figure.canvas.draw()
    assert len(figure.axes[0].lines) > 2
    assert len(alt) > 40


def test_the_page_beside_other_libraries_says_what_is_not_measured(checked, tmp_path):
    report = json.loads((study.ROOT / "benchmarks/results/amd-epyc-2-cores.json").read_text())
    report["rows"] = {
        name: row for name, row in report["rows"].items() if name not in ("msdnet_pytorch", "earlyon", "torchjd")
    }
    (tmp_path / "report.json").write_text(json.dumps(report))
    text, _ = checked("peers", report=str(tmp_path / "report.json"))
    assert "None of the comparisons has been measured yet." in text
    assert text.count("Not measured yet: `python -m benchmarks --rows") == 7


@pytest.mark.parametrize(
    ("name", "changed", "field"),
    [(name, {"nonsense": 1}, "nonsense") for name in (*CHAPTERS, "language_model")]
    + [
        ("larger_or_better", {"budget": "half"}, "budget"),
        ("oscillating", {"rho": 0.0}, "rho"),
        ("oscillating", {"steps": 1}, "steps"),
        ("eann", {"tolerance": -1}, "tolerance"),
    ],
)
def test_a_chapter_refuses_what_it_cannot_use(name, changed, field, run):
    with pytest.raises(InputError, match=rf"bad parameters: {field}: "):
        run(name, **changed)

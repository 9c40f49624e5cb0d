"""Figures of factors with limits and of cost inflation."""

import math

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from anytime_study.pages.result_figures.factors import factors_with_limits
from anytime_study.pages.result_figures.inflation import inflation_over_budget


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


def factors(values, *, pair="a", weighting="adaloss", fraction=1.0, limit=2.0):
    shared = {"pair": pair, "weighting": weighting, "fraction": fraction, "limit": limit}
    return pd.DataFrame([{**shared, "seed": seed, "factor": value} for seed, value in enumerate(values)])


def test_a_panel_per_pair_and_a_mark_per_seed():
    table = pd.concat([factors([1.2, 1.4, 1.3]), factors([1.1, 1.0, 0.9], weighting="const"), factors([1.5], pair="b")])
    figure = factors_with_limits(table)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    assert [len(marks.get_offsets()) for marks in figure.axes[0].collections] == [3, 3]


def test_an_unknown_factor_is_an_open_mark_at_the_limit():
    axes = factors_with_limits(factors([1.2, math.inf, 1.3, math.inf, 1.1])).axes[0]
    known, unknown = axes.collections
    assert len(known.get_offsets()) == 3
    assert unknown.get_offsets()[:, 1].tolist() == [2, 2]
    assert unknown.get_facecolor().size == 0
    interval = next(line for line in axes.get_lines() if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2)
    assert list(interval.get_ydata()) == [1.1, 2]  # cut off at the limit


def test_all_unknown_has_no_centre():
    axes = factors_with_limits(factors([math.inf] * 3)).axes[0]
    assert not [line for line in axes.get_lines() if line.get_marker() == "s"]


def test_inflation_has_seeds_mean_prediction_and_bounds():
    table = pd.DataFrame(
        [
            {"weighting": weighting, "seed": seed, "cost": cost * 1e6, "inflation": cost + seed}
            for weighting in ("adaloss", "const")
            for seed in (0, 1)
            for cost in (1.0, 2.0)
        ]
    )
    predicted = pd.DataFrame({"weighting": "adaloss", "cost": [1e6, 2e6], "inflation": [3.0, 9.0]})
    figure = inflation_over_budget(table, predicted=predicted, bounds={"bound": 3.0}, starts=[1.5e6])
    first, second = (
        {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}
        for axes in figure.axes
    )
    assert [*first] == ["seen, mean (thin: seeds)", "predicted", "bound"]
    assert [*second] == ["seen, mean (thin: seeds)", "bound"]
    assert first["seen, mean (thin: seeds)"].get_ydata().tolist() == [1.5, 2.5]
    assert figure.axes[1].get_ylim()[1] > 9  # one scale for all
    figure.canvas.draw()
    texts = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert "2" in texts

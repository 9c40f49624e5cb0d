"""Figures that are no curves: what is drawn is what the table says."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from anytime_study.analysis.statistics import mean_interval
from anytime_study.pages.result_figures import (
    dots,
    ratio_and_place,
    weights_over_steps,
)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def values(panel="a", row="const", numbers=(1.0, 2.0, 6.0)):
    return pd.DataFrame({"panel": panel, "row": row, "seed": range(len(numbers)), "value": numbers})


def test_dots_show_mean_interval_seeds_and_the_published_value():
    table = pd.concat([values(), values(row="adaloss", numbers=(4.0,))])
    figure = dots(
        table, value="value", row="row", rows=["adaloss", "const"], reference={("", "const"): 9.0}, xlabel="x"
    )
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["AdaLoss", "CONST"]
    means = {container.lines[0].get_ydata()[0]: container for container in axes.containers}
    assert means[0].lines[0].get_xdata().tolist() == [4.0]
    assert means[0].lines[2] == ()  # one seed has no interval
    interval = mean_interval([1.0, 2.0, 6.0])
    ((left, right),) = means[1].lines[2][0].get_segments()
    assert (left[0], right[0]) == pytest.approx((interval.low, interval.high))
    assert sorted(axes.collections[1].get_offsets()[:, 0].tolist()) == [1.0, 2.0, 6.0]
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"] == [9.0]


def test_dots_spread_over_panels_in_the_order_asked_for():
    table = pd.concat([values("a"), values("b")])
    figure = dots(table, value="value", row="row", panel="panel", panels=["b", "a"], xlabel="x")
    assert [axes.get_title() for axes in figure.axes] == ["b", "a"]


def test_dots_of_changes_are_in_per_cent():
    logs = [100 * math.log(factor) for factor in (0.5, 1.0, 2.0)]
    (axes,) = dots(values(numbers=logs), value="value", row="row", xlabel="x", changes=True).axes
    assert sorted(axes.collections[0].get_offsets()[:, 0].tolist()) == pytest.approx([-50, 0, 100])
    assert axes.containers[0].lines[0].get_xdata().tolist() == pytest.approx([0])  # a geometric mean
    assert axes.xaxis.get_major_formatter()(-5, 0) == "−5 %"


def test_weights_over_steps_are_shades_on_one_scale():
    left, right = np.array([[0.0, 1.0], [0.5, 1.0], [0.0, 2.0]]), np.ones((3, 2))
    figure = weights_over_steps({"a": left, "b": right})
    shades = [axes.collections[0] for axes in figure.axes[:2]]
    assert [axes.get_title() for axes in figure.axes[:2]] == ["a", "b"]
    assert np.array_equal(shades[0].get_array().reshape(2, 3), left.T)  # a row per exit, a column per step
    assert {shade.get_clim() for shade in shades} == {(0, 2)}
    assert (figure.axes[0].get_xlim(), figure.axes[0].get_ylim()) == ((0.5, 3.5), (0.5, 2.5))  # step 1, exit 1


def test_a_mark_per_run_and_a_cross_per_data_set():
    table = pd.DataFrame({"data": ["hard", "easy", "easy"], "ratio": [1.0, 2.0, 4.0], "place": [60.0, 61.0, 65.0]})
    (axes,) = ratio_and_place(table, ["easy", "hard"]).axes
    assert [len(marks.get_offsets()) for marks in axes.collections] == [2, 1]
    assert [(float(x), float(y)) for cross in axes.lines for x, y in cross.get_xydata()] == [(3, 63), (1, 60)]

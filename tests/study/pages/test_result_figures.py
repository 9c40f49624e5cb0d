"""Figures that are no curves: what is drawn is what the table says."""

import math

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from anytime_study.analysis.statistics import mean_interval
from anytime_study.pages.result_figures import dose, dots, seed_by_seed


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def values(panel="a", row="const", numbers=(1.0, 2.0, 6.0)):
    return pd.DataFrame({"panel": panel, "row": row, "seed": range(len(numbers)), "value": numbers})


def test_dots_show_mean_interval_seeds_and_the_published_value():
    table = pd.concat([values(), values(row="adaloss", numbers=(4.0, 6.0))])
    figure = dots(
        table, value="value", row="row", rows=["adaloss", "const"], reference={("", "const"): 9.0}, xlabel="x"
    )
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["AdaLoss", "CONST"]
    means = {container.lines[0].get_ydata()[0]: container for container in axes.containers}
    assert means[0].lines[0].get_xdata().tolist() == [5.0]
    assert means[0].lines[2] == ()  # two seeds have no interval
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


def test_a_dose_is_a_mean_per_place_in_the_shape_of_its_data():
    table = pd.DataFrame(
        {"dataset": ["CIFAR-10"] * 2 + ["Fashion-MNIST"], "place": list("aab"), "ratio": [2.0, 4.0, 1.0]}
    )
    table = table.assign(last=[100 * math.log(factor) for factor in (0.5, 2.0, 1.5)], first=0.0)
    (axes,) = dose(table, "ratio", "ratio", series={"first exit": "first", "last exit": "last"}, log_x=True).axes
    marks = [container.lines[0] for container in axes.containers[2:]]
    assert [mark.get_xydata().tolist() for mark in marks] == [
        [pytest.approx([3, 0], rel=0.01)],
        [pytest.approx([1, 50], rel=0.01)],
    ]
    assert [mark.get_marker() for mark in marks] == ["s", "o"]
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["first exit", "last exit", "CIFAR-10", "Fashion-MNIST"]


def test_a_point_per_seed_beside_the_paper():
    tables = {"ours": pd.DataFrame({"quarter": [100 * math.log(2)], "last": [100 * math.log(0.5)]})}
    (axes,) = seed_by_seed(tables, {"quarter": 0.0, "last": 100 * math.log(0.9)}).axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert (drawn["ours"], drawn["the paper"]) == ([pytest.approx([100, -50])], [pytest.approx([0, -10])])

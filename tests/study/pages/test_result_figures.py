import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from anytime_study.analysis.statistics import mean_interval
from anytime_study.pages.result_figures.curves import curves_over_cost, exit_curves
from anytime_study.pages.result_figures.dots import dots
from anytime_study.pages.result_figures.finishing import sign
from anytime_study.pages.result_figures.verdicts import verdict_plot
from anytime_study.pages.result_figures.weights import weights_over_steps


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


def test_a_thing_has_one_look_in_all_panels_and_each_panel_its_legend():
    table = pd.DataFrame(
        {
            "exit": [1, 2] * 3,
            "value": range(6),
            "panel": ["l"] * 4 + ["r"] * 2,
            "data": ["x", "x", "y", "y", "y", "y"],
        }
    )
    left, right = exit_curves(table, value="value", ylabel="v", panel="panel", hue="data").axes
    assert left.lines[1].get_color() == right.lines[0].get_color() != left.lines[0].get_color()
    assert [[text.get_text() for text in axes.get_legend().get_texts()] for axes in (left, right)] == [
        ["x", "y"],
        ["y"],
    ]


def test_curves_are_means_with_bands_and_steps_hold():
    table = pd.DataFrame({"cost": [1, 2, 1, 2], "error": [0.4, 0.2, 0.2, 0.2], "name": "const", "seed": [0, 0, 1, 1]})
    (axes,) = curves_over_cost(table, xlabel="x", ylabel="y", hue="name", steps=True).axes
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([0.3, 0.2])
    assert axes.lines[0].get_drawstyle() == "steps-post"
    interval = mean_interval([0.4, 0.2])
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((interval.low, interval.high))


def test_the_verdict_plot_has_a_mark_per_trial():
    table = pd.DataFrame(
        {
            "claim": ["a", "a", "b"],
            "protocol": ["one_rate", "tuned_rate", "one_rate"],
            "verdict": ["opposite", "opposite", "inconclusive"],
            "score": [-2.0, -3.0, 0.5],
        }
    )
    (axes,) = verdict_plot(table).axes
    marks = [(line.get_xdata()[0], line.get_marker()) for line in axes.lines if line.get_linestyle() == "None"]
    assert marks == [(-2.0, "o"), (-3.0, "s"), (0.5, "o")]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]


def test_seeds_of_crosses_can_be_seen():
    table = pd.concat([values(row="something else"), values(row="const")])
    (axes,) = dots(table, value="value", row="row", xlabel="x").axes
    crosses, discs = (seeds for seeds in axes.collections if len(seeds.get_offsets()) == 3)
    assert crosses.get_linewidths()[0] > 0  # a cross without an outline is nothing
    assert discs.get_linewidths()[0] == 0


def test_curves_show_their_seeds_where_there_are_several():
    table = pd.DataFrame({"cost": [1, 2, 1, 2], "error": [0.4, 0.2, 0.2, 0.1], "name": "const", "seed": [0, 0, 1, 1]})
    (axes,) = curves_over_cost(table, xlabel="x", ylabel="y", hue="name").axes
    assert sorted(map(tuple, axes.collections[0].get_offsets().tolist())) == [(1, 0.2), (1, 0.4), (2, 0.1), (2, 0.2)]
    (axes,) = curves_over_cost(table[:2], xlabel="x", ylabel="y", hue="name").axes
    assert len(axes.collections) == 0  # one seed is its own mean


def test_exits_are_marked_by_whole_numbers():
    table = pd.DataFrame({"exit": [1, 2, 3], "value": [1.0, 2.0, 3.0], "weighting": "const"})
    (axes,) = exit_curves(table, value="value", ylabel="v").axes
    axes.figure.canvas.draw()
    assert all(tick == int(tick) for tick in axes.get_xticks())


def test_weights_over_steps_are_shades_on_one_scale():
    left, right = np.array([[0.0, 1.0], [0.5, 1.0], [0.0, 2.0]]), np.ones((3, 2))
    figure = weights_over_steps({"a": left, "b": right})
    shades = [axes.collections[0] for axes in figure.axes[:2]]
    assert [axes.get_title() for axes in figure.axes[:2]] == ["a", "b"]
    assert np.array_equal(shades[0].get_array().reshape(2, 3), left.T)  # a row per exit, a column per step
    assert {shade.get_clim() for shade in shades} == {(0, 2)}
    assert (figure.axes[0].get_xlim(), figure.axes[0].get_ylim()) == ((0.5, 3.5), (0.5, 2.5))  # step 1, exit 1


def test_a_signature_stands_below_all_panels():
    figure, _ = plt.subplots(1, 2)
    sign(figure, "three seeds")
    (text,) = figure.texts
    assert (text.get_text(), text.get_va()) == ("three seeds", "top")
    assert text.get_position()[1] < 0  # of the figure's height: a saved figure grows to hold it


@pytest.mark.parametrize(("count", "expected"), [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (5, (3, 2))])
def test_more_than_three_panels_stand_in_lines_of_two(count, expected):
    table = pd.DataFrame(
        [
            {"seed": seed, "cost": cost, "error": 0.1, "hue": "const", "panel": f"p{panel}"}
            for panel in range(count)
            for seed in (0, 1)
            for cost in (1.0, 2.0)
        ]
    )
    figure = curves_over_cost(table, xlabel="cost", ylabel="error", hue="hue", panel="panel")
    assert [axes.get_title() for axes in figure.axes] == [f"p{panel}" for panel in range(count)]
    grid = figure.axes[0].get_subplotspec().get_gridspec()
    assert (grid.nrows, grid.ncols) == expected
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "error" if place % expected[1] == 0 else "" for place in range(count)
    ]
    assert {axes.get_xlabel() for axes in figure.axes} == {"cost"}

import math

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from pandas.errors import MergeError

from anytime_study.analysis.statistics import mean_interval
from anytime_study.pages.difference_figures import change_over_cost, changes_by_exit, difference_curves
from anytime_study.pages.figures import looks
from anytime_study.runs.tables import exits_table


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def changes(**columns):
    """Three seeds at two exits under AdaLoss, with changes of -10, +20 and 0 % at the first exit only."""
    down, up = 100 * math.log(0.9), 100 * math.log(1.2)
    rows = {"exit": [1, 2] * 3, "fraction": [0.4, 1.0] * 3, "seed": [0, 0, 1, 1, 2, 2]}
    rows["change"] = [down, 0.0, up, 0.0, 0.0, 0.0]
    return pd.DataFrame({"weighting": "adaloss", **rows, **columns})


def percent(values):
    return [100 * math.expm1(value / 100) for value in values]


# --- the table -----------------------------------------------------------------------------------------------------


def test_changes_pair_seeds_and_exits(made_up_record):
    runs = [made_up_record(weighting=name, seed=seed) for name in ("const", "adaloss") for seed in (0, 2)]
    exits = exits_table([*runs, made_up_record(weighting="linear", seed=7)])
    exits.loc[exits["weighting"] == "adaloss", "test_error"] *= 0.9
    found = changes_by_exit(exits)
    assert found["weighting"].unique().tolist() == ["adaloss"]  # nobody has seed 7 under CONST
    assert sorted(zip(found["seed"], found["exit"], strict=True)) == [(s, e) for s in (0, 2) for e in (1, 2, 3)]
    assert found["change"].tolist() == pytest.approx([100 * math.log(0.9)] * 6)
    assert found.groupby("exit")["fraction"].first().tolist() == pytest.approx([1 / 3, 2 / 3, 1])


def test_pairs_lie_within_a_data_set_if_asked(made_up_record):
    exits = exits_table([made_up_record(weighting=name, seed=0) for name in ("const", "adaloss")])
    other = exits.assign(dataset="other", test_error=exits["test_error"] / 2)
    both = pd.concat([exits, other])
    assert len(changes_by_exit(both, within=["dataset"])) == 6
    with pytest.raises(MergeError):
        changes_by_exit(both)


def test_exits_without_weight_have_no_change(made_up_record):
    alone = made_up_record(weighting="opt(exit=2)", seed=0, scores={"weights": [0.0, 1.0, 0.0]})
    found = changes_by_exit(exits_table([made_up_record(weighting="const", seed=0), alone]))
    assert found["exit"].tolist() == [2]


# --- the figure ----------------------------------------------------------------------------------------------------


def test_a_curve_is_the_mean_with_its_interval_and_its_seeds_in_per_cent():
    table = changes()
    (axes,) = difference_curves(table).axes
    at_first = table.loc[table["exit"] == 1, "change"]
    curve = axes.lines[0]
    assert curve.get_xdata().tolist() == [0.4, 1.0]
    assert curve.get_ydata().tolist() == pytest.approx([*percent([at_first.mean()]), 0])
    interval, band = mean_interval(at_first), axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx(percent([interval.low, interval.high]))
    points = axes.collections[1].get_offsets()
    assert sorted(points[:, 1].tolist()) == pytest.approx([-10, 0, 0, 0, 0, 20])
    low, high = axes.get_ylim()
    assert -30 < low < -10
    assert 20 < high < 40
    assert axes.get_legend() is None  # one curve is named by the axis and the caption


def test_panels_share_their_axes_and_published_values_are_hollow_diamonds():
    table = pd.concat([changes(dataset="ours"), changes(dataset="theirs", weighting="linear")])
    published = {("ours", "adaloss"): {0.4: 100 * math.log(2)}}
    names = ["ours", "theirs", "nobody's"]
    left, right, empty = difference_curves(table, panel="dataset", panels=names, published=published).axes
    assert not len(empty.collections)
    assert left.get_ylim() == right.get_ylim()
    assert left.get_xlim() == right.get_xlim()
    (diamond,) = [line for line in left.lines if line.get_marker() == "D" and len(line.get_xdata())]
    assert (diamond.get_xdata().tolist(), diamond.get_ydata().tolist()) == ([0.4], pytest.approx([100]))
    assert diamond.get_markerfacecolor() == "none"
    assert left.get_ylim()[1] > 100
    assert [text.get_text() for text in empty.get_legend().get_texts()] == ["AdaLoss", "LINEAR", "the paper"]


def test_two_seeds_have_no_band_and_exits_are_whole_numbers():
    table = changes()
    (axes,) = difference_curves(table[table["seed"] < 2], x="exit").axes
    axes.figure.canvas.draw()
    assert all(tick == int(tick) for tick in axes.get_xticks())
    band, _ = axes.collections  # the other one is the seeds
    assert not any(len(path.vertices) for path in band.get_paths())


def test_the_last_source_is_coloured_and_the_paper_is_a_grey_curve():
    paper = {"quarter": 10.0, "half": 0.0, "three_quarters": -10.0, "last": -20.0}
    tables = {name: pd.DataFrame([paper]) / 2 for name in "ab"}
    (axes,) = change_over_cost(tables, paper).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b", "the paper"]
    grey, coloured = (line.get_color() for line in axes.lines[:2])
    assert grey[1:3] == grey[3:5] == grey[5:7]
    assert coloured == looks(["adaloss"])["adaloss"].colour
    (theirs,) = [line for line in axes.lines if line.get_marker() == "D"]
    assert theirs.get_xdata().tolist() == [0.25, 0.5, 0.75, 1]
    assert theirs.get_ydata().tolist() == pytest.approx(percent(paper.values()))

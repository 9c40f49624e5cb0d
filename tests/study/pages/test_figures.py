import io

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from anytime_study.analysis.statistics import mean_interval
from anytime_study.pages.figures import (
    error_against_cost,
    label,
    looks,
    mean_curves,
    over_epochs,
    panels_of,
    sample_images,
    short_label,
    use_book_style,
)
from anytime_study.runs.registries import WEIGHTINGS
from anytime_study.runs.tables import epochs_table, exits_table


@pytest.fixture(autouse=True)
def _own_style():
    """Figures are closed and the style is put back, so that tests do not see each other."""
    with plt.rc_context():
        yield
    plt.close("all")


def svg(figure):
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def curves(figure):
    """Legend entry -> x, y and half widths of each curve of ``error_against_cost``."""
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    drawn = [line for line in axes.lines if len(line.get_xdata()) and line.get_linestyle() != "None"]
    bars = [bar for bar in axes.collections if hasattr(bar, "get_segments")]
    halves = [[(ends[1][1] - ends[0][1]) / 2 for ends in bar.get_segments() if len(ends)] for bar in bars]
    found = zip(names, drawn, halves, strict=True)
    return {name: (line.get_xdata().tolist(), line.get_ydata().tolist(), half) for name, line, half in found}


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weighting", "expected", "short"),
    [
        ("const", "CONST", "CONST"),
        ("adaloss_released", "AdaLoss, released", "AdaLoss (released)"),
        ("uw", "uncertainty weighting (UW)", "UW"),
        ("opt", "OPT, last exit", "OPT (last exit)"),
        ("opt(exit=2)", "OPT, exit 2", "OPT (exit 2)"),
        ("adaloss(floor=0.0)", "AdaLoss, floor=0.0", "AdaLoss (floor=0.0)"),
        ("mine", "mine", "mine"),
    ],
)
def test_how_the_book_writes_a_weighting(weighting, expected, short):
    assert (label(weighting), short_label(weighting)) == (expected, short)


def test_every_weighting_has_its_own_name_and_can_be_drawn(made_up_record):
    assert len({label(name) for name in WEIGHTINGS.entries}) == len(WEIGHTINGS.entries)
    found = looks(WEIGHTINGS.entries)
    assert len({(look.colour, look.marker) for look in found.values()}) == len(WEIGHTINGS.entries)  # no two look alike
    assert curves(error_against_cost(exits_table(made_up_record(weighting=name) for name in WEIGHTINGS.entries)))


def test_a_variant_has_the_look_of_its_kind_but_beside_the_kind_itself():
    alone, (variant, kind) = looks(["adaloss(floor=0.0)"]), looks(["adaloss(floor=0.0)", "adaloss"]).values()
    assert alone["adaloss(floor=0.0)"][1:] == kind[1:]
    assert variant.colour == kind.colour
    assert variant[2:] != kind[2:]


def test_where_adaloss_is_named_it_alone_is_coloured():
    found = looks(["large, CONST", "small, AdaLoss", "small, CONST"])
    assert found["small, AdaLoss"].colour == looks(["adaloss"])["adaloss"].colour
    others = {look.colour for key, look in found.items() if "AdaLoss" not in key}
    assert len(others) == 2
    assert all(colour[1:3] == colour[3:5] == colour[5:7] for colour in others)  # greys


# --- error against cost --------------------------------------------------------------------------------------------


def test_one_run_is_one_curve_over_cumulative_cost_without_intervals(made_up_record):
    found = curves(error_against_cost(exits_table([made_up_record(seed=2)])))
    assert found.keys() == {"AdaLoss"}
    cost, error, halves = found["AdaLoss"]
    assert cost == pytest.approx([110e-6, 220e-6, 330e-6])
    assert error == pytest.approx([0.12, 0.22, 0.32])
    assert halves == []


def test_several_seeds_give_means_with_students_intervals(made_up_record):
    table = exits_table(made_up_record(seed=seed, weighting="const") for seed in (0, 1, 5))
    _, error, halves = curves(error_against_cost(table))["CONST"]
    assert error == pytest.approx([0.12, 0.22, 0.32])
    interval = mean_interval([0.1, 0.11, 0.15])
    assert halves == pytest.approx([interval.high - interval.mean] * 3)
    points = error_against_cost(table).axes[0].collections[-1].get_offsets()
    assert sorted(points[:, 1].tolist()) == pytest.approx(sorted(table["test_error"]))  # every seed is shown


def test_opt_at_several_exits_is_one_set_of_points(made_up_record):
    def of(exit, seed):
        weights = [float(k == exit) for k in (1, 2, 3)]
        return made_up_record(weighting=f"opt(exit={exit})", seed=seed, scores={"weights": weights})

    records = [of(3, 0), of(3, 1), of(3, 2), of(2, 0), of(2, 1), of(2, 2), of(1, 0), of(1, 1)]
    found = curves(error_against_cost(exits_table(records)))
    (cost, error, halves) = found.pop("OPT, each exit alone")
    assert found == {}
    assert cost == [1e-4, 2e-4, 3e-4]
    assert error == pytest.approx([0.105, 0.21, 0.31])
    assert len(halves) == 2  # two seeds have none
    assert halves == pytest.approx([4.303 * 0.01 / 3**0.5] * 2, rel=1e-3)  # t of two degrees of freedom


def test_opt_is_one_point_at_the_cost_of_its_exit_alone(made_up_record):
    cost, error, _ = curves(error_against_cost(exits_table([made_up_record(weighting="opt")])))["OPT, last exit"]
    assert (cost, error) == (pytest.approx([300e-6], rel=0.01), pytest.approx([0.3]))


def test_weightings_stand_beside_each_other_by_less_than_a_step(made_up_record):
    found = curves(
        error_against_cost(exits_table(made_up_record(weighting=name) for name in ("const", "adaloss", "linear")))
    )
    places = [found[name][0][0] for name in ("CONST", "AdaLoss", "LINEAR")]
    assert len(set(places)) == 3
    assert places == pytest.approx([110e-6] * 3, abs=5e-6)


def test_equal_errors_of_all_seeds_are_drawn_without_a_warning(made_up_record, recwarn):
    table = exits_table(made_up_record(seed=seed) for seed in range(3)).assign(test_error=0.1)
    figure = error_against_cost(table)
    svg(figure)
    assert [str(warning.message) for warning in recwarn if issubclass(warning.category, RuntimeWarning)] == []
    assert figure.axes[0].get_ylabel() == "test error"
    assert figure.axes[0].get_ylim()[0] == 0


# --- curves ------------------------------------------------------------------------------------------


def test_what_is_highlighted_alone_has_a_colour_and_exits_are_whole_numbers():
    table = pd.DataFrame({"exit": [1, 2] * 3, "value": range(6), "data": [name for name in "xyz" for _ in (1, 2)]})
    (axes,) = mean_curves(table, "exit", "value", xlabel="exit", ylabel="v", hue="data", highlight="y").axes
    colours = [line.get_color() for line in axes.lines[:3]]
    assert [colour[1:3] == colour[3:5] == colour[5:7] for colour in colours] == [True, False, True]
    assert len(set(colours)) == 3
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["x", "y", "z"]
    axes.figure.canvas.draw()
    assert all(tick == int(tick) for tick in axes.get_xticks())


SEEDS = pd.DataFrame(
    {"cost": [1, 2] * 3, "error": [0.4, 0.2, 0.2, 0.1, 0.3, 0.3], "name": "const", "seed": [0, 0, 1, 1, 2, 2]}
)


def test_curves_are_means_with_bands_and_steps_hold():
    (axes,) = mean_curves(SEEDS, "cost", "error", xlabel="x", ylabel="y", hue="name", steps=True).axes
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([0.3, 0.2])
    assert axes.lines[0].get_drawstyle() == "steps-post"
    intervals = [mean_interval(values) for values in ([0.4, 0.2, 0.3], [0.2, 0.1, 0.3])]
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    ends = min(one.low for one in intervals), max(one.high for one in intervals)
    assert (heights.min(), heights.max()) == pytest.approx(ends)


def test_curves_show_their_seeds_where_there_are_several():
    (axes,) = mean_curves(SEEDS, "cost", "error", xlabel="x", ylabel="y", hue="name").axes
    points = axes.collections[-1].get_offsets().tolist()
    assert sorted(map(tuple, points)) == sorted(zip(SEEDS["cost"], SEEDS["error"], strict=True))
    (axes,) = mean_curves(SEEDS[:2], "cost", "error", xlabel="x", ylabel="y", hue="name").axes
    assert max(len(marks.get_offsets()) for marks in axes.collections) < 2  # one seed is its own mean


@pytest.mark.parametrize(("count", "expected"), [(1, (1, 1)), (2, (1, 2)), (3, (2, 2)), (5, (3, 2))])
def test_at_most_two_panels_stand_in_a_line_and_each_column_has_its_numbers(count, expected):
    figure, panels = panels_of(count, (3.0, 2.0), sharex=True)
    figure.canvas.draw()
    grid = panels[0].get_subplotspec().get_gridspec()
    assert (len(panels), (grid.nrows, grid.ncols)) == (count, expected)
    numbered = [axes for axes in panels if any(text.get_visible() for text in axes.get_xticklabels())]
    assert numbered == panels[-expected[1] :]


# --- over epochs ---------------------------------------------------------------------------------------------------


def test_a_panel_per_weighting_and_a_line_per_exit_of_means_over_seeds(made_up_record):
    records = [made_up_record(weighting=name, seed=seed, epochs=3) for name in ("const", "linear") for seed in (0, 1)]
    table = epochs_table(records)
    table.loc[table["seed"] == 1, "train_loss"] *= 3
    figure = over_epochs(table, "train_loss", ["linear", "const"])
    assert [axes.get_title() for axes in figure.axes] == ["LINEAR", "CONST"]
    for axes in figure.axes:
        assert axes.get_yscale() == "log"
        for number, line in enumerate(axes.lines[:3], start=1):
            assert list(line.get_xdata()) == [1, 2, 3]
            assert list(line.get_ydata()) == pytest.approx([2 * number, number, 2 * number / 3])
    assert figure.axes[0].get_ylabel() == "training loss (nats)"
    legend = figure.axes[1].get_legend()
    assert legend.get_title().get_text() == "exit"
    assert [text.get_text() for text in legend.get_texts()] == ["1", "2", "3"]


def test_an_exit_keeps_its_look_when_others_are_left_out(made_up_record):
    table = epochs_table([made_up_record()])
    whole = over_epochs(table, "weight", ["adaloss"]).axes[0].lines[2]
    alone = over_epochs(table[table["exit"] == 3], "weight", ["adaloss"]).axes[0].lines[0]
    assert (alone.get_color(), alone.get_linestyle()) == (whole.get_color(), whole.get_linestyle())


# --- images --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "shown"), [(4, 4), (5, 4), (7, 6)])
def test_full_rows_of_images_with_their_names(count, shown):
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(count, 1, 3, 3)
    labels = torch.arange(count) % 2
    figure = sample_images(images, labels, ["even", "odd"], columns=2)
    assert len(figure.axes) == shown
    assert [axes.get_title() for axes in figure.axes] == ["even", "odd"] * (shown // 2)
    assert [int(axes.images[0].get_array().flatten()[0]) for axes in figure.axes] == list(range(shown))


def test_colour_images_keep_their_channels_and_labels_stand_below_each_other():
    image = torch.arange(12, dtype=torch.uint8).view(1, 3, 2, 2)
    (axes,) = sample_images(image, torch.tensor([[0, 1]]), ["Dress", "Bag"], columns=1).axes
    assert axes.images[0].get_array().tolist() == image[0].permute(1, 2, 0).tolist()
    assert axes.get_title() == "Dress\nBag"


# --- style ---------------------------------------------------------------------------------------------------------


def test_a_figure_is_the_same_bytes_every_time(made_up_record):
    use_book_style()
    table = exits_table(made_up_record(weighting=name, seed=seed) for name in ("const", "opt") for seed in (0, 1))
    before = table.copy()
    first = svg(error_against_cost(table))
    pd.testing.assert_frame_equal(table, before)
    assert first == svg(error_against_cost(table))
    assert first != svg(error_against_cost(table.assign(test_error=table["test_error"] + 0.01)))
    assert plt.rcParams["savefig.facecolor"] == "none"  # the page's ground, light or dark, shows through

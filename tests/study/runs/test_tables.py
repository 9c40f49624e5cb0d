import pandas as pd
import pytest

from anytime_study.runs.tables import epochs_table, exits_table, show


def test_a_row_per_run_and_exit(made_up_record):
    table = exits_table([made_up_record(seed=2), made_up_record(exits=2, weighting="opt")])
    assert list(table.columns) == [
        *("run", "dataset", "network", "weighting", "seed", "exit", "macs_cumulative", "macs_fixed", "weight"),
        *("train_loss", "validation_loss", "test_loss", "train_error", "validation_error", "test_error"),
    ]
    assert table["exit"].tolist() == [1, 2, 3, 1, 2]
    assert table["weighting"].tolist() == ["adaloss"] * 3 + ["opt"] * 2
    assert table["macs_cumulative"].tolist() == [110, 220, 330, 110, 220]
    assert table["macs_fixed"].tolist() == [100, 200, 300, 100, 200]
    assert table["weight"].tolist() == [1, 1, 1, 0, 1]
    assert table["test_error"].tolist() == pytest.approx([0.12, 0.22, 0.32, 0.1, 0.2])
    assert table["train_loss"].tolist() == [1, 2, 3, 1, 2]
    assert table["seed"].tolist() == [2, 2, 2, 0, 0]
    assert table["run"].nunique() == 2


def test_each_split_has_its_own_columns(tiny_record):
    table = exits_table([tiny_record])
    for split in ("train", "validation", "test"):
        assert table[f"{split}_loss"].tolist() == getattr(tiny_record, split).loss
        assert table[f"{split}_error"].tolist() == getattr(tiny_record, split).error


def test_the_weight_is_the_last_one(made_up_record):
    record = made_up_record().model_copy(update={"epoch_weights": [[1.0, 1.0, 1.0], [0.2, 0.5, 1.0]]})
    assert exits_table([record])["weight"].tolist() == [0.2, 0.5, 1.0]


def test_a_row_per_run_epoch_and_exit(made_up_record):
    table = epochs_table([made_up_record(epochs=2), made_up_record(exits=2, epochs=1, weighting="opt")])
    assert list(table.columns) == ["run", "weighting", "seed", "epoch", "exit", "train_loss", "weight"]
    assert table["epoch"].tolist() == [1, 1, 1, 2, 2, 2, 1, 1]
    assert table["exit"].tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert table["train_loss"].tolist() == [1, 2, 3, 0.5, 1, 1.5, 1, 2]
    assert table["weight"].tolist() == [1] * 6 + [0, 1]


def test_records_may_come_from_a_generator(made_up_record):
    pd.testing.assert_frame_equal(
        exits_table(made_up_record(seed=seed) for seed in range(2)),
        exits_table([made_up_record(seed=0), made_up_record(seed=1)]),
    )


def test_no_records_give_an_empty_table():
    assert exits_table([]).empty
    assert epochs_table([]).empty


def test_a_shown_table_has_no_index_and_rounded_numbers():
    page = show(pd.DataFrame({"exit": [1, 2], "error": [0.12345, 2 / 3], "cost": [10, 20_776]}, index=[77, 78])).data
    assert "<td>0.123</td>" in page
    assert "<td>0.667</td>" in page
    assert "<td>20776</td>" in page
    assert "77" not in page.replace("20776", "")
    assert "<td>0.12</td>" in show(pd.DataFrame({"error": [0.12345]}), digits=2).data


def test_a_name_of_all_columns_is_not_shown_as_an_empty_header():
    wide = pd.DataFrame({"a": [1, 2], "key": ["x", "y"], "b": [1.0, 2.0]}).pivot_table(
        index="a", columns="key", values="b"
    )
    html = show(wide.reset_index()).data
    assert html.count("<th>") == html.count("<th></th>") + 3
    assert "<th></th>" not in html

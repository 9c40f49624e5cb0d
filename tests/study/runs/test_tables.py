import json

import pandas as pd
import pytest

from anytime_study.runs.tables import epochs_table, exits_table


def test_a_row_per_run_and_exit(made_up_record, made_up_divergence):
    record = made_up_record(seed=2, loss_scales=[1, 1, 2])
    record = record.model_copy(update={"epoch_weights": [[1.0] * 3, [0.2, 0.5, 1.0]]})
    table = exits_table(iter([record, made_up_record(exits=2, weighting="opt"), made_up_divergence(seed=9)]))
    assert table["exit"].tolist()[:-1] == [1, 2, 3, 1, 2]
    assert table["macs_cumulative"].tolist()[:-1] == [110, 220, 330, 110, 220]
    assert table["macs_fixed"].tolist()[:-1] == [100, 200, 300, 100, 200]
    assert table["weight"].tolist()[:-1] == [0.2, 0.5, 1, 0, 1]
    assert table["test_error"].tolist()[:-1] == pytest.approx([0.12, 0.22, 0.32, 0.1, 0.2])
    assert table["train_loss"].tolist()[:-1] == [1, 2, 3, 1, 2]
    assert table["seed"].tolist() == [2, 2, 2, 0, 0, 9]
    assert json.loads(table["loss_scales"][0]) == [1, 1, 2]
    assert table["made_device"].unique().tolist() == ["none"]
    last = table.iloc[-1]
    assert last["outcome"] == "diverged"
    assert pd.isna(last["exit"])


def test_each_split_has_its_own_columns(tiny_record):
    table = exits_table([tiny_record])
    for split in ("train", "validation", "test"):
        assert table[f"{split}_loss"].tolist() == getattr(tiny_record, split).loss
        assert table[f"{split}_error"].tolist() == getattr(tiny_record, split).error
    assert not [column for column in table if "correct" in column]


def test_a_row_per_run_epoch_and_exit(made_up_record):
    opt = made_up_record(exits=2, epochs=1, weighting="opt(exit=1)").model_copy(
        update={"epoch_losses": [[1.0, 0.0]], "epoch_weights": [[1.0, 0.0]]}
    )
    table = epochs_table([made_up_record(epochs=2), opt])
    assert list(table.columns) == ["run", "weighting", "seed", "epoch", "exit", "train_loss", "weight"]
    assert table["epoch"].tolist() == [1, 1, 1, 2, 2, 2, 1, 1]
    assert table["train_loss"].tolist()[:-1] == [1, 2, 3, 0.5, 1, 1.5, 1]
    assert pd.isna(table["train_loss"].iloc[-1])  # never trained, which is no loss of 0

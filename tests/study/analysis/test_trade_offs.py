"""Pairs of runs, whatever settings there are records of."""

import json
import math

import pandas as pd
import pytest

from anytime_study.analysis.trade_offs import (
    averaged_by_seed,
    change_table,
    headroom_table,
    pairs,
    pairs_of,
    published_changes,
    published_objective,
    setting,
)


@pytest.fixture
def records(made_up_record):
    """Of two seeds and two settings; AdaLoss's errors are 10 % more at the first exit, as many later."""

    def of(weighting, seed, errors, **fields):
        scores = {"test": errors, "train": [4.0, 2.0, 1.0] if weighting == "const" else [4.0, 4.0, 0.5]}
        return made_up_record(weighting=weighting, seed=seed, scores=scores, **fields)

    return [
        record
        for seed in (1, 2)
        for fields in ({"epochs": 2}, {"epochs": 4})
        for record in (of("const", seed, [0.5, 0.4, 0.2], **fields), of("adaloss", seed, [0.55, 0.4, 0.2], **fields))
    ]


def test_runs_are_paired_that_differ_in_the_weighting_alone(records, made_up_record):
    lonely = made_up_record(weighting="adaloss", seed=3, epochs=2)
    other_rate = made_up_record(weighting="adaloss", seed=1, epochs=2, learning_rate=0.2)
    found = pairs([*records, lonely, other_rate])
    assert len(found) == 4
    assert all(a.config.model_copy(update={"weighting": "const"}) == b.config for a, b in found)


def test_a_cpu_and_a_gpu_make_no_pair(records):
    gpu = records[0].provenance.model_copy(update={"device": "NVIDIA H200"})
    assert len(pairs([records[0].model_copy(update={"provenance": gpu}), *records[1:]])) == 3


def test_with_own_rates_a_pair_may_differ_in_its_rate_too(made_up_record, made_up_experiment):
    rates = {"const": 0.1, "adaloss": 0.2}
    made = [made_up_record(weighting=name, learning_rate=rate, seed=1) for name, rate in rates.items()]
    made.append(made_up_record(weighting="adaloss", learning_rate=0.1, seed=1))  # another question's
    ((a, b),) = pairs_of([made_up_experiment(made, own_rates=rates)])
    assert (a.config.learning_rate, b.config.learning_rate) == (0.2, 0.1)
    assert len(pairs_of([made_up_experiment(made)] * 2)) == 1  # at one rate, and once for both experiments


def test_changes_are_logarithms(records):
    table = change_table(pairs(records))
    assert table["first"].to_list() == pytest.approx([100 * math.log(1.1)] * 4)
    # a quarter of 330 lies before the exit at 110
    assert table["quarter"].to_list() == pytest.approx(table["first"].to_list())
    assert table["last"].to_list() == table["first_loss"].to_list() == [0.0] * 4
    assert table["last_loss"].to_list() == pytest.approx([-100 * math.log(2)] * 4)
    assert table["objective"].to_list() == pytest.approx([0.0] * 4, abs=1e-12)
    assert table["ratio"].to_list() == [4.0] * 4
    assert table["setting"].unique().tolist() == [setting(records[0].config), setting(records[2].config)]
    assert setting(records[0].config) == "Optical digits, 1,257 images × 2 epochs"
    config = json.loads(table["config"][0])
    assert (config["epochs"], config["learning_rate"]) == (2, [0.1, 0.1])
    assert not {"seed", "weighting"} & set(config)
    assert list(change_table([])) == list(table)


def test_seeds_are_averaged_over_networks_if_they_have_all():
    rows = [("a", 1, 2.0), ("b", 1, 4.0), ("a", 2, 5.0)]
    table = pd.DataFrame([{"network": name, "seed": seed, "last": value} for name, seed, value in rows])
    found = averaged_by_seed(table.reindex(columns=change_table([]).columns))
    assert found["last"].to_dict() == {1: 3.0}


def test_headroom_is_what_the_last_exit_wins_alone(records, made_up_record):
    scores = {"test": [0.9, 0.9, 0.15], "train": [3.0, 3.0, 0.5]}
    alone = made_up_record(weighting="opt", seed=1, epochs=2, scores=scores)
    (row,) = headroom_table([*records, alone]).to_dict("records")
    assert (row["alone"], row["seed"]) == ("opt", 1)
    assert (row["error"], row["loss"]) == pytest.approx((25.0, 50.0))
    at_its_rate = made_up_record(weighting="opt", seed=1, epochs=2, scores=scores, learning_rate=0.2)
    assert headroom_table([*records, at_its_rate]).empty
    assert headroom_table([*records, at_its_rate], own_rates=True).to_dict("records") == [row]


def test_the_papers_changes():
    table = pd.DataFrame(
        [(name, at, value) for at in (0.25, 0.5, 0.75, 1.0) for name, value in (("AdaLoss", 10.0), ("CONST", 21.0))],
        columns=["scheme", "cost_fraction", "relative_error_increase_percent"],
    )
    assert list(published_changes(table).values()) == pytest.approx([100 * math.log(110 / 121)] * 4)
    table.columns = ["scheme", "exit", "relative_train_loss_increase_percent"]
    assert published_objective(table) == pytest.approx(100 * math.log(110 / 121))

import numpy as np
import pytest

from anytime_study.analysis.trained_losses import against_const


def with_losses(record, losses):
    """The record with other training losses."""
    return record.model_copy(update={"train": record.train.model_copy(update={"loss": losses})})


def test_a_pair_by_hand_and_what_has_no_twin(made_up_record, made_up_experiment):
    const = with_losses(made_up_record(weighting="const"), [2.0, 1.0, 0.5])
    ours = with_losses(made_up_record(weighting="adaloss"), [4.0, 1.0, 0.25])
    alone = [made_up_record(weighting="adaloss", batch_size=64), made_up_record(weighting="sieve")]
    experiment = made_up_experiment([const, ours, *alone])
    table = against_const([experiment, experiment])  # planned twice, counted once
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["seed"], row["ratio"]) == (const.config.seed, 4)
    assert [row["first"], row["last"], row["mean"]] == pytest.approx([100 * np.log(2), -100 * np.log(2), 0])
    assert "batch_size" in row["setting"]
    assert "seed" not in row["setting"]
    assert against_const([experiment], "adaloss_formula").empty


def test_twins_may_have_learning_rates_of_their_own(made_up_record, made_up_experiment):
    pair = [made_up_record(weighting="const"), made_up_record(weighting="adaloss", learning_rate=0.05)]
    experiment = made_up_experiment(pair)
    assert against_const([experiment]).empty
    rates = {record.config.weighting: record.config.learning_rate for record in pair}
    own = type(experiment)(experiment.name, experiment.main, experiment.planned, experiment.outcomes, rates)
    assert len(against_const([own])) == 1

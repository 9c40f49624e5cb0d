"""Scores and record of a trained run."""

import math
from itertools import pairwise

import pytest
import torch

from anytime_core import exit_costs
from anytime_core.costs import ExitCosts
from anytime_core.inference.early_exit import EarlyExit
from anytime_study.runs.config import PROTOCOL
from anytime_study.runs.record import unpacked
from anytime_study.training.loop import TrainingRun, train
from anytime_study.training.scoring import TrainingDiverged


def trained(config):
    run = TrainingRun(config)
    run.fit(progress=False)
    return run


def test_the_record_is_consistent(tiny_config, tiny_record):
    config, record = tiny_config(), tiny_record
    assert (record.config, record.name, record.protocol) == (config, config.name, PROTOCOL)
    assert not record.stale
    exits = config.build_network().num_exits
    assert record.num_exits == exits == 3
    for table in (record.epoch_losses, record.epoch_weights):
        assert [len(row) for row in table] == [exits] * config.epochs
    for scores, images in [(record.train, 128), (record.validation, 180), (record.test, 360)]:
        assert len(scores.loss) == len(scores.error) == exits
        assert all(error * images == pytest.approx(round(error * images)) for error in scores.error)
    assert ExitCosts(**{key: tuple(value) for key, value in record.costs}) == exit_costs(
        config.build_network(), (1, 8, 8)
    )
    answers = unpacked(record.test_correct, 360)  # [K, N]
    assert (1 - answers.mean(axis=1)).tolist() == pytest.approx(record.test.error)
    assert record.timing.seconds > 0
    assert record.timing.images_per_second * record.timing.seconds == pytest.approx(2 * 128)
    assert record.provenance.threads == 1


def test_scores_are_those_of_the_trained_network_in_evaluation_mode(tiny_config):
    run = trained(tiny_config())
    record = run.record()
    run.network.eval()
    with torch.no_grad():
        logits = run.network(run.data.normalise(run.data.validation_images))
    wrong = (logits.argmax(-1) != run.data.validation_labels).double().mean(1)
    assert record.validation.error == pytest.approx(wrong.tolist())
    assert record.epoch_losses[-1] != pytest.approx(record.train.loss, rel=1e-3)  # training mode, augmented


def test_an_eann_adopts_exits_by_their_validation_error(tiny_config):
    record = train(tiny_config(network="eann(n=(1, 2), c=4)", epochs=4), progress=False)
    assert record.num_exits == 9
    falls = [after <= before for before, after in pairwise(record.validation.error)]
    assert all(falls)  # an exit that is no better repeats the best answer so far
    costs = record.costs
    assert costs.macs_cumulative[3] - costs.macs_cumulative[2] == costs.macs_fixed[3]  # the second member starts anew


def test_early_exit_is_measured_on_the_trained_network_and_changes_no_other_result(tiny_config, tiny_record):
    run = trained(tiny_config(early_exit=True))
    record = run.record()
    labels = run.data.test_labels
    found = record.early_exit
    early = EarlyExit(run.network, [math.inf if value is None else value for value in found.thresholds])
    prediction = early.predict(run.data.normalise(run.data.test_images))
    assert found.error == pytest.approx((prediction.logits.argmax(1) != labels).double().mean().item())
    assert found.macs == pytest.approx(prediction.mean_macs)
    assert found.last_macs == record.costs.macs_fixed[-1]
    assert found.last_error == pytest.approx(record.test.error[-1])
    assert sum(found.exit_shares) == pytest.approx(1)
    plain = {key: value for key, value in tiny_record.results().items() if key not in ("name", "config", "early_exit")}
    assert {key: record.results()[key] for key in plain} == plain
    assert tiny_record.early_exit is None


def test_a_trained_network_without_numbers_has_diverged(tiny_config):
    config = tiny_config()
    run = trained(config)
    torch.nn.init.constant_(next(run.network.heads[1].parameters()), math.nan)
    with pytest.raises(TrainingDiverged, match=r": the train loss of the trained network is nan; try a") as caught:
        run.record()
    found = caught.value.record
    assert (found.exit, found.epoch, len(found.epoch_losses)) == (2, config.epochs + 1, config.epochs)

"""A language model as a run like any other: the book's own pages are its text."""

import math

import pytest
import torch
from torch import nn

from anytime_study.pages.captions import images_text
from anytime_study.runs.config import RunConfig
from anytime_study.runs.gpt import gpt
from anytime_study.runs.record import RunRecord
from anytime_study.studies.cost import cost_table, measure_rate, run_macs
from anytime_study.studies.study import ROOT
from anytime_study.training.checkpointed_run import run_to_record
from anytime_study.training.loop import TrainingRun, train
from anytime_study.training.scoring import evaluate
from anytime_study.training.setup import decay_groups, make_optimiser

TEXT = {
    "dataset": f"text:{ROOT / 'book' / 'cookbook.md'}?context=16",
    "network": "gpt(width=16, blocks=2, heads=2)",
    "optimiser": "adamw",
    "learning_rate": 0.01,
    "weight_decay": 0.1,
    "batch_size": 32,
    "epochs": 4,
}


def config(**fields):
    return RunConfig(**{**TEXT, **fields})


def test_it_learns_and_its_record_goes_round(tmp_path):
    record, path = run_to_record(config(weighting="adaloss(refresh_period=5)"), tmp_path, progress=False)
    assert RunRecord.load(path).config == record.config
    assert record.num_exits == 2
    chance = math.log(len(record.config.card.class_names))
    assert record.epoch_losses[0][-1] > record.epoch_losses[-1][-1]
    assert max(record.train.loss) < 0.85 * chance
    assert all(0.3 < error < 0.95 for error in record.test.error)
    assert record.test_correct is None  # a bit per character would be larger than the text
    assert record.epoch_weights[-1] != [1.0, 1.0]
    assert record.results() == train(config(weighting="adaloss(refresh_period=5)"), progress=False).results()


@pytest.mark.parametrize("weighting", ["opt(exit=1)", "uw"])
def test_other_weightings_and_bfloat16(weighting):
    record = train(config(weighting=weighting, precision="bf16", epochs=1), progress=False)
    untrained = record.epoch_losses[0][1] == 0
    assert untrained == weighting.startswith("opt")
    assert all(map(math.isfinite, record.test.loss))


def test_every_character_of_a_window_is_scored():
    run = TrainingRun(config())
    loss, correct = evaluate(run.network, run.data.batches("test"))
    inputs, labels = (torch.cat(parts) for parts in zip(*run.data.batches("test"), strict=True))
    logits = run.network.eval()(inputs)
    assert correct.shape == (2, labels.numel())
    assert torch.equal(correct, (logits.argmax(-1) == labels).flatten(1))
    by_hand = [nn.functional.cross_entropy(each.flatten(0, 1), labels.flatten()).item() for each in logits]
    assert loss == pytest.approx(by_hand, rel=1e-5)
    assert images_text([run.config]) == f"{labels.numel():,} test characters"


def test_costs_are_of_a_window(monkeypatch):
    run = TrainingRun(config())
    matrices, attention, head = 12 * 16**2 * 16, 2 * 16**2 * 16, 16 * 16 * len(run.data.class_names)
    assert run.costs.macs_fixed == tuple(k * (matrices + attention) + head for k in (1, 2))
    assert run_macs(config(epochs=8)) > 1.9 * run_macs(config())
    assert measure_rate(config(), seconds=0.01) > 0
    (row,) = cost_table([(config(), False)], rate=1e9).to_dict("records")
    assert row["runs"] == 1


def test_adamw_spares_all_norms_and_takes_learned_weights():
    net = gpt(width=8, blocks=2, heads=2)
    norms = {p for part in net.modules() if isinstance(part, nn.LayerNorm) for p in part.parameters()}
    whole, spared = decay_groups(net, 0.1, spare_layer_norms=True)
    assert set(spared["params"]) == norms
    assert {*whole["params"], *norms} == set(net.parameters())
    assert not decay_groups(net, 0.1)[1]["params"]  # as it always was
    optimiser = make_optimiser(config(weighting="uw"), net, config(weighting="uw").build_weighting(net))
    assert isinstance(optimiser, torch.optim.AdamW)
    assert optimiser.defaults["betas"] == (0.9, 0.99)
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.1, 0.0, 0.0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"network": "resann"}, "network: expected one that reads a text"),
        ({"dataset": "digits"}, "network: expected one that reads images"),
        ({"early_exit": True}, "early_exit: expected False"),
        ({"network": "gpt(width=10, heads=3)"}, "width: expected a multiple of the 3 heads"),
        ({"network": "gpt(s=9)"}, "s: expected 1 to 8"),
    ],
)
def test_what_does_not_fit_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        config(**fields)

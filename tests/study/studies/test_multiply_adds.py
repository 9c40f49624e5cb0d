"""Multiply-adds of a run: the rule against PyTorch's own counter."""

import pytest
from torch.utils.flop_counter import FlopCounterMode

from anytime_core import exit_costs
from anytime_study.studies.multiply_adds import images_scored, training_macs
from anytime_study.training.loop import TrainingRun


def test_a_run_is_three_forward_passes_per_image_and_step(tiny_config):
    config = tiny_config(train_size=100, batch_size=32, epochs=5)  # 3 steps an epoch, 4 images are left out
    forward = exit_costs(config.build_network(), (1, 8, 8)).macs_cumulative[-1]
    assert training_macs(config) == 3 * forward * 5 * 3 * 32


@pytest.mark.parametrize("weighting", ["const", "opt(exit=1)", "adaloss", "uw", "adaloss(order=1)"])
def test_the_rule_is_what_a_real_step_computes(tiny_config, weighting):
    config = tiny_config(weighting=weighting, train_size=32, epochs=1, network="resann(n=1, c=16)")
    run = TrainingRun(config)
    with FlopCounterMode(display=False) as counter:
        next(run.steps())
    # the rule is a little above: images need no gradient, so one product of the first convolution is not computed
    assert counter.get_total_flops() / 2 == pytest.approx(training_macs(config), rel=0.05)
    assert counter.get_total_flops() / 2 < training_macs(config)


def test_gradient_norms_cost_two_forward_passes_for_each_exit(tiny_config):
    config = tiny_config(network="resann(n=2, c=4)")
    first_order = config.model_copy(update={"weighting": "adaloss(order=1)"})
    assert training_macs(first_order) == training_macs(config) * (3 + 2 * 6) / 3


def test_all_members_of_an_ensemble_are_paid(tiny_config):
    members = [tiny_config(network=f"resann(n={n}, c=4)") for n in (1, 2)]
    assert training_macs(tiny_config(network="eann(n=(1, 2), c=4)")) == sum(training_macs(each) for each in members)


def test_all_three_splits_are_scored(tiny_config):
    assert images_scored(tiny_config(train_size=100)) == 100 + 180 + 360

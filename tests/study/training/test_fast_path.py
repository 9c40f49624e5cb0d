"""The training path with all its means of speed against a plain loop that anybody would write."""

import logging

import pytest
import torch
import torch.nn.functional as F

from anytime_study.training.loop import TrainingRun, train
from anytime_study.training.setup import learning_rate_factor

EPOCHS = {"epochs": 3, "train_size": 512, "weighting": "adaloss(refresh_period=1, momentum=0.9)"}


def plain_loop(config):
    """Mean loss of every exit, epoch by epoch [E, K]: one loss after another, weights by hand, PyTorch's defaults."""
    run = TrainingRun(config)  # for its first weights and its batches
    net = config.build_network()
    net.load_state_dict(run.network.state_dict())
    net = net.to(memory_format=torch.contiguous_format)
    norms = [p for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d) for p in module.parameters()]
    others = [p for p in net.parameters() if not any(p is norm for norm in norms)]
    optimiser = torch.optim.SGD(
        [{"params": others, "weight_decay": config.weight_decay}, {"params": norms}], lr=0.1, momentum=config.momentum
    )
    exits, step, means, curves = net.num_exits, 0, None, []
    weights = [1.0] * exits
    for _ in range(config.epochs):
        total = [0.0] * exits
        for images, labels in run.epoch_batches():
            losses = [F.cross_entropy(logits, labels) for logits in net(images.contiguous())]
            values = [loss.item() for loss in losses]
            objective = sum(weight * loss for weight, loss in zip(weights, losses, strict=True))
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * learning_rate_factor(
                    step,
                    total_steps=config.epochs * config.steps_per_epoch,
                    warmup_steps=config.steps_per_epoch,
                    schedule="cosine",
                )
            optimiser.zero_grad()
            objective.backward()
            optimiser.step()
            means = values if means is None else [0.9 * m + 0.1 * v for m, v in zip(means, values, strict=True)]
            weights = [0.93 * min(means) / mean + 0.07 for mean in means]
            total = [t + v for t, v in zip(total, values, strict=True)]
            step += 1
        curves.append([t / config.steps_per_epoch for t in total])
        run._step = 0  # the next epoch draws its own order
    return torch.tensor(curves)


@pytest.fixture(scope="module")
def plain(tiny_config):
    return plain_loop(tiny_config(**EPOCHS))


@pytest.mark.parametrize(
    ("fast", "tolerance"),
    [({}, 0.005), ({"threads": 2}, 0.005), ({"precision": "bf16"}, 0.05)],
    ids=["fp32", "two threads", "bf16"],
)
def test_loss_curves_are_those_of_the_plain_loop(tiny_config, plain, fast, tolerance):
    """All losses of three epochs: fp32 within 0.5 %, bf16 within 5 %.

    Rounding alone differs, one part in ten million in the first epoch; training amplifies it about a hundredfold per
    epoch, until two curves are no nearer to each other than those of two seeds.
    """
    curves = torch.tensor(train(tiny_config(**EPOCHS, **fast), progress=False).epoch_losses)
    assert curves.shape == plain.shape == (3, 3)
    assert plain[-1, -1] < 0.8 * plain[0, -1]  # it does learn
    assert (curves / plain - 1).abs().max() < tolerance


def test_another_training_would_show(tiny_config, plain):
    """The control: what a wrong weight or a wrong rate does is larger than the tolerance."""
    for change in ({"weighting": "const"}, {"learning_rate": 0.11}, {"weight_decay": 5e-3}):
        curves = torch.tensor(train(tiny_config(**{**EPOCHS, **change}), progress=False).epoch_losses)
        assert (curves / plain - 1).abs().max() > 0.01


def test_without_a_compiler_the_network_runs_uncompiled_and_the_record_says_so(tiny_config, monkeypatch, caplog):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with caplog.at_level(logging.WARNING):
        record = train(tiny_config(compile=True), progress=False)
    assert [entry.message for entry in caplog.records if "compiler" in entry.message] == [
        "compile=True, but there is no C++ compiler (no-such-compiler): the network runs uncompiled"
    ]
    assert not record.provenance.compiled
    assert record.epoch_losses == train(tiny_config(), progress=False).epoch_losses


@pytest.mark.slow
def test_a_compiled_run_gives_the_same_curves(tiny_config, plain):
    record = train(tiny_config(**EPOCHS, compile=True), progress=False)
    if not record.provenance.compiled:
        pytest.skip("no C++ compiler on this machine")
    curves = torch.tensor(record.epoch_losses)
    assert (curves / plain - 1).abs().max() < 0.005
    assert not torch.equal(curves, torch.tensor(train(tiny_config(**EPOCHS), progress=False).epoch_losses))

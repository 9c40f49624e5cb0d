import pytest
import torch
from torch import nn

from anytime_study.foundations.torch_state import compute_settings
from anytime_study.training.checkpoints import Checkpoints
from anytime_study.training.loop import TrainingRun, train
from anytime_study.training.scoring import TrainingDiverged

ADAPTIVE = "adaloss(refresh_period=1)"


# --- repeating a run -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"augment": False}, {"learning_rate": 0.05}, {"schedule": "steps"}, {"weighting": "linear"}],
    ids=str,
)
def test_another_choice_gives_other_results(tiny_config, tiny_record, change):
    other = train(tiny_config(**change), progress=False)
    assert other.epoch_losses != tiny_record.epoch_losses
    assert other.test.loss != tiny_record.test.loss
    assert other.name != tiny_record.name


def test_a_run_can_be_repeated_to_the_byte_whatever_happened_before(tiny_config, tiny_record):
    torch.manual_seed(123)
    torch.randn(7)
    state = torch.get_rng_state()
    again = train(tiny_config(), progress=False)
    assert again.results() == tiny_record.results()
    assert again.epoch_losses[0] != again.epoch_losses[1]  # something was trained
    assert torch.equal(state, torch.get_rng_state())  # and nothing is drawn from the caller's stream


def test_runs_with_one_seed_are_paired_whatever_the_weighting(tiny_config):
    runs = [TrainingRun(tiny_config(weighting=weighting)) for weighting in ("const", "opt(exit=1)", ADAPTIVE)]
    states = [run.network.state_dict() for run in runs]
    assert all(torch.equal(state[key], states[0][key]) for state in states for key in states[0])
    for batches in zip(*(run.epoch_batches() for run in runs), strict=True):  # the first epoch
        for images, labels in batches:
            assert torch.equal(images, batches[0][0])
            assert torch.equal(labels, batches[0][1])


# --- what is trained -----------------------------------------------------------------------------------------------


def test_behind_opts_exit_nothing_is_computed_and_nothing_changes(tiny_config):
    config = tiny_config(weighting="opt(exit=2)", weight_decay=0.1)
    run, whole = TrainingRun(config), TrainingRun(config)
    whole.weighting.last_exit = whole.weighting.num_exits  # computes all exits and multiplies their losses by 0
    start = {key: value.clone() for key, value in run.network.state_dict().items()}
    calls = []
    run.network.segments[2].register_forward_hook(lambda *_: calls.append("segment"))
    run.network.heads[2].register_forward_hook(lambda *_: calls.append("head"))
    run.fit(progress=False)
    whole.fit(progress=False)
    assert calls == []
    for key, value in run.network.state_dict().items():
        behind = key.startswith(("segments.2.", "heads.2."))
        assert torch.equal(value, start[key] if behind else whole.network.state_dict()[key]), key
    assert [losses[:2] for losses in run.epoch_losses] == [losses[:2] for losses in whole.epoch_losses]
    assert [losses[2] for losses in run.epoch_losses] == [0.0] * config.epochs
    ours, theirs = run.record(), whole.record()
    assert ours.test.loss[:2] == theirs.test.loss[:2]


@pytest.mark.parametrize("fields", [{}, {"label_smoothing": 0.2}, {"loss_scales": [10, 1, 2]}], ids=str)
def test_one_step_by_hand(tiny_config, fields):
    """One full batch, no warm-up, momentum or decay: w - learning rate · gradient of the sum of the losses.

    Losses are smoothed and scaled as asked for, recorded unscaled, and scored against the labels as they are.
    """
    plain = {"warmup_epochs": 0.0, "momentum": 0.0, "weight_decay": 0.0, "augment": False}
    config = tiny_config(train_size=32, epochs=1, weighting="const", learning_rate=0.01, **plain, **fields)
    run, twin = TrainingRun(config), TrainingRun(config)
    ((images, labels),) = twin.epoch_batches()
    net = config.build_network()
    net.load_state_dict(twin.network.state_dict())
    smoothing = fields.get("label_smoothing", 0.0)
    losses = [nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing) for logits in net(images)]
    torch.autograd.backward(sum(s * loss for s, loss in zip(fields.get("loss_scales", [1] * 3), losses, strict=True)))
    run.fit(progress=False)
    after = run.network.state_dict()
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(after[name], parameter.detach() - 0.01 * parameter.grad, rtol=1e-4, atol=1e-6)
    record = run.record()
    assert record.epoch_losses == [pytest.approx([loss.item() for loss in losses], rel=1e-5)]
    with torch.no_grad():
        logits = run.network.eval()(run.data.normalise(run.data.test_images))
    plain_losses = [nn.functional.cross_entropy(each, run.data.test_labels).item() for each in logits]
    assert record.test.loss == pytest.approx(plain_losses, rel=1e-5)


def direction(config):
    """The gradient of the second step, of length 1; the first step moves nothing but the weights."""
    run = TrainingRun(config)
    batches = list(run.epoch_batches())
    run._train_step(*batches[0])
    run._train_step(*batches[1])
    gradient = torch.cat([p.grad.flatten() for p in run.network.parameters()])
    return gradient / gradient.norm(), gradient.norm()


@pytest.mark.parametrize("normalisation", ["sum", "none"])
def test_a_scaled_loss_does_not_turn_adaloss_and_turns_const(tiny_config, normalisation):
    still = {"learning_rate": 1e-12, "momentum": 0.0, "weight_decay": 0.0}
    found = {}
    for weighting in ("const", f"adaloss_formula(normalisation={normalisation!r})"):
        for scales in (None, [10, 1, 1]):
            found[weighting[:5], scales is None] = direction(
                tiny_config(weighting=weighting, loss_scales=scales, **still)
            )
    (scaled, long), (as_it_is, length) = found["adalo", False], found["adalo", True]
    torch.testing.assert_close(scaled, as_it_is, rtol=1e-3, atol=1e-5)
    if normalisation == "none":
        torch.testing.assert_close(long, length, rtol=1e-4, atol=0)  # and the step is as long
    assert found["const", False][0] @ found["const", True][0] < 0.98


def test_the_learning_rate_follows_the_schedule(tiny_config):
    run = TrainingRun(tiny_config(learning_rate=0.2, schedule="steps"))  # 8 steps, of which 4 warm up
    rates = [run.optimiser.param_groups[0]["lr"]]
    step = run._rate.step

    def noted():
        step()
        rates.append(run.optimiser.param_groups[1]["lr"])

    run._rate.step = noted
    run.fit(progress=False)
    assert rates[:8] == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.02, 0.02, 0.002, 0.002])


def test_losses_fall_and_digits_are_learnt(tiny_config):
    record = train(tiny_config(train_size=512, epochs=8, weighting="const"), progress=False)
    assert all(last < 0.8 * first for first, last in zip(record.epoch_losses[0], record.epoch_losses[-1], strict=True))
    assert record.test.error[-1] < 0.4  # chance is 0.9
    assert record.test.error[-1] < record.test.error[0]  # and depth helps


def test_a_run_that_diverges_stops_with_its_name_and_epoch(tiny_config):
    config = tiny_config(learning_rate=1e30, warmup_epochs=0.0)
    with pytest.raises(
        TrainingDiverged, match=rf"^{config.name}: epoch 1: losses: .*found (nan|inf) at exit \d; .* 1e\+30$"
    ):
        train(config, progress=False)


# --- the caller's settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("deterministic", [False, True])
def test_settings_of_pytorch_come_back(tiny_config, deterministic):
    with compute_settings(2, deterministic=deterministic):
        record = train(tiny_config(epochs=1), progress=False)
        assert record.provenance.threads == 1  # its own while it ran
        assert torch.get_num_threads() == 2
        assert torch.are_deterministic_algorithms_enabled() is deterministic


def test_progress_is_shown_on_standard_error_or_not_at_all(tiny_config, capsys, tmp_path):
    config = tiny_config(weighting="opt(exit=2)")
    checkpoints = Checkpoints(tmp_path / "run.pt")
    train(config, progress=False)
    assert capsys.readouterr() == ("", "")
    run = TrainingRun(config)
    next(run.steps())
    checkpoints.save(run.state_dict())
    train(config, checkpoints=checkpoints)
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{config.name}: resuming from epoch 1" in err
    assert "loss of exit 2: " in err  # not that of the last exit, which is not trained

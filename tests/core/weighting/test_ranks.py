import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from anytime_core.weighting.ranks import mean_over_ranks
from anytime_study.runs.registries import WEIGHTINGS

WORKER = Path(__file__).with_name("rank_worker.py")


def test_one_process_is_left_alone():
    losses = torch.ones(2)
    assert mean_over_ranks(losses) is losses


@pytest.fixture(scope="module")
def steps():
    """Losses of both processes, [2, 6, 3]."""
    return torch.rand(2, 6, 3, generator=torch.Generator().manual_seed(0)) + 0.1


@pytest.fixture(scope="module")
def results(steps, tmp_path_factory):
    """What each of two processes on this machine found."""
    folder = tmp_path_factory.mktemp("ranks")
    torch.save(steps, folder / "init.steps")
    command = [sys.executable, str(WORKER)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(folder / "init"), str(folder / f"{rank}.pt")],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("name", ["adaloss(refresh_period=1)", "sampled", "uw", "dwa"])
def test_all_processes_use_the_weights_of_the_mean_losses(results, steps, name):
    alone = WEIGHTINGS.build(name, num_exits=3)
    optimiser = torch.optim.SGD([*alone.parameters(), torch.nn.Parameter(torch.zeros(()))], lr=0.1)
    for step, losses in enumerate(steps.mean(0)):
        optimiser.zero_grad()
        objective = alone(losses.requires_grad_())
        objective.backward()
        optimiser.step()
        alone.end_epoch()
        for result in results:
            assert torch.equal(result[name][0][step], alone.weights)
            assert step < 5 or torch.equal(result[name][1], objective)


def test_the_gradient_goes_to_the_own_losses(results):
    for result in results:
        mean, gradient = result["mean"]
        assert mean.tolist() == [1.5, 3]
        assert gradient.tolist() == [1, 1]


def test_order_one_tracks_the_mean_norm(results):
    # ℓ_i = a_i (½ x₁ + ½ x₂)² with x = r (1, 2), so |∂ℓ_i/∂w| = a_i · 2 · 1.5 r · √5 r; the mean of r² is 2.5
    expected = [1 / (scale * 3 * 5**0.5 * 2.5) for scale in (1, 2, 4)]
    for result in results:
        weights, gradient = result["first_order"]
        assert weights.tolist() == pytest.approx(expected)
        # of the mean over the processes, with weights of 1: a_i · 2 · 1.5 r · r (1, 2)
        torch.testing.assert_close(gradient, torch.tensor([[1.0, 2.0], [2.0, 4.0], [4.0, 8.0]]) * 3 * 2.5)


def test_evaluation_needs_no_other_process(results):
    assert [result["evaluation"].item() for result in results] == [3, 6]


@pytest.mark.parametrize("bad", ["negative", "nan", "inf"])
def test_a_bad_loss_of_one_process_stops_all(results, bad):
    for result in results:
        assert "at exit 2" in result[bad]

"""Two processes that weigh together, and what they do by themselves."""

import copy
import pickle

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from torch.nn.parallel import DistributedDataParallel

from anytime_core import AdaLoss
from anytime_core.weighting.base import BadLoss
from anytime_core.weighting.distributed import Ranks
from anytime_core.weighting.gradient_norms import GradientNorms
from anytime_core.weighting.static import const


def adaloss(group):
    return AdaLoss(3, refresh_period=1, process_group=group)


def weights_over_time(weigh, steps):
    """[steps, K]"""
    rows = []
    for losses in steps:
        weigh(losses)
        rows.append(weigh.weights.clone())
    return torch.stack(rows)


def bad_exit(weigh, losses):
    try:
        weigh(losses)
    except BadLoss as error:
        return error.exit
    return None


def first_order(rank, group):
    """Weights of order 1 and the gradient of the objective, over a network in DistributedDataParallel."""
    net = torch.nn.Linear(2, 3, bias=False)
    torch.nn.init.constant_(net.weight, 0.5)
    parallel = DistributedDataParallel(net)
    norms = GradientNorms(net.parameters())
    weigh = AdaLoss(3, refresh_period=1, floor=0.0, normalisation="none", measure=norms, process_group=group)
    inputs = torch.tensor([[1.0, 2.0]]) * (rank + 1)
    weigh(parallel(inputs).square().mean(0) * torch.tensor([1.0, 2.0, 4.0])).backward()
    return weigh.weights, net.weight.grad


def work(rank, folder):
    """What each process does."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/init", rank=rank, world_size=2)
    group = dist.group.WORLD
    steps = torch.load(f"{folder}/steps")[rank]
    own = (torch.tensor([1.0, 2.0]) * (rank + 1)).requires_grad_()
    mean = Ranks(group).mean(own)
    mean.sum().backward()
    found = {"weights": weights_over_time(adaloss(group), steps), "mean": (mean.detach(), own.grad)}
    found["first_order"] = first_order(rank, group)
    if rank == 0:  # alone: nobody else makes these calls
        grouped = copy.deepcopy(adaloss(group)).eval()
        found["alone"] = [weigh(steps[0]) for weigh in (AdaLoss(3), AdaLoss(3), const(3), grouped)]
        with pytest.raises(TypeError):
            pickle.dumps(grouped)
    for bad in (-1.0, float("nan"), float("inf")):
        losses = torch.tensor([3.0, bad if rank == 1 else 3.0, 3.0])
        found[str(bad)] = bad_exit(adaloss(group), losses)
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def steps():
    """Losses of both processes, [2, 6, 3]."""
    return torch.rand(2, 6, 3, generator=torch.Generator().manual_seed(0)) + 0.1


@pytest.fixture(scope="module")
def results(steps, tmp_path_factory):
    """What each of two processes on this machine found."""
    folder = tmp_path_factory.mktemp("ranks")
    torch.save(steps, folder / "steps")
    torch.multiprocessing.start_processes(work, (str(folder),), nprocs=2, start_method="spawn")
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def test_a_group_uses_the_weights_of_the_mean_losses(results, steps):
    alone = weights_over_time(adaloss(None), steps.mean(0))
    for result in results:
        assert torch.equal(result["weights"], alone)


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


def test_nobody_waits_without_a_group_with_static_weights_or_in_evaluation(results, steps):
    torch.testing.assert_close(torch.stack(results[0]["alone"]), steps[0, 0].sum().expand(4))


@pytest.mark.parametrize("bad", ["-1.0", "nan", "inf"])
def test_a_bad_loss_of_one_process_stops_all(results, bad):
    assert [result[bad] for result in results] == [2, 2]

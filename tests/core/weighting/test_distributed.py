"""Two processes that weigh together, and what they do by themselves."""

import copy
import pickle

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel

from anytime_core import AdaLoss
from anytime_core.weighting.base import BadLoss
from anytime_core.weighting.gradient_norms import GradientNorms
from anytime_core.weighting.static import const

needs_two = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are no two CUDA devices")


def bad_exit(weigh, losses):
    try:
        weigh(losses)
        weigh.check()  # a GPU raises here only
    except BadLoss as error:
        return error.exit
    return None


def first_order(rank, group, device):
    """Weights of order 1 and the gradient of the objective, over a network in DistributedDataParallel."""
    net = torch.nn.Linear(2, 3, bias=False).to(device)
    torch.nn.init.constant_(net.weight, 0.5)
    parallel = DistributedDataParallel(net)
    norms = GradientNorms(net.parameters())
    weigh = AdaLoss(3, refresh_period=1, floor=0.0, normalisation="none", measure=norms, process_group=group)
    inputs, factors = torch.tensor([[1.0, 2.0]]) * (rank + 1), torch.tensor([1.0, 2.0, 4.0])
    weigh.to(device)(parallel(inputs.to(device)).square().mean(0) * factors.to(device)).backward()
    return weigh.weights, net.weight.grad


def train(device, share, group=None):
    """Six steps of three linear exits on this share of each batch; the weighting and the parameters."""
    torch.manual_seed(0)
    exits = torch.nn.Linear(5, 3 * 2).to(device)
    net = DistributedDataParallel(exits) if group is not None else exits
    weigh = AdaLoss(num_exits=3, refresh_period=2, process_group=group).to(device)
    optimiser = torch.optim.SGD(exits.parameters(), lr=0.1)
    for _ in range(6):
        inputs, labels = torch.randn(8, 5)[share].to(device), torch.randint(2, (8,))[share].to(device)
        logits = net(inputs).unflatten(1, (3, 2)).movedim(1, 0)  # [3, N, 2]
        optimiser.zero_grad()
        weigh(torch.stack([F.cross_entropy(each, labels) for each in logits])).backward()
        optimiser.step()
    return {"weights": weigh.weights, "average": weigh.average, **exits.state_dict()}


def work(rank, folder, backend):
    """What each process does."""
    torch.set_num_threads(1)
    device = torch.device("cpu" if backend == "gloo" else f"cuda:{rank}")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(backend, init_method=f"file://{folder}/init", rank=rank, world_size=2)
    group = dist.group.WORLD
    found = {"first_order": first_order(rank, group, device), "trained": train(device, slice(rank, None, 2), group)}
    if rank == 0:  # alone: nobody else makes these calls
        grouped = copy.deepcopy(AdaLoss(3, process_group=group)).eval()
        losses = torch.tensor([1.0, 2.0, 4.0], device=device)
        found["alone"] = [weigh.to(device)(losses).item() for weigh in (AdaLoss(3), const(3), grouped)]
        with pytest.raises(TypeError):
            pickle.dumps(grouped)
    for bad in (-1.0, float("nan"), float("inf")):
        losses = torch.tensor([3.0, bad if rank == 1 else 3.0, 3.0], device=device)
        found[str(bad)] = bad_exit(AdaLoss(3, process_group=group).to(device), losses)
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module", params=["gloo", pytest.param("nccl", marks=needs_two)])
def results(tmp_path_factory, request):
    """What each of two processes on this machine found."""
    folder = tmp_path_factory.mktemp("ranks")
    torch.multiprocessing.start_processes(work, (str(folder), request.param), nprocs=2, start_method="spawn")
    return [torch.load(folder / f"{rank}.pt", map_location="cpu") for rank in range(2)]


def test_two_processes_train_as_one_does(results):
    first, second = (result["trained"] for result in results)
    alone = train("cpu", slice(None))
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), name  # to the last bit
        torch.testing.assert_close(first[name], value.detach())
    assert not torch.equal(alone["weights"], torch.ones(3))


def test_order_one_tracks_the_mean_norm(results):
    # ℓ_i = a_i (½ x₁ + ½ x₂)² with x = r (1, 2), so |∂ℓ_i/∂w| = a_i · 2 · 1.5 r · √5 r; the mean of r² is 2.5
    expected = [1 / (scale * 3 * 5**0.5 * 2.5) for scale in (1, 2, 4)]
    for result in results:
        weights, gradient = result["first_order"]
        assert weights.tolist() == pytest.approx(expected)
        # of the mean over the processes, with weights of 1: a_i · 2 · 1.5 r · r (1, 2)
        torch.testing.assert_close(gradient, torch.tensor([[1.0, 2.0], [2.0, 4.0], [4.0, 8.0]]) * 3 * 2.5)


def test_nobody_waits_without_a_group_with_static_weights_or_in_evaluation(results):
    assert results[0]["alone"] == [7, 7, 7]


@pytest.mark.parametrize("bad", ["-1.0", "nan", "inf"])
def test_a_bad_loss_of_one_process_stops_all(results, bad):
    assert [result[bad] for result in results] == [2, 2]

"""AdaLoss where it will be used: in a CUDA graph, under a GradScaler, over several devices with NCCL.

What needs a GPU is skipped without one. A CPU tries the same steps as far as it can: with tensors that only claim to be
on a GPU and have no values to wait for, in a compiled graph, and with Gloo.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.parallel import DistributedDataParallel

from anytime_core import AdaLoss
from anytime_core.weighting.base import BadLoss

ROOT = Path(__file__).parents[2]
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
needs_two = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are no two CUDA devices")
BAD = [float("nan"), float("inf"), -1.0]


def backward(weigh, losses):
    """One step: the objective, and its gradient in ``losses.grad``."""
    losses.grad = None
    objective = weigh(losses)
    objective.backward()
    return objective


# --- CUDA graphs ---------------------------------------------------------------------------------------------------


@needs_cuda
@pytest.mark.parametrize("options", [{}, {"bias_correction": True, "normalisation": "sum"}], ids=["default", "formula"])
def test_replays_of_a_cuda_graph_equal_steps_on_a_cpu(options):
    eager = AdaLoss(num_exits=3, refresh_period=4, **options)
    weigh = AdaLoss(num_exits=3, refresh_period=4, **options).cuda()
    draw = torch.Generator().manual_seed(0)
    static = torch.ones(3, device="cuda", requires_grad=True)  # the graph reads its losses here
    warm_up = torch.cuda.Stream()
    warm_up.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(warm_up):  # PyTorch asks for a few steps beside the default stream
        for _ in range(3):
            backward(weigh, static)
            backward(eager, torch.ones(3, requires_grad=True))
    torch.cuda.current_stream().wait_stream(warm_up)
    static.grad = None
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):  # captures, and computes nothing
        objective = weigh(static)
        objective.backward()
    for _ in range(9):  # two refreshes and more
        losses = torch.rand(3, generator=draw).requires_grad_()
        with torch.no_grad():
            static.copy_(losses)
        graph.replay()
        torch.testing.assert_close(objective.cpu(), backward(eager, losses))
        torch.testing.assert_close(static.grad.cpu(), losses.grad)
        torch.testing.assert_close(weigh.weights.cpu(), eager.weights)
    assert not torch.equal(eager.weights, torch.ones(3))
    before = weigh.average[1].clone()
    with torch.no_grad():
        static[1] = float("nan")
    graph.replay()
    assert not static.grad.isfinite().all()
    with pytest.raises(BadLoss) as caught:
        weigh.check()
    assert caught.value.exit == 2
    assert torch.equal(weigh.average[1], before)


@pytest.mark.parametrize("capturing", [False, True])
def test_a_step_waits_for_no_value_on_the_device(monkeypatch, capturing):
    """A capture fails at any value that is read. So does a tensor that has none, on a machine without a GPU too."""
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: capturing)
    with FakeTensorMode():
        weigh = AdaLoss(num_exits=3, refresh_period=2).to("cuda")
        for _ in range(4):  # without backward, which needs a real device: the weighting has no code there
            assert weigh(torch.rand(3, device="cuda", requires_grad=True)).device.type == "cuda"
        with pytest.raises(Exception, match=r"_local_scalar_dense|tolist|item"):  # negative control: this one waits
            weigh.check()


# --- GradScaler ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
@pytest.mark.parametrize("value", BAD)
def test_a_grad_scaler_leaves_out_a_step_with_a_bad_loss(device, value):
    weigh = AdaLoss(num_exits=3, refresh_period=1).to(device)
    # on a CPU the bad loss would be an error at once; in a compiled graph it takes the way that it takes on a GPU
    call = torch.compile(weigh, backend="eager") if device == "cpu" else weigh
    theta = torch.ones(3, device=device, requires_grad=True)
    optimiser = torch.optim.SGD([theta], lr=0.1)
    scaler = torch.amp.GradScaler(device, init_scale=8.0)

    def step(factors):
        optimiser.zero_grad()
        scaler.scale(call(theta * torch.tensor(factors, device=device))).backward()
        scaler.step(optimiser)
        scaler.update()

    step([1.0, 2.0, 3.0])
    before, averages = theta.detach().clone(), weigh.average.clone()
    assert (before < 1).all()
    assert scaler.get_scale() == 8
    step([1.0, value, 3.0])
    assert torch.equal(theta, before)
    assert scaler.get_scale() == 4
    assert weigh.average[1] == averages[1]
    with pytest.raises(BadLoss) as caught:
        weigh.check()
    assert caught.value.exit == 2
    step([1.0, 2.0, 3.0])
    weigh.check()
    assert (theta < before).all()


# --- several processes ---------------------------------------------------------------------------------------------


def train(device, share, group=None):
    """Six steps of three linear exits on this share of each batch; the weighting and the parameters."""
    torch.manual_seed(0)
    exits = nn.Linear(5, 3 * 2).to(device)
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


@pytest.mark.parametrize("backend", ["gloo", pytest.param("nccl", marks=needs_two)])
def test_two_processes_train_as_one_does(tmp_path, backend):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, backend, str(tmp_path)], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"{rank}.pt", map_location="cpu") for rank in range(2))
    alone = train("cpu", slice(None))
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), name  # to the last bit
        torch.testing.assert_close(first[name], value.detach())
    assert not torch.equal(alone["weights"], torch.ones(3))


def worker(backend, folder):
    """One of the processes that the test above starts."""
    dist.init_process_group(backend)
    rank = dist.get_rank()
    device = torch.device("cpu" if backend == "gloo" else f"cuda:{rank}")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.save(train(device, slice(rank, None, 2), dist.group.WORLD), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    worker(*sys.argv[1:])

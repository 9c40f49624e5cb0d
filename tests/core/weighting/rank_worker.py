"""One of two processes of test_ranks.py: weigh this process's losses and save the weights after every step."""

import sys

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from anytime_core import AdaLoss
from anytime_core.weighting.base import BadLoss
from anytime_core.weighting.ranks import mean_over_ranks
from anytime_study.runs.registries import WEIGHTINGS


def weights_over_time(text, steps):
    """[steps, K], and the last objective."""
    weigh = WEIGHTINGS.build(text, num_exits=steps.shape[1])
    optimiser = torch.optim.SGD([*weigh.parameters(), torch.nn.Parameter(torch.zeros(()))], lr=0.1)
    rows = []
    for losses in steps:
        optimiser.zero_grad()
        objective = weigh(losses.clone().requires_grad_())
        objective.backward()
        optimiser.step()
        weigh.end_epoch()
        rows.append(weigh.weights.clone())
    return torch.stack(rows), objective.detach()


def bad_loss_message(losses):
    try:
        AdaLoss(2)(losses)
    except BadLoss as error:
        return str(error)
    return ""


def first_order(rank):
    """Weights of order 1 and the gradient of the objective, over a network in DistributedDataParallel."""
    net = torch.nn.Linear(2, 3, bias=False)
    torch.nn.init.constant_(net.weight, 0.5)
    parallel = DistributedDataParallel(net)
    weigh = AdaLoss(3, order=1, refresh_period=1, floor=0.0, normalisation="none", parameters=net.parameters())
    inputs = torch.tensor([[1.0, 2.0]]) * (rank + 1)
    scales = torch.tensor([1.0, 2.0, 4.0])
    weigh(parallel(inputs).square().mean(0) * scales).backward()
    return weigh.weights, net.weight.grad


def main(rank, init_file, out_file):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{init_file}", rank=rank, world_size=2)
    steps = torch.load(f"{init_file}.steps")[rank]
    own = torch.tensor([1.0, 2.0]) * (rank + 1)
    own.requires_grad_()
    mean = mean_over_ranks(own)
    mean.sum().backward()
    results = {name: weights_over_time(name, steps) for name in ("adaloss(refresh_period=1)", "sampled", "uw", "dwa")}
    results["mean"] = mean.detach(), own.grad
    results["first_order"] = first_order(rank)
    results["evaluation"] = AdaLoss(2).eval()(own.detach())  # of this process alone: no one else need take part
    if rank == 0:
        AdaLoss(2).eval()(own.detach())
    for name, bad in {"negative": -1.0, "nan": float("nan"), "inf": float("inf")}.items():
        results[name] = bad_loss_message(torch.tensor([3.0, bad if rank == 1 else 3.0]))
    torch.save(results, out_file)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])

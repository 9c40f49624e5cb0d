"""Training steps on a GPU, started operation by operation and replayed as one CUDA graph, under CONST and AdaLoss.

Small networks leave a GPU waiting for the next operation. A graph starts all operations of a step at once; it can only
be captured if nothing in the step waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from anytime_core import AdaLoss, ResANN
from anytime_core.losses import cross_entropy_per_exit
from anytime_core.weighting.static import const
from benchmarks.machine import Settings
from benchmarks.timing import compare, timed

WEIGHTINGS = {"const": const, "adaloss": AdaLoss}
WARM_UP_STEPS = 11  # in which optimiser and convolution algorithms find their memory


class Step:
    """One training step on a batch that never changes: graphs read and write the same memory in every replay."""

    def __init__(self, settings: Settings, weighting: str) -> None:
        n, c = settings.size
        self.device, self.bf16 = settings.device, settings.precision == "bf16"
        net = ResANN(n=n, c=c, num_classes=10, in_channels=1)
        self.net = net.to(self.device).to(memory_format=torch.channels_last)
        self.weigh = WEIGHTINGS[weighting](self.net.num_exits).to(self.device)
        self.optimiser = torch.optim.SGD(self.net.parameters(), lr=0.01, momentum=0.9)
        self.images = torch.randn(settings.batch_size, 1, 28, 28, device=self.device)
        self.labels = torch.randint(10, (settings.batch_size,), device=self.device)

    def __call__(self) -> None:
        """Forward, weigh, backward, update."""
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            logits = self.net(self.images)
        self.weigh(cross_entropy_per_exit(logits.float(), self.labels)).backward()
        self.optimiser.step()


def replay(step: Callable[[], None]) -> Callable[[], None]:
    """Capture a step as a CUDA graph; calling the result replays it."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):  # as PyTorch asks for: not on the default stream
        for _ in range(WARM_UP_STEPS):
            step()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def cuda_graph(settings: Settings) -> dict[str, object]:
    """Unit ms, so a ratio above 1 is slower than CONST without a graph; and the peak memory of all four together."""
    calls: dict[str, Callable[[], None]] = {}
    for weighting in WEIGHTINGS:
        calls[f"{weighting}, eager"] = Step(settings, weighting)
        calls[f"{weighting}, graph"] = replay(Step(settings, weighting))
    blocks = {name: timed(call, number=settings.pick(50, 2)) for name, call in calls.items()}
    return {
        "setting": f"{settings.network}, images [{settings.batch_size}, 1, 28, 28], {settings.precision}",
        "comparisons": {"step": compare("a training step", blocks, "const, eager", settings.pick(30, 2))},
        "facts": {"peak_mib": torch.cuda.max_memory_allocated() / 2**20},
    }

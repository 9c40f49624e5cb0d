"""TorchJD's scalarizers beside AdaLoss: what a call costs, and how much weight it gives the smallest loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torchjd import scalarization

from anytime_core import AdaLoss, const
from benchmarks.machine import Settings
from benchmarks.timing import compare, timed

K = 9  # losses
MADE: dict[str, Callable[[], nn.Module]] = {  # those of TorchJD that ask for no preference between the losses
    "TorchJD, Sum": scalarization.Sum,
    "TorchJD, GeometricMean": scalarization.GeometricMean,
    "TorchJD, UW": lambda: scalarization.UW(K),
    "TorchJD, IMTL-L": lambda: scalarization.IMTLL(K),
    "TorchJD, DWA": scalarization.DWA,
    "TorchJD, FAMO": lambda: scalarization.FAMO(K),
    "TorchJD, STCH": lambda: scalarization.STCH(1.0),
    "CONST": lambda: const(K),
    "AdaLoss": lambda: AdaLoss(K),
    "AdaLoss, formula": lambda: AdaLoss.formula(K),
}


class Operations(TorchDispatchMode):
    """Counts the operations that reach the device."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


class Call:
    """A scalarizer on the same losses, from 1 down to 0.1, again and again."""

    def __init__(self, scalarizer: nn.Module) -> None:
        self.scalarizer = scalarizer
        self.losses = torch.logspace(0, -1, K, requires_grad=True)
        learned = list(scalarizer.parameters())
        self.optimiser = torch.optim.Adam(learned, lr=0.01) if learned else None

    def __call__(self) -> Tensor:
        """The gradient with respect to the losses, [K]: their weights."""
        self.losses.grad = None
        self.scalarizer(self.losses).backward()
        assert self.losses.grad is not None
        return self.losses.grad

    def settled(self, calls: int) -> Tensor:
        """The weights after so many calls; between two of them weights that are learned take a step."""
        for _ in range(calls):
            self()
            if self.optimiser:
                self.optimiser.step()
                self.optimiser.zero_grad()
            if isinstance(self.scalarizer, scalarization.FAMO):  # it looks at the losses again
                self.scalarizer.update(self.losses.detach())
        return self()


def torchjd(settings: Settings) -> dict[str, object]:
    """Unit ms of a call with its gradient, so a ratio above 1 is slower than a plain sum; a table of what it does."""
    calls = {name: Call(make()) for name, make in MADE.items()}
    blocks = {name: timed(call, number=settings.pick(200, 2)) for name, call in calls.items()}
    compared = compare(f"{K} losses", blocks, "TorchJD, Sum", settings.pick(10, 1))
    table: dict[str, list[float]] = {"operations": [], "smallest_over_largest": []}
    for contender in compared.contenders:
        call = calls[contender.name]
        weights = call.settled(settings.pick(2000, 100))
        with Operations() as counter:
            for _ in range(100):  # as many as AdaLoss takes for one refresh
                call()
        table["operations"].append(counter.count / 100)
        table["smallest_over_largest"].append((weights[-1] / weights[0]).item())
    return {
        "setting": f"{K} losses, one thread, TorchJD {version('torchjd')}",
        "comparisons": {"call": compared},
        "tables": {"call": table},
    }

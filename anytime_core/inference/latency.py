"""The latency table: how long each step of a network takes on one device, and for which calls that holds.

table = measure_latency(AnytimePredictor(net), images)
AnytimePredictor(net, table).predict(images, deadline=0.002)
"""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from anytime_core.errors import InputError
from anytime_core.inference.inputs import described
from anytime_core.inference.steps import find_steps
from anytime_core.networks.base import AnytimeNetwork

if TYPE_CHECKING:
    from anytime_core.inference.predictor import AnytimePredictor


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of a measured time, in seconds; ``p99`` is not exceeded in 99 % of the rounds."""

    p50: float
    p90: float
    p99: float

    def __post_init__(self) -> None:
        if not all(0 < seconds < math.inf for seconds in (self.p50, self.p90, self.p99)):
            raise InputError(f"latency: expected finite seconds above 0, found {self}")


@dataclass(frozen=True)
class ExitLatency:
    """Times of one exit.

    Attributes:
        exit: The exit, from 1.
        step: From the answer before to this one: segments, head and softmax; of the first exit, from the call on.
        fixed: All of ``predict(exit=…)``.
        streamed: From the call of ``refine`` to this answer, the heads before included.
    """

    exit: int
    step: Quantiles
    fixed: Quantiles
    streamed: Quantiles


@dataclass(frozen=True)
class LatencyTable:
    """Measured times of one network on one device, for one shape of batch and one number of threads.

    Attributes:
        network: Fingerprint of the network's layers and adopted exits; weights do not change a time.
        device: Name of the processor or GPU.
        threads: CPU threads.
        inputs: Type and shape of each tensor of the batch, such as ``float32 [1, 3, 32, 32]``.
        torch: Version of PyTorch.
        rounds: Measurements behind every quantile.
        exits: One row per exit that answers.
    """

    network: str
    device: str
    threads: int
    inputs: tuple[str, ...]
    torch: str
    rounds: int
    exits: tuple[ExitLatency, ...]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LatencyTable:
        """The table that :func:`dataclasses.asdict` turned into ``values``, or JSON made of it. Raises InputError."""
        try:
            exits = tuple(
                ExitLatency(row["exit"], *(Quantiles(**row[name]) for name in ("step", "fixed", "streamed")))
                for row in values["exits"]
            )
            fields: dict[str, Any] = {**values, "inputs": tuple(values["inputs"]), "exits": exits}
            return cls(**fields)
        except (KeyError, TypeError) as error:
            raise InputError(f"latency: expected a table that measure_latency made, found another ({error})") from None

    def needed(self) -> list[float]:
        """Seconds that are allowed for each step when a deadline is kept, [steps].

        The 99th percentile; a call that is slower than :meth:`usual` stretches it. As most steps begin with more than
        that left, much fewer than one answer in a hundred is late.
        """
        return [row.step.p99 for row in self.exits]

    def usual(self, member_starts: Sequence[int]) -> list[float]:
        """Median seconds from the call to the end of each step's segments when no head is evaluated, [steps].

        ``member_starts`` has for each step the position of the first step of its member; 0 but in an EANN.
        """
        fixed = [row.fixed.p50 for row in self.exits]
        own = self._heads(member_starts)
        before, found = 0.0, []
        for position, start in enumerate(member_starts):
            if position and start == position:  # all of the member before has been run
                before += fixed[position - 1] - own[position - 1]
            found.append(before + fixed[position] - own[position])
        return found

    def _heads(self, member_starts: Sequence[int]) -> list[float]:
        """Median seconds of each step's head, [steps]: what streaming pays more than a call for the next exit alone.

        That of a member's last step is taken to be that of the one before.
        """
        passed = [row.streamed.p50 - row.fixed.p50 for row in self.exits]  # heads on the way, and members before
        found: list[float] = []
        for position, row in enumerate(self.exits):
            following = position + 1
            if following < len(self.exits) and member_starts[following] == member_starts[position]:
                seconds = passed[following] - passed[position]
            else:
                seconds = found[-1] if position > member_starts[position] else 0.0
            found.append(min(max(seconds, 0.0), row.fixed.p50 / 2))  # medians of different rounds
        return found

    def check_network(self, net: AnytimeNetwork, device: torch.device) -> None:
        """Refuse to plan with the times of another network, device or version of PyTorch. Raises InputError."""
        if self.network != fingerprint(net) or len(self.exits) != len(find_steps(net)):
            raise InputError("latency: expected a table of this network, found that of another one; measure it anew")
        here = f"{device_name(device)} with PyTorch {torch.__version__}"
        if (found := f"{self.device} with PyTorch {self.torch}") != here:
            raise InputError(f"latency: expected a table of this device, {here}, found one of {found}; measure it anew")

    def check_call(self, inputs: Any, device: torch.device) -> None:
        """Refuse to plan with the times of another shape of batch or number of threads. Raises InputError."""
        if (texts := described(inputs)) != self.inputs:
            expected, found = " and ".join(self.inputs), " and ".join(texts)
            raise InputError(f"latency: the table is for {expected}, found {found}; measure a table for these")
        if device.type == "cpu" and torch.get_num_threads() != self.threads:
            raise InputError(
                f"latency: the table is for {self.threads} CPU threads, found {torch.get_num_threads()}; "
                "call torch.set_num_threads, or measure a table for these"
            )


def measure_latency(
    predictor: AnytimePredictor,
    inputs: Any,
    *,
    rounds: int = 1000,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> LatencyTable:
    """Measure a network as it is used, with PyTorch's present number of CPU threads.

    A round is one ``refine`` to its end and one ``predict(exit=…)`` of every exit: some K / 2 + 1 times the time of the
    last exit. Leave the device alone meanwhile: a table made under load keeps deadlines by giving up too early.

    Args:
        predictor: The predictor. Its own table, if it has one, does not matter.
        inputs: A batch of what will be asked for; random numbers will do.
        rounds: Measurements of every time, at least 100, so that there is a 99th percentile.
        progress: Wraps the rounds, to show how far it is: ``tqdm`` does.

    Raises:
        InputError: no predictor, inputs that the network does not take, or too few rounds.
    """
    if not hasattr(predictor, "warm_up"):
        raise InputError(f"predictor: expected AnytimePredictor(net), found {type(predictor).__name__}")
    if rounds < 100:
        raise InputError(f"rounds: expected at least 100, found {rounds}")
    predictor.warm_up(inputs)
    fixed, streamed = [], []
    for _ in progress(range(rounds)):
        streamed.append([prediction.elapsed_s for prediction in predictor.refine(inputs)])
        fixed.append([predictor.predict(inputs, exit=exit_number).elapsed_s for exit_number in predictor.exits])
    ends = torch.tensor(streamed, dtype=torch.float64, device="cpu")  # [rounds, steps]
    steps = ends.diff(dim=1, prepend=torch.zeros_like(ends[:, :1]))
    columns = [_quantiles(times) for times in (steps, ends.new_tensor(fixed), ends)]
    return LatencyTable(
        network=fingerprint(predictor.net),
        device=device_name(predictor.device),
        threads=torch.get_num_threads(),
        inputs=described(inputs),
        torch=str(torch.__version__),
        rounds=rounds,
        exits=tuple(ExitLatency(*row) for row in zip(predictor.exits, *columns, strict=True)),
    )


def find_table(tables: Iterable[LatencyTable], net: AnytimeNetwork, inputs: Any) -> LatencyTable | None:
    """The table for a network, these inputs on their device, and the present CPU threads and PyTorch; or None."""
    device = device_name(tree_leaves(inputs)[0].device)
    key = (fingerprint(net), device, torch.get_num_threads(), described(inputs), str(torch.__version__))
    return next((one for one in tables if key == (one.network, one.device, one.threads, one.inputs, one.torch)), None)


def fingerprint(net: AnytimeNetwork) -> str:
    """A short text that is the same for networks with the same layers of PyTorch, parameters and answering exits."""
    layers = [
        [repr(m) for m in part.modules() if type(m).__module__.startswith("torch.nn.") and not any(m.children())]
        for part in (*net.segments, *net.heads)
    ]
    parameters = [(tuple(parameter.shape), str(parameter.dtype)) for parameter in net.parameters()]
    text = f"{net.answering_exits} {net.starts} {layers} {parameters}".replace("Identity()", "")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def device_name(device: torch.device) -> str:
    """Name of the processor or GPU, as its maker gives it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _quantiles(seconds: Tensor) -> list[Quantiles]:
    """Of each step: [rounds, steps] -> [steps]. Four significant digits: finer than any clock is steady."""
    rows = seconds.quantile(seconds.new_tensor([0.5, 0.9, 0.99]), dim=0).T.tolist()
    return [Quantiles(*(float(f"{value:.4g}") for value in row)) for row in rows]

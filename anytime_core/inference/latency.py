"""The latency table: how long each step of a network takes on one device, and for which calls that holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from anytime_core.errors import InputError
from anytime_core.inference.device import device_name
from anytime_core.inference.steps import find_steps
from anytime_core.networks.base import AnytimeNetwork

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Quantiles(BaseModel):
    """Quantiles of a measured time, in seconds; ``p99`` is not exceeded in 99 % of the rounds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    p50: Seconds
    p90: Seconds
    p99: Seconds


class ExitLatency(BaseModel):
    """Times of one exit.

    Attributes:
        exit: The exit, from 1.
        step: From the answer before to this one: segments, head and softmax; of the first exit, from the call on.
        fixed: All of ``predict(exit=…)``.
        streamed: From the call of ``refine`` to this answer, the heads before included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    exit: Count
    step: Quantiles
    fixed: Quantiles
    streamed: Quantiles


class LatencyTable(BaseModel):
    """Measured times of one network on one device, for one shape of batch and one number of threads.

    Attributes:
        network: Fingerprint of the network's layers and adopted exits; weights do not change a time.
        device: Name of the processor or GPU.
        threads: CPU threads.
        batch_size: N.
        image_shape: (C, H, W).
        torch: Version of PyTorch.
        rounds: Measurements behind every quantile.
        exits: One row per exit that answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    device: str
    threads: Count
    batch_size: Count
    image_shape: tuple[Count, Count, Count]
    torch: str
    rounds: Count
    exits: Annotated[tuple[ExitLatency, ...], Field(min_length=1)]

    def needed(self) -> list[float]:
        """Seconds that are allowed for each step when a deadline is kept, [steps].

        The 99th percentile; a call that is slower than :meth:`usual` stretches it. A step is begun only if as much
        time is left, and most have more, since the time left is anything between this and this plus one step: much
        fewer than one answer in a hundred is late.
        """
        return [row.step.p99 for row in self.exits]

    def usual(self, member_starts: Sequence[int], *, heads: bool = True) -> list[float]:
        """Median seconds from the call to the end of each step when no head on the way is evaluated, [steps].

        Args:
            member_starts: For each step the position of the first step of its member, [steps]; 0 but in an EANN.
            heads: With the step's own head; without it, to the end of its segments.
        """
        fixed = [row.fixed.p50 for row in self.exits]
        own = self._heads(member_starts)
        before, found = 0.0, []
        for position, start in enumerate(member_starts):
            if position and start == position:  # all of the member before has been run
                before += fixed[position - 1] - own[position - 1]
            found.append(before + fixed[position] - (0.0 if heads else own[position]))
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
        """Refuse to plan with the times of another network or device. Raises InputError."""
        if self.network != fingerprint(net) or len(self.exits) != len(find_steps(net)):
            raise InputError("latency: expected a table of this network, found that of another one; measure it anew")
        if self.device != device_name(device):
            raise InputError(
                f"latency: expected a table of this device, {device_name(device)}, found one of {self.device}; "
                "measure it anew"
            )

    def check_call(self, images: Tensor) -> None:
        """Refuse to plan with the times of another shape of batch or number of threads. Raises InputError."""
        if (*images.shape,) != (self.batch_size, *self.image_shape):
            raise InputError(
                f"latency: the table is for images {[self.batch_size, *self.image_shape]}, "
                f"found {list(images.shape)}; measure a table for these"
            )
        if images.device.type == "cpu" and torch.get_num_threads() != self.threads:
            raise InputError(
                f"latency: the table is for {self.threads} CPU threads, found {torch.get_num_threads()}; "
                "call torch.set_num_threads, or measure a table for these"
            )


def find_table(
    tables: Iterable[LatencyTable], net: AnytimeNetwork, device: torch.device, shape: Sequence[int]
) -> LatencyTable | None:
    """The table that suits a network on this device, the present CPU threads and PyTorch, and images (N, C, H, W);
    or None."""
    key = (fingerprint(net), device_name(device), torch.get_num_threads(), tuple(shape), str(torch.__version__))
    for table in tables:
        where = (table.network, table.device, table.threads, (table.batch_size, *table.image_shape), table.torch)
        if key == where:
            return table
    return None


def fingerprint(net: AnytimeNetwork) -> str:
    """A short text that is the same for networks with the same layers, adopted exits and type of numbers."""
    adopted = [step.exit for step in find_steps(net)]
    dtype = next((parameter.dtype for parameter in net.parameters()), torch.float32)
    numbers = "" if dtype == torch.float32 else f" {dtype}"
    return hashlib.sha256(f"{adopted} {net}{numbers}".encode()).hexdigest()[:16]

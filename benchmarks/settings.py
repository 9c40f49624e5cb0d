"""What is measured on: device, threads, data, network, and how often."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch

from anytime_study.runs.config import RunConfig
from benchmarks.header import bf16_features

Value = TypeVar("Value")
Precision = Literal["fp32", "bf16"]


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """Sizes of all rows.

    Attributes:
        quick: Shrink everything, to try the machinery: digits, a tiny network, a few steps.
        device: Where it is computed.
        threads: CPU threads.
    """

    quick: bool
    device: Literal["cpu", "cuda"]
    threads: int

    def pick(self, real: Value, quick: Value) -> Value:
        """A size for a real measurement, or for a quick one."""
        return quick if self.quick else real

    @property
    def dataset(self) -> str:
        """Images of 28×28; quick ones of 8×8, which need no file."""
        return self.pick("fashion-mnist", "digits")

    @property
    def network(self) -> str:
        """The network, as a config writes it."""
        return self.resann()

    @property
    def batch_size(self) -> int:
        """Images per training step."""
        return self.pick(128, 32)

    @property
    def precision(self) -> Precision:
        """bf16 where the hardware multiplies in it, else fp32."""
        if self.device == "cuda":
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
        return "bf16" if bf16_features() else "fp32"

    @property
    def text(self) -> str:
        """For people: the setting of everything that does not say otherwise."""
        return f"{self.network} on {self.dataset}, batch {self.batch_size}, {self.precision}, {self.threads} thread(s)"

    @property
    def size(self) -> tuple[int, int]:
        """n and c of the network."""
        return self.pick((3, 16), (1, 4))

    def resann(self, n: int | None = None, c: int | None = None, **options: int) -> str:
        """A ResANN of the default or of another size, as a config writes it."""
        options = {"n": n or self.size[0], "c": c or self.size[1], **options}
        return f"resann({', '.join(f'{name}={value}' for name, value in options.items())})"

    def config(self, **changes: object) -> RunConfig:
        """A run that is longer than anything measured, AdaLoss unless changed."""
        fields = {
            "dataset": self.dataset,
            "network": self.network,
            "weighting": "adaloss",
            "batch_size": self.batch_size,
            "epochs": 1000,
            "precision": self.precision,
            "threads": self.threads,
            "device": self.device,
        }
        return RunConfig.model_validate({**fields, **changes})

"""What is measured on: device, threads, data, network; and the words that a report has for it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import torch

from anytime_core.inference.latency import device_name
from anytime_study.datasets import load_dataset
from anytime_study.datasets.images import ImageData
from anytime_study.runs.config import RunConfig
from benchmarks.report import Device

Value = TypeVar("Value")
Kind = Literal["cpu", "cuda"]
Precision = Literal["fp32", "bf16"]
ROOT = Path(__file__).parents[1]


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_device(kind: Kind) -> Device:
    """The hardware of this process."""
    cpu = device_name(torch.device("cpu")) or "unknown"
    if kind == "cpu":
        return Device(name=cpu, kind=kind, cpu=cpu, cores=cores(), features=bf16_instructions())
    found = torch.cuda.get_device_properties()
    features = [f"compute capability {found.major}.{found.minor}", f"{found.total_memory / 2**30:.0f} GiB"]
    return Device(name=found.name, kind=kind, cpu=cpu, cores=cores(), features=features)


def bf16_instructions() -> list[str]:
    """Instructions that this processor has for bfloat16; none where the system does not tell."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return [feature for feature in ("avx512_bf16", "amx_bf16", "amx_tile") if feature in flags]


@dataclass(frozen=True)
class Settings:
    """Sizes of all rows.

    Attributes:
        quick: Shrink everything, to try the machinery: digits, a tiny network, a few steps.
        device: Where it is computed.
        threads: CPU threads.
        msdnet: A clone of MSDNet-PyTorch, if there is one.
    """

    quick: bool
    device: Kind
    threads: int
    msdnet: Path | None = None

    def pick(self, real: Value, quick: Value) -> Value:
        """A size for a real measurement, or for a quick one."""
        return quick if self.quick else real

    @property
    def dataset(self) -> str:
        """Images of 28×28; quick ones of 8×8, which need no file."""
        return self.pick("fashion-mnist", "digits")

    @property
    def size(self) -> tuple[int, int]:
        """n and c of the network, a ResANN with K = 3 n exits."""
        return self.pick((3, 16), (1, 4))

    @property
    def network(self) -> str:
        """The network, as a config writes it."""
        return "resann(n={}, c={})".format(*self.size)

    @property
    def batch_size(self) -> int:
        """Images per training step."""
        return self.pick(128, 32)

    @property
    def precision(self) -> Precision:
        """bf16 where the hardware multiplies in it, else fp32."""
        if self.device == "cuda":
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
        return "bf16" if bf16_instructions() else "fp32"

    @property
    def text(self) -> str:
        """The setting of everything that does not say otherwise, for people."""
        return f"{self.network} on {self.dataset}, batch {self.batch_size}, {self.precision}, {self.threads} thread(s)"

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


def images_of(settings: Settings) -> ImageData:
    """The data set, on the device."""
    data = load_dataset(settings.dataset, device=settings.device)
    if not isinstance(data, ImageData):
        raise TypeError(f"data set: expected one that is kept in memory, found {settings.dataset}")
    return data

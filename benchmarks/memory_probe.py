"""Peak memory of one variant, measured in a process that does nothing else: ``python -m benchmarks.memory_probe``."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import torch

from anytime_study.datasets import load_dataset
from anytime_study.datasets.batches import evaluation_batches
from anytime_study.foundations.torch_state import compute_settings
from anytime_study.training.evaluation import evaluate
from benchmarks.packaged import PackagedTraining
from benchmarks.rows.training_rate import plain_training
from benchmarks.settings import Settings

STEPS = 5  # memory is at its peak after the second one: gradients and momentum are there


def peak_mib(device: str) -> float:
    """Most memory that this process has had so far, in MiB: on a GPU of its tensors, else resident."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.exists():
        # Linux hands the ru_maxrss of a parent down to a process that it starts; VmHWM begins anew.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    bytes_each = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * bytes_each / 2**20


def work(settings: Settings, variant: str) -> None:
    """Do what a variant does: ``data``, ``plain``, ``evaluation``, or training in ``fp32``, ``bf16`` or ``compiled``.

    Raises:
        ValueError: there is no such variant.
    """
    if variant == "data":  # what every variant holds: libraries and images
        load_dataset(settings.dataset, device=settings.device)
    elif variant == "plain":
        plain_training(settings, workers=0).measure(STEPS)
    elif variant == "evaluation":
        with compute_settings(settings.threads, deterministic=settings.device == "cpu"):
            data = load_dataset(settings.dataset, device=settings.device)
            network = settings.config().build_network().to(settings.device).to(memory_format=torch.channels_last)
            evaluate(network, evaluation_batches(data, "validation"))
    elif variant in ("fp32", "bf16", "compiled"):
        compiled = variant == "compiled"
        precision = settings.precision if compiled else variant
        PackagedTraining(settings.config(precision=precision, compile=compiled)).block(STEPS)()
    else:
        raise ValueError(f"variant: expected data, plain, evaluation, fp32, bf16 or compiled, found {variant}")


def main(text: str) -> None:
    """Work, and write the peak in MiB to standard output.

    Args:
        text: JSON with the fields of Settings and ``variant``.
    """
    fields = json.loads(text)
    variant = fields.pop("variant")
    settings = Settings(**fields)
    work(settings, variant)
    sys.stdout.write(f"{peak_mib(settings.device)}\n")


if __name__ == "__main__":
    main(sys.argv[1])

"""Logits of all exits on a fixed set of images, as arrays: what thresholds and temperatures are fitted on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anytime_core.errors import InputError
from anytime_core.inference.steps import find_steps
from anytime_core.networks.base import AnytimeNetwork
from anytime_core.networks.modes import modes_kept

Logits: TypeAlias = npt.NDArray[np.floating] | Tensor  # [K, N, classes]
Labels: TypeAlias = npt.NDArray[np.integer] | Tensor  # [N]


def exit_logits(
    net: AnytimeNetwork, batches: Iterable[tuple[Tensor, Tensor]]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Logits of the K exits that answer: all, or in an :class:`EANN` those that are adopted.

    Args:
        net: The network; it runs in evaluation mode, and the mode of each of its parts is restored.
        batches: Normalised images [N, C, H, W] without augmentation, and labels [N].

    Returns:
        Logits float32 [K, N, classes] and labels int64 [N], N over all batches, in their order.

    Raises:
        InputError: no batch, or labels of several tasks.
    """
    rows = torch.tensor([step.exit - 1 for step in find_steps(net)])
    logits, labels = [], []
    with modes_kept(net), torch.inference_mode():
        net.eval()
        for images, targets in batches:
            if targets.ndim != 1:
                raise InputError(f"labels: expected one per image, [N], found shape {list(targets.shape)}")
            logits.append(net(images).float().cpu()[rows])
            labels.append(targets.cpu())
    if not logits:
        raise InputError("batches: expected at least one, found none")
    return torch.cat(logits, 1).numpy(), torch.cat(labels).numpy()


def checked_logits(logits: Logits, name: str = "logits") -> Tensor:
    """The logits as a float32 tensor on the CPU. Raises InputError unless they are finite numbers [K, N, classes]."""
    found = torch.as_tensor(logits).detach().to("cpu", torch.float32)
    if found.ndim != 3 or 0 in found.shape:
        raise InputError(f"{name}: expected shape [exits, images, classes], none of them 0, found {list(found.shape)}")
    if not bool(found.isfinite().all()):
        raise InputError(f"{name}: expected finite numbers, found NaN or infinity")
    return found


def checked_labels(labels: Labels, logits: Tensor) -> Tensor:
    """The labels as an int64 tensor on the CPU. Raises InputError unless there is a class for each image."""
    found = torch.as_tensor(labels).cpu()
    _, number, classes = logits.shape
    if found.shape != (number,) or found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise InputError(
            f"labels: expected {number} whole numbers, one per image, found {found.dtype} {list(found.shape)}"
        )
    if not bool(((found >= 0) & (found < classes)).all()):
        raise InputError(f"labels: expected 0 to {classes - 1}, found {found.min().item()} to {found.max().item()}")
    return found.long()


def checked_temperatures(temperatures: float | Sequence[float] | npt.NDArray[np.floating] | None, count: int) -> Tensor:
    """One temperature per exit, float32 [K]; None is 1 for all.

    Raises:
        InputError: unless they are finite and above 0.
    """
    if temperatures is None:
        return torch.ones(count)
    try:
        found = np.asarray(temperatures, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"temperatures: expected numbers, found {temperatures!r}") from None
    if found.shape not in ((), (count,)):
        raise InputError(f"temperatures: expected one, or one for each of {count} exits, found shape {found.shape}")
    if not (np.isfinite(found) & (found > 0)).all():
        raise InputError(f"temperatures: expected finite numbers above 0, found {found.tolist()}")
    return torch.from_numpy(np.broadcast_to(found, (count,)).astype(np.float32))


def softmax_at(logits: Tensor, temperature: float | Tensor) -> Tensor:
    """Softmax of logits [..., classes] divided by their temperature: the one place where confidence is defined."""
    return (logits / temperature).softmax(-1)

"""Logits of all exits on a fixed set of inputs: what thresholds and temperatures are fitted on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from anytime_core.errors import InputError
from anytime_core.inference.steps import find_steps
from anytime_core.networks.base import AnytimeNetwork, modes_kept


def exit_logits(net: AnytimeNetwork, batches: Iterable[tuple[Any, Tensor]]) -> tuple[Tensor, Tensor]:
    """Logits of the K exits that answer: all, or in an :class:`EANN` those that are adopted.

    Args:
        net: The network; it runs in evaluation mode, and the mode of each of its parts is restored.
        batches: Inputs [N, ...], normalised and without augmentation, and labels [N].

    Returns:
        Logits float32 [K, N, classes] and labels int64 [N] on the CPU, N over all batches, in their order.

    Raises:
        InputError: no network, no batch, or labels that are not one class per input.
    """
    rows = torch.tensor([step.exit - 1 for step in find_steps(net)], device="cpu")
    logits, labels = [], []
    with modes_kept(net), torch.inference_mode():
        net.eval()
        for inputs, targets in batches:
            logits.append(net(*(inputs if isinstance(inputs, tuple) else [inputs])).float().cpu()[rows])
            labels.append(checked_labels(targets, logits[-1]))
    if not logits:
        raise InputError("batches: expected at least one, found none")
    return torch.cat(logits, 1).clone(), torch.cat(labels).clone()  # clones may be used outside of inference mode


def checked_logits(logits: Any, name: str = "logits") -> Tensor:
    """The logits as a float32 tensor on the CPU. Raises InputError unless they are finite numbers [K, N, classes]."""
    found = as_numbers(logits, name, torch.float32).detach()
    if found.ndim != 3 or 0 in found.shape:
        raise InputError(f"{name}: expected shape [exits, inputs, classes], none of them 0, found {list(found.shape)}")
    if not bool(found.isfinite().all()):
        raise InputError(f"{name}: expected finite numbers, found NaN or infinity")
    return found


def checked_labels(labels: Any, logits: Tensor) -> Tensor:
    """The labels as an int64 tensor on the CPU. Raises InputError unless there is a class for each input."""
    found = as_numbers(labels, "labels")
    number, classes = logits.shape[1], logits.shape[-1]
    if found.shape != (number,) or found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise InputError(
            f"labels: expected {number} whole numbers, one per input, found {found.dtype} {list(found.shape)}"
        )
    if not bool(((found >= 0) & (found < classes)).all()):
        raise InputError(f"labels: expected 0 to {classes - 1}, found {found.min().item()} to {found.max().item()}")
    return found.long()


def checked_thresholds(thresholds: Any, count: int) -> Tensor:
    """One threshold per exit but the last, float32 [count - 1]. Raises InputError but for 0 to 1 and infinity."""
    found = _numbers(thresholds, "thresholds", count - 1, f"{count} exits but the last")
    if not bool(((found >= 0) & ((found <= 1) | found.isposinf())).all()):  # NaN is refused too
        raise InputError(f"thresholds: expected 0 to 1, or infinity, found {found.tolist()}")
    return found


def checked_temperatures(temperatures: Any, count: int) -> Tensor:
    """One temperature per exit, float32 [count]; None is 1. Raises InputError unless they are finite and above 0."""
    found = _numbers(1.0 if temperatures is None else temperatures, "temperatures", count, f"{count} exits")
    if not bool((found.isfinite() & (found > 0)).all()):
        raise InputError(f"temperatures: expected finite numbers above 0, found {found.tolist()}")
    return found


def softmax_at(logits: Tensor, temperature: float | Tensor | None = None) -> Tensor:
    """Softmax of logits [..., classes] divided by their temperature: the one place where confidence is defined."""
    return (logits if temperature is None else logits / temperature).softmax(-1)


def as_numbers(values: Any, name: str, dtype: torch.dtype | None = None) -> Tensor:
    """The values as a tensor on the CPU. Raises InputError unless they are numbers."""
    try:
        return torch.as_tensor(values, dtype=dtype, device="cpu")
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{name}: expected numbers, found {values!r}") from None


def _numbers(values: Any, name: str, count: int, of_what: str) -> Tensor:
    """One number for all, or a list of them, as float32 [count]."""
    found = as_numbers(values, name, torch.float32)
    if found.shape not in ((), (count,)):
        raise InputError(f"{name}: expected one, or one for each of {of_what}, found shape {list(found.shape)}")
    return found.expand(count)

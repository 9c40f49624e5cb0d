"""PyTorch's process-wide settings and random state: a run has its own, and leaves the caller's as they were."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch


@contextmanager
def compute_settings(threads: int, *, deterministic: bool) -> Generator[None]:
    """CPU threads, and whether only deterministic algorithms may be used.

    Deterministic mode also fills all new memory, to show who reads what nobody wrote; filling it takes a twentieth of a
    training step, so that part is left out.
    """
    memory: Any = torch.utils.deterministic  # a module that makes its attribute a property: no checker sees that
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode(), memory.fill_uninitialized_memory
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_deterministic_debug_mode(before[1])
        memory.fill_uninitialized_memory = before[2]


def own_random_state(device: torch.device) -> AbstractContextManager[None]:
    """What is drawn inside from PyTorch's global generators does not show outside."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def random_state(device: torch.device) -> list[torch.Tensor]:
    """State of the global generators that a network on ``device`` may draw from (dropout does)."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def set_random_state(device: torch.device, states: list[torch.Tensor]) -> None:
    """Go back to what :func:`random_state` gave."""
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)

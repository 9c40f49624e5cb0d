"""Who is measured when: contenders take turns, so that a slow minute of the machine hits all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.utils.benchmark import Timer
from torch.utils.benchmark.utils.timer import timer as clock  # waits for the accelerator, if there is one

from anytime_study.foundations.torch_state import compute_settings

__all__ = ["Block", "clock", "sandwiched", "take_turns", "timed"]

Block = Callable[[], float]  # one measurement: seconds per call


def timed(
    call: Callable[[], object],
    *,
    number: int,
    threads: int,
    deterministic: bool = False,
    timer: Callable[[], float] = clock,
) -> Block:
    """A block of ``number`` calls in a row, after two that bring their data back into the caches.

    Args:
        call: What is timed.
        number: Calls per block; at least 1.
        threads: CPU threads.
        deterministic: Whether only deterministic algorithms are used, as TrainingRun does on a CPU.
        timer: The clock, in seconds.
    """
    block = Timer("call()", globals={"call": call}, num_threads=threads, timer=timer)

    def measure() -> float:
        with compute_settings(threads, deterministic=deterministic):
            return block.timeit(number).mean

    return measure


def take_turns(contenders: Mapping[str, Block], rounds: int) -> dict[str, list[float]]:
    """A B C A B C …, after a round that does not count.

    Returns:
        By contender, its seconds per call in each round.
    """
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for round_number in range(rounds + 1):
        for name, block in contenders.items():
            seconds = block()
            if round_number:
                found[name].append(seconds)
    return found


def sandwiched(baseline: Block, contenders: Mapping[str, Block], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """O A O B O C O …: each contender stands between two turns of the baseline, after a round that does not count.

    A steady drift of the machine's speed cancels then; for differences of a few per cent that matters.

    Returns:
        By contender, for each round its seconds per call and the mean of the two of the baseline beside it.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    before = baseline()
    for round_number in range(rounds + 1):
        for name, block in contenders.items():
            seconds, after = block(), baseline()
            if round_number:
                found[name].append((seconds, (before + after) / 2))
            before = after
    return found


def synchronise(device: torch.device) -> None:
    """Wait until ``device`` has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)

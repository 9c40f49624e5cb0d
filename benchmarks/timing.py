"""Contenders take turns with a baseline, so that a slow minute of the machine affects both; compared in pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.stats import quantile_test
from torch.utils.benchmark import Timer
from torch.utils.benchmark.utils.timer import timer as clock  # waits for the accelerator, if there is one

from anytime_study.foundations.torch_state import compute_settings
from benchmarks.report import Comparison, Contender, Ratio, Spread

Block = Callable[[], float]  # one measurement: seconds per call


def timed(
    call: Callable[[], object],
    *,
    number: int,
    threads: int = 1,
    deterministic: bool = False,
    timer: Callable[[], float] = clock,
) -> Block:
    """A block of ``number`` calls in a row, after two that bring their data back into the caches.

    ``deterministic`` allows only deterministic algorithms, as TrainingRun does on a CPU; ``timer`` gives seconds.
    """
    block = Timer("call()", globals={"call": call}, num_threads=threads, timer=timer)

    def measure() -> float:
        with compute_settings(threads, deterministic=deterministic):
            return block.timeit(number).mean

    return measure


def compare(
    name: str, blocks: Mapping[str, Block], baseline: str, rounds: int, *, unit: str = "ms", images: int = 0
) -> Comparison:
    """O A O B O C O …: each contender between two turns of the baseline, after a round that does not count.

    A steady drift of the machine's speed cancels then; for differences of a few per cent that matters.

    Args:
        name: What is compared.
        blocks: By contender, the baseline among them.
        baseline: The contender that the others are divided by.
        rounds: Turns of each contender.
        unit: Of the values: "ms", "s", or "images/s" with so many ``images`` in a call.
        images: See ``unit``.
    """
    convert = {"s": lambda s: s, "ms": lambda s: 1000 * s, "images/s": lambda s: images / s}[unit]
    pairs: dict[str, list[tuple[float, float]]] = {contender: [] for contender in blocks if contender != baseline}
    before = blocks[baseline]()
    for round_number in range(rounds + 1):
        for contender, measured in pairs.items():
            own, after = blocks[contender](), blocks[baseline]()
            if round_number:
                measured.append((convert(own), convert((before + after) / 2)))
            before = after
    values = [other for measured in pairs.values() for _, other in measured]
    contenders = [Contender(name=baseline, value=spread(values))]
    for contender, measured in pairs.items():
        own, beside = zip(*measured, strict=True)
        contenders.append(Contender(name=contender, value=spread(own), ratio=paired_ratio(own, beside)))
    return Comparison(name=name, unit=unit, baseline=baseline, contenders=contenders)


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of at least one value above 0."""
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return Spread(median=median, q1=q1, q3=q3, n=len(values))


def paired_ratio(values: Sequence[float], baselines: Sequence[float]) -> Ratio:
    """The ratios values[i] / baselines[i], with a distribution-free interval for their median.

    The interval ends at order statistics and holds the median with probability 0.95 or more. With fewer than six pairs
    none does, and it is the range.
    """
    ratios = np.array([value / baseline for value, baseline in zip(values, baselines, strict=True)])
    interval = quantile_test(ratios, p=0.5).confidence_interval(0.95)
    low, high = (interval.low, interval.high) if len(ratios) >= 6 else (ratios.min(), ratios.max())
    return Ratio(median=float(np.median(ratios)), low=float(low), high=float(high), n=len(ratios))

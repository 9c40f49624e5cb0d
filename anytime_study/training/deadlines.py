"""Many deadlines, one after the other: what a predictor gives, how often it is late and by how much."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from anytime_core.errors import InputError
from anytime_core.inference.latency import LatencyTable
from anytime_core.inference.predictor import AnytimePredictor


def deadline_trial(predictor: AnytimePredictor, images: Tensor, deadlines: Sequence[float]) -> pd.DataFrame:
    """Answer one image by each deadline, and note when the answer came.

    Times are the caller's: from just before the call to just after it.

    Args:
        predictor: With or without a latency table.
        images: Normalised images [M, C, H, W]; the i-th deadline gets the i-th image, and after the last the first.
        deadlines: Seconds, each above 0.

    Returns:
        A row per deadline, in order: ``image`` (its index), ``deadline_s``, ``elapsed_s``, ``late_s`` (beyond the
        deadline; 0 where in time), ``late``, ``exit``, ``macs`` and ``answer`` (the class).

    Raises:
        InputError: no deadline, or input that the predictor refuses.
    """
    if len(deadlines) == 0:
        raise InputError("deadlines: expected at least one, found none")
    predictor.warm_up(images[:1])
    rows = []
    for number, deadline in enumerate(map(float, deadlines)):
        index = number % len(images)
        image = images[index : index + 1]
        start = time.perf_counter()
        prediction = predictor.predict(image, deadline=deadline)
        elapsed = time.perf_counter() - start
        answer = int(prediction.logits.argmax())
        late = max(0.0, elapsed - deadline)
        rows.append((index, deadline, elapsed, late, late > 0, prediction.exit, prediction.macs, answer))
    return pd.DataFrame(rows, columns=["image", "deadline_s", "elapsed_s", "late_s", "late", "exit", "macs", "answer"])


def random_deadlines(
    table: LatencyTable, count: int, *, shortest: float | None = None, longest: float | None = None, seed: int = 0
) -> NDArray[np.float64]:
    """Deadlines in seconds, uniform between the first exit's 99th percentile and twice the full latency (its median).

    Args:
        table: Where these two times are taken from.
        count: How many.
        shortest: Another lower end, in seconds.
        longest: Another upper end, in seconds.
        seed: Of the draw.

    Raises:
        InputError: the lower end is not above 0 and below the upper one, as with a table made under load.
    """
    low = table.exits[0].fixed.p99 if shortest is None else shortest
    high = 2 * table.exits[-1].streamed.p50 if longest is None else longest
    if not 0 < low < high < math.inf:
        raise InputError(f"deadlines: expected ends above 0 in growing order, found {low:g} s and {high:g} s")
    return np.random.default_rng(seed).uniform(low, high, count)

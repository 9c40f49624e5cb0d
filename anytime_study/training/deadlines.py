"""Many deadlines, one after the other: what a predictor gives, how often it is late and by how much."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pandas as pd
from torch import Tensor

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
        InputError: input that the predictor refuses.
    """
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

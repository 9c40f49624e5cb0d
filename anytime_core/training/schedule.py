"""Learning rate over a run, as a factor of its largest value."""

from __future__ import annotations

import math
from typing import Literal


def learning_rate_factor(
    step: int, *, total_steps: int, warmup_steps: int, schedule: Literal["cosine", "steps"]
) -> float:
    """Factor in [0, 1] for optimiser step ``step`` = 0, 1, …, total_steps - 1.

    Linear rise over ``warmup_steps``; then a half cosine down to 0 ("cosine"), or 1, 1/10 from half of the run and
    1/100 from three quarters on ("steps", the papers' schedule).
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "steps":
        return 0.1 ** ((step >= total_steps / 2) + (step >= total_steps * 3 / 4))
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * progress))

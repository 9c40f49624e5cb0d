"""Learning rate over a run, as a factor of its largest value."""

from __future__ import annotations

import math

from anytime_study.runs.config import Schedule


def learning_rate_factor(step: int, *, total_steps: int, warmup_steps: int, schedule: Schedule) -> float:
    """Factor in [0, 1] for optimiser step ``step`` = 0, 1, …, total_steps - 1.

    Linear rise over ``warmup_steps``; then a half cosine down to 0 ("cosine"), or 1, 1/10 and 1/100 (the papers'
    schedules): from 1/2 and from 3/4 of the run on ("steps", small images), or from 1/3 and from 2/3 on ("thirds",
    ILSVRC).
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule != "cosine":
        quarters_or_thirds = (2 / 4, 3 / 4) if schedule == "steps" else (1 / 3, 2 / 3)
        return 0.1 ** sum(step >= total_steps * share for share in quarters_or_thirds)
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * progress))

"""From repeated measurements to medians, paired ratios and their spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import binom

from benchmarks.results import Comparison, Contender, Ratio, Spread

CONFIDENCE = 0.95  # of the interval for a median ratio, where there are pairs enough (six)


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of at least one value above 0."""
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return Spread(median=median, q1=q1, q3=q3, n=len(values))


def paired_ratio(values: Sequence[float], baselines: Sequence[float]) -> Ratio:
    """The ratios values[i] / baselines[i], with a distribution-free interval for their median.

    The interval ends at two order statistics: the k-th smallest and the k-th largest ratio, with the largest k for
    which it holds the median with probability 0.95 or more. With fewer than six pairs none does, and it is the range.

    Raises:
        ValueError: not as many of one as of the other.
    """
    ratios = sorted(value / baseline for value, baseline in zip(values, baselines, strict=True))
    k = max(int(binom.ppf((1 - CONFIDENCE) / 2, len(ratios), 0.5)), 1)
    # P(fewer than k of n ratios below the median), on both sides
    coverage = max(1 - 2 * float(binom.cdf(k - 1, len(ratios), 0.5)), 0.0)
    return Ratio(**spread(ratios).model_dump(), low=ratios[k - 1], high=ratios[-k], coverage=coverage)


def comparison(
    name: str,
    unit: str,
    baseline: str,
    values: Mapping[str, Sequence[float]],
    *,
    facts: Mapping[str, dict[str, float]] | None = None,
    beside: Mapping[str, Sequence[float]] | None = None,
) -> Comparison:
    """Compare things that took turns: the i-th value of each was measured in round i.

    Args:
        name: What is compared.
        unit: Of the values.
        baseline: The contender whose values the others' are divided by.
        values: By contender, in ``unit``.
        facts: Further numbers by contender.
        beside: By contender, baseline values that were measured closer to it than those in ``values``.
    """
    return Comparison(
        name=name,
        unit=unit,
        baseline=baseline,
        contenders=[
            Contender(
                name=contender,
                value=spread(measured),
                ratio=None
                if contender == baseline
                else paired_ratio(measured, (beside or {}).get(contender, values[baseline])),
                facts=(facts or {}).get(contender, {}),
            )
            for contender, measured in values.items()
        ],
    )

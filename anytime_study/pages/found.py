"""What was found of AdaLoss against equal weights, setting by setting, and which setting answers the question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from anytime_study.analysis.statistics import mean_interval
from anytime_study.analysis.verdicts import Verdict
from anytime_study.pages.words import FEWEST

Side = Literal["more", "slightly more", "same", "slightly fewer", "fewer", "open"]


@dataclass(frozen=True)
class Found:
    """Changes of test error by AdaLoss against equal weights in one setting.

    Attributes:
        where: The setting in words, after "on": ``Fashion-MNIST, trained for six epochs``.
        changes: A row per seed, with the columns ``quarter`` and ``last`` in hundredths of a logarithm.
        planned: How many seeds are planned; 0 if that is not decided yet.
        verdict: On the claim of a trade-off that is judged by them; None if there is no such claim.
        epochs: Of training.
        diverged: How many seeds have no pair because a run diverged.
    """

    where: str
    changes: pd.DataFrame
    planned: int = 0
    verdict: Verdict | None = None
    epochs: int = 0
    diverged: int = 0

    @property
    def seeds(self) -> int:
        """How many have a pair of runs."""
        return len(self.changes)

    @property
    def complete(self) -> bool:
        """Whether no planned run is to come."""
        return 0 < self.planned <= self.seeds + self.diverged


Relevant = Mapping[str, float]
"""The smallest relevant changes by column, ``quarter`` and ``last``, from data/claims.yaml."""


def side(values: Sequence[float] | pd.Series, relevant: float) -> Side:
    """On which side of 0 the mean lies, by its 95 % interval; ``slightly``: by less than is relevant."""
    interval = mean_interval(values)
    small = -relevant < interval.low and interval.high < relevant
    if interval.high < 0:
        return "slightly fewer" if small else "fewer"
    if interval.low > 0:
        return "slightly more" if small else "more"
    return "same" if small else "open"


def sides(found: Found, relevant: Relevant) -> tuple[Side, Side]:
    """Early and late; open with too few seeds."""
    if found.seeds < FEWEST:
        return "open", "open"
    return side(found.changes["quarter"], relevant["quarter"]), side(found.changes["last"], relevant["last"])


@dataclass(frozen=True)
class Sources:
    """Runs that may answer the question, and what matters.

    Attributes:
        counted: The main comparison, on the paper's own data, each weighting at its own learning rate.
        shorter: The paper's data too, but fewer images: an estimate, which speaks as long as ``counted`` is too small.
        same_rate: The control: as ``counted``, with equal weights at AdaLoss's learning rate.
        relevant: Which changes matter.
        rates: The main comparison's learning rates of equal weights and of AdaLoss.
    """

    counted: Found
    shorter: Found
    same_rate: Found
    relevant: Relevant
    rates: tuple[float, float] = (0, 0)

    @property
    def told(self) -> Found:
        """The one of the planned comparisons that speaks."""
        return self.counted if self.counted.seeds >= FEWEST else self.shorter

    @property
    def rate_alone(self) -> pd.Series:
        """What AdaLoss's rate changes at the last exit with equal weights, by seed: logarithms add up."""
        return (self.counted.changes["last"] - self.same_rate.changes["last"]).dropna()

    @property
    def rate_explains(self) -> bool:
        """Whether no relevant gain at the end is seen at one rate, and equal weights gain by the rate alone."""
        if not self._gains_at_own_rates or self._late(self.same_rate) == "fewer":
            return False
        return side(self.rate_alone, self.relevant["last"]).endswith("fewer")

    @property
    def needs_own_rates(self) -> bool:
        """Whether the control, at one rate, cannot confirm a gain that the rate does not explain."""
        confirmed = self._late(self.same_rate).endswith("fewer")
        return self._gains_at_own_rates and not confirmed and not self.rate_explains

    @property
    def _gains_at_own_rates(self) -> bool:
        """Whether the main comparison gains at the end, and there is a control to hold against it."""
        return self.same_rate.seeds >= FEWEST and self._late(self.counted).endswith("fewer")

    def _late(self, found: Found) -> Side:
        return sides(found, self.relevant)[1]

    @property
    def spoken(self) -> Found:
        """The one that the answer rests on: the control, where it takes back what the main comparison shows."""
        return self.same_rate if self.rate_explains else self.told

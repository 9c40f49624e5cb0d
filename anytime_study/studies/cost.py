"""What studies cost before anyone starts them: runs, multiply-adds, and hours on this machine, as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from anytime_study.runs.config import RunConfig
from anytime_study.studies.multiply_adds import training_macs
from anytime_study.studies.rates import Rates, kind_of, measure, slow_down


@dataclass(frozen=True)
class Row:
    """What all runs of one data set, network and weighting cost.

    Attributes:
        dataset, network, weighting: As in the runs.
        runs: How many.
        made: How many of these have a record.
        macs: Multiply-adds of training, all runs.
        hours: One after the other, all runs.
        hours_left: One after the other, runs without a record.
        on_random_images: Whether the rate is of random images.
    """

    dataset: str
    network: str
    weighting: str
    runs: int
    made: int
    macs: int
    hours: float
    hours_left: float
    on_random_images: bool


@dataclass(frozen=True)
class Estimate:
    """What a set of runs costs.

    Attributes:
        rows: In the order of the runs.
        slow_down: Factor by which a second run beside it slows a run down.
    """

    rows: tuple[Row, ...]
    slow_down: float

    def two_jobs(self, hours: float) -> float:
        """Hours of two runs side by side, for work that takes ``hours`` one after the other."""
        return hours * self.slow_down / 2

    def __str__(self) -> str:
        lines = [_LINE.format("data set", "network", "weighting", "runs", "made", "MACs", "1 job", "2 jobs")]
        for row in self.rows:
            dataset = f"{row.dataset}*" if row.on_random_images else row.dataset
            hours = (f"{value:.2f} h" for value in (row.hours, self.two_jobs(row.hours)))
            lines.append(
                _LINE.format(dataset, row.network, row.weighting, row.runs, row.made, f"{row.macs:.2e}", *hours)
            )
        for what, hours in (
            ("all runs", sum(row.hours for row in self.rows)),
            ("without a record", sum(row.hours_left for row in self.rows)),
        ):
            lines.append(f"{what}: {hours:.2f} h with 1 job, {self.two_jobs(hours):.2f} h of two cores with 2 jobs")
        lines.append(f"multiply-adds of training, all runs: {sum(row.macs for row in self.rows):.3e}")
        if any(row.on_random_images for row in self.rows):
            lines.append("* not on this machine: rate of random images of this shape, reading of files left out")
        return "\n".join(line.rstrip() for line in lines)


_LINE = "{:22} {:42} {:34} {:>5} {:>5} {:>9} {:>10} {:>10}"


def estimate(runs: Sequence[tuple[RunConfig, bool]], *, say: Callable[[str], None] = lambda _: None) -> Estimate:
    """Count and time ``runs``, each with whether it has a record.

    Args:
        runs: At least one.
        say: Told what is being timed.

    Raises:
        DatasetError: a data set is on this machine, but damaged.
    """
    rates: dict[RunConfig, Rates] = {}
    total: dict[RunConfig, float] = {}
    timed = []
    for config, made in runs:
        kind = kind_of(config)
        if kind not in rates:
            say(f"timing {config.network} on {config.dataset}, batch {config.batch_size}, {kind.weighting}")
            rates[kind] = measure(kind)
        seconds = rates[kind].seconds(config)
        total[kind] = total.get(kind, 0.0) + seconds
        timed.append((config, made, seconds, rates[kind].on_random_images))
    costliest = max(total, key=lambda kind: total[kind])
    say(f"timing two runs side by side: {costliest.network}")
    factor = slow_down(costliest, rates[costliest])
    order: dict[tuple[str, str, str], int] = {}
    for config, *_ in timed:
        order.setdefault(_row_of(config), len(order))
    timed.sort(key=lambda item: order[_row_of(item[0])])
    rows = []
    for names, group in groupby(timed, key=lambda item: _row_of(item[0])):
        items = list(group)
        rows.append(
            Row(
                *names,
                runs=len(items),
                made=sum(made for _, made, _, _ in items),
                macs=sum(training_macs(config) for config, *_ in items),
                hours=sum(seconds for _, _, seconds, _ in items) / 3600,
                hours_left=sum(seconds for _, made, seconds, _ in items if not made) / 3600,
                on_random_images=any(random for *_, random in items),
            )
        )
    return Estimate(tuple(rows), factor)


def _row_of(config: RunConfig) -> tuple[str, str, str]:
    return config.dataset, config.network, config.weighting

"""The choice of the records that a measure compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from anytime_core.errors import InputError
from anytime_study.foundations.validation import validated
from anytime_study.studies.own_rates import with_own_rate

if TYPE_CHECKING:  # torch comes with the records, not with this module
    from anytime_study.analysis import claims
    from anytime_study.runs.config import RunConfig
    from anytime_study.runs.record import RunRecord
    from anytime_study.studies.experiments import Experiment

RATES = (0.05, 0.1, 0.2)
"""Learning rates of the protocol ``tuned_rate``."""

MIN_SEEDS = 3
"""Fewer paired seeds are no test."""


class MissingRuns(InputError):
    """A measure cannot be had yet: runs that it compares have no result. Made of a reason per group of seeds."""

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__("missing runs: " + "; ".join(dict.fromkeys(missing)))


@dataclass
class Selection:
    """Finds the records that one measure compares under one protocol, and remembers what it gave and what it missed.

    Attributes:
        experiment: Where the records come from.
        protocol: data/claims.yaml defines them.
        case: Fields in which all runs differ from the main grid, unless a measure says otherwise.
        used: Records that were given out or that a learning rate was chosen by, by name.
        missing: What was asked for in vain, with the reason.
        notes: What a reader should know of the choice.
    """

    experiment: Experiment
    protocol: claims.Protocol = "one_rate"
    case: Mapping[str, Any] = field(default_factory=dict)
    used: dict[str, RunRecord] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def of(self, case: Mapping[str, Any]) -> Selection:
        """The same for a case; what it gives and misses is remembered here too."""
        return replace(self, case=case)

    def pick(self, **fields: Any) -> dict[int, RunRecord]:
        """Records of the runs with these fields, by seed; all other fields are those of the case, then the main grid's.

        Under ``tuned_rate`` these are the runs with the best of three learning rates, of the seeds that have runs with
        all of them; see :meth:`by_rate`.

        Args:
            fields: Of :class:`anytime_study.runs.config.RunConfig`.

        Raises:
            InputError: the main grid does not tell a field, or they make no run.
        """
        fields = {**self.case, **fields}
        if self.protocol != "tuned_rate":
            records, diverged = self._by_seed(fields)
            for seed, reason in diverged.items():
                self.missing.append(f"{_told(fields)}, seed {seed}: diverged: {reason}")
            return records
        by_rate = self.by_rate(**fields)
        if not by_rate:
            return {}
        best = best_rate(by_rate)
        self.notes.append(f"{_told(fields)}: learning rate {best}")
        return by_rate[best]

    def by_rate(self, **fields: Any) -> dict[float, dict[int, RunRecord]]:
        """What ``tuned_rate`` chooses from: the records of each of its learning rates, by seed.

        Returns:
            The rates with which no run diverged, each with the seeds that all of them have. Empty if there is no such
            seed, for a rate without runs might be the best.
        """
        fields = {**self.case, **fields}
        found = {}
        for rate in RATES:
            records, diverged = self._by_seed({**fields, "learning_rate": rate})
            if diverged:
                seeds = ", ".join(map(str, diverged))
                self.notes.append(f"{_told(fields)}: not learning rate {rate}, with which seeds {seeds} diverged")
            else:
                found[rate] = records
        if not found:
            self.missing.append(f"{_told(fields)}: diverged with every learning rate")
            return {}
        shared = set.intersection(*(set(records) for records in found.values()))
        return {rate: {seed: records[seed] for seed in sorted(shared)} for rate, records in found.items() if shared}

    def plans(self, **fields: Any) -> bool:
        """Whether the studies plan a run with these fields, with any seed, that :meth:`pick` would give."""
        fields = {**self.case, **fields}
        return any(self._config(fields, seed).name in self.experiment.planned for seed in self._seeds())

    def networks(self, weighting: str) -> list[str]:
        """The networks that the experiment trains with this weighting, all else being the main grid's."""
        names = {config.network for config in self.experiment.planned.values() if config.weighting == weighting}
        return sorted(name for name in names if self.plans(network=name, weighting=weighting))

    def compared(
        self, value: Callable[[RunRecord, RunRecord], float], first: Mapping[str, Any], second: Mapping[str, Any]
    ) -> pd.Series:
        """``value`` of two runs with these fields, in which a network may be named by its kind; see :meth:`paired`."""
        return self.paired(value, *(self.pick(**self._with_network(fields)) for fields in (first, second)))

    def paired(self, value: Callable[..., float], *picks: Mapping[int, RunRecord]) -> pd.Series:
        """``value`` of the records of each seed that all picks have, by seed; MissingRuns if there are too few."""
        seeds = sorted(set.intersection(*(set(pick) for pick in picks)))
        if len(seeds) < MIN_SEEDS:
            found = f"expected at least {MIN_SEEDS} seeds with all runs, found {len(seeds)}"
            raise MissingRuns([found, *self.missing])
        values = [value(*(pick[seed] for pick in picks)) for seed in seeds]
        return pd.Series(values, index=pd.Index(seeds, name="seed"), dtype=float)

    def _with_network(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fields with the network in full, where it is a kind of which the experiment has only one."""
        kind = fields.get("network", "(")
        found = {config.network for config in self.experiment.planned.values() if config.network_spec.name == kind}
        if kind in found:  # a whole name, of a network without options
            return fields
        if len(found) > 1:
            told = ", ".join(sorted(found))
            raise InputError(f"bad network {kind}: expected one of this kind in {self.experiment.name}, found {told}")
        return {**fields, "network": found.pop()} if found else fields

    def _by_seed(self, fields: Mapping[str, Any]) -> tuple[dict[int, RunRecord], dict[int, str]]:
        """Finished records, and the reasons of those that diverged, by seed."""
        from anytime_study.runs.record import DivergedRecord

        records, diverged, absent, planned = {}, {}, [], False
        for seed in self._seeds():
            name = self._config(fields, seed).name
            if name not in self.experiment.planned:
                continue
            planned = True
            outcome = self.experiment.outcomes.get(name)
            if outcome is None:
                absent.append(str(seed))
            elif isinstance(outcome, DivergedRecord):
                diverged[seed] = outcome.reason
            else:
                records[seed] = self.used[name] = outcome
        if absent:
            self.missing.append(f"{_told(fields)}, seeds {', '.join(absent)}: no record yet")
        if not planned:
            self.missing.append(f"{_told(fields)}: in no study of {self.experiment.name}")
        return records, diverged

    def _seeds(self) -> list[int]:
        return sorted({config.seed for config in self.experiment.planned.values()})

    def _config(self, fields: Mapping[str, Any], seed: int) -> RunConfig:
        from anytime_study.runs.config import RunConfig

        chosen = with_own_rate({**self.experiment.main, **fields, "seed": seed}, self.experiment.own_rates)
        return validated(RunConfig, chosen, where=f"run of {self.experiment.name}")


def trained_exit(record: RunRecord) -> int:
    """The exit, from 1, that a run of OPT trains."""
    return record.config.weighting_spec.options["exit"] or record.num_exits


def validation_error(records: Mapping[int, RunRecord]) -> float:
    """By which a learning rate is chosen: the mean over seeds and exits; of OPT, over seeds at the exit that it trains.

    Of one weighting's records by seed, at least one; from 0 to 1.
    """
    opt = next(iter(records.values())).config.weighting_spec.name == "opt"
    errors = [
        run.validation.error[trained_exit(run) - 1] if opt else float(np.mean(run.validation.error))
        for run in records.values()
    ]
    return float(np.mean(errors))


def best_rate(by_rate: Mapping[float, Mapping[int, RunRecord]]) -> float:
    """The learning rate with the lowest :func:`validation_error`, the smallest of several; of at least one."""
    return min(by_rate, key=lambda rate: validation_error(by_rate[rate]))


def _told(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in fields.items())

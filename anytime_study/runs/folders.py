"""Folders of records, of one machine or of many: checked, merged, and as one table.

A run's name holds a hash of all that decides its numbers, so a file is one run, wherever it was made.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anytime_core.errors import InputError
from anytime_core.files import atomic_write
from anytime_study.runs.record import DivergedRecord, RunRecord, load_outcome

if TYPE_CHECKING:
    import pandas as pd

    Outcome = RunRecord | DivergedRecord


@dataclass(frozen=True)
class Check:
    """What a look at folders of records found.

    Attributes:
        files: How many records there are.
        runs: How many different runs they are of.
        problems: What is wrong, a line for each, which begins with the file.
        hardware: Records by device and version of PyTorch.
    """

    files: int
    runs: int
    problems: list[str]
    hardware: Counter[str]

    def lines(self) -> list[str]:
        """For people: the problems, then a summary."""
        made = [f"  {number} on {where}" for where, number in self.hardware.most_common()]
        return [*self.problems, f"{self.files} records of {self.runs} runs, {len(self.problems)} problems", *made]


def check_records(folders: Sequence[Path]) -> Check:
    """Look at every record: its fields, its name, where it comes from, and whether its run is there twice.

    A problem is: a file that is no record; a file that is not named after its record; a record of another protocol, or
    whose name is not that of its config; one that no commit made, or code that differed from its commit; a run of which
    several folders hold different results.

    Args:
        folders: Searched with all folders in them; what is named .json is a record, unless its folder's name begins
            with a point.

    Raises:
        InputError: a folder is not there, or there is no record at all.
    """
    problems: list[str] = []
    hardware: Counter[str] = Counter()
    seen: dict[str, tuple[Path, dict[str, Any]]] = {}
    paths = list(_files(folders))
    for path in paths:
        try:
            record = load_outcome(path)
        except InputError as error:
            problems.append(str(error))  # it names the file
            continue
        problems += [f"{path}: {problem}" for problem in _problems(path, record)]
        hardware[f"{record.provenance.device}, torch {record.provenance.torch}"] += 1
        first, results = seen.setdefault(record.name, (path, record.results()))
        if results != record.results():
            problems.append(f"{path}: expected the results of {first}, which is the same run, found others")
    return Check(len(paths), len(seen), problems, hardware)


def _problems(path: Path, record: Outcome) -> Iterator[str]:
    made = record.provenance
    if path.stem != record.name:
        yield f"expected the file of a record to have its name, {record.name}.json"
    if record.stale:
        yield f"stale: protocol {record.protocol}, and the name of its config is {record.config.name}"
    if made.commit is None:
        yield "provenance.commit: expected the commit that made the record, found none"
    if made.dirty:
        yield f"provenance.dirty: expected the code of commit {made.commit}, found changes"


def merge_records(sources: Sequence[Path], into: Path) -> tuple[int, list[Path]]:
    """Copy the records that ``into`` lacks; what is there stays.

    Args:
        sources: Folders, searched as :func:`check_records` does; of a run that several hold, the first is taken.
        into: Folder for all of them, side by side; it is made if need be.

    Returns:
        How many were copied, and the files whose run ``into`` holds with other results: these were left alone.

    Raises:
        InputError: a folder is not there or holds no record, or a file is no record; nothing is copied then.
    """
    found = [(path, load_outcome(path)) for path in _files(sources)]
    copied, others = 0, []
    for path, record in found:
        target = into / f"{record.name}.json"
        if not target.exists():
            atomic_write(target, path.read_bytes())
            copied += 1
        elif load_outcome(target).results() != record.results():
            others.append(path)
    return copied, others


def records_table(folders: Sequence[Path]) -> pd.DataFrame:
    """All records as one tidy table: a row per run and exit, and one without an exit for a run that diverged.

    Columns: ``run``, ``outcome``, each field of :class:`RunConfig` (lists as JSON), ``exit`` (1 … K),
    ``macs_cumulative`` and ``macs_fixed`` (multiply-adds), ``weight`` (B after the last epoch), ``<split>_loss`` (nats)
    and ``<split>_error`` (0 to 1) of train, validation and test, ``seconds`` (of training), and each field of
    :class:`Provenance` as ``made_<field>``.

    Raises:
        InputError: a folder is not there or holds no record, or a file is no record.
    """
    import pandas as pd

    rows = [row for path in _files(folders) for row in _rows(load_outcome(path))]
    return pd.DataFrame(rows).convert_dtypes()


def _rows(record: Outcome) -> Iterator[dict[str, Any]]:
    config = {
        name: json.dumps(value) if isinstance(value, list) else value
        for name, value in record.config.model_dump(mode="json").items()
    }
    made = {f"made_{name}": value for name, value in record.provenance.model_dump().items()}
    of_run = {"run": record.name, "outcome": record.outcome, **config}
    beside = {"seconds": record.timing.seconds, **made}
    if isinstance(record, DivergedRecord):
        yield {**of_run, **beside}
        return
    for place in range(record.num_exits):
        scores = {
            f"{split}_{score}": getattr(getattr(record, split), score)[place]
            for split in ("train", "validation", "test")
            for score in ("loss", "error")
        }
        yield {
            **of_run,
            "exit": place + 1,
            "macs_cumulative": record.costs.macs_cumulative[place],
            "macs_fixed": record.costs.macs_fixed[place],
            "weight": record.epoch_weights[-1][place],
            **scores,
            **beside,
        }


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    found = False
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: expected a folder of records, found {'a file' if folder.exists() else 'none'}")
        for path in sorted(folder.rglob("*.json")):
            if not any(part.startswith(".") for part in path.relative_to(folder).parts):
                found = True
                yield path
    if not found:
        raise InputError(f"{', '.join(map(str, folders))}: expected records, files named .json, found none")

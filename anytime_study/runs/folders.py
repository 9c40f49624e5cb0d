"""Folders of records, of one machine or of many: found and checked.

A run's name holds a hash of all that decides its numbers, so a file is one run, wherever it was made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from anytime_core.errors import InputError
from anytime_study.runs.record import Outcome, load_outcome


def record_files(folders: Sequence[Path]) -> list[Path]:
    """What is named .json in these folders and in all that lie in them, but not where a folder begins with a point.

    Raises:
        InputError: a folder is not there, or there is no record at all.
    """
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: expected a folder of records, found {'a file' if folder.exists() else 'none'}")
        inside = sorted(folder.rglob("*.json"))
        found += [path for path in inside if not any(p.startswith(".") for p in path.relative_to(folder).parts)]
    if not found:
        raise InputError(f"{', '.join(map(str, folders))}: expected records, files named .json, found none")
    return found


def check_records(folders: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Look at every record: its fields and their ranges, its name, where it comes from, and whether its run is twice.

    A problem is: a file that is no record; a file that is not named after its record; a record of another protocol, or
    whose name is not that of its config; one that no commit made, or code that differed from its commit; a run of which
    several folders hold different results.

    Returns:
        The problems, a line for each, which begins with the file; and a summary: how many records there are, of how
        many runs, and how many were made on which device with which PyTorch.

    Raises:
        InputError: as :func:`record_files`.
    """
    problems: list[str] = []
    hardware: Counter[str] = Counter()
    seen: dict[str, tuple[Path, dict[str, Any]]] = {}
    paths = record_files(folders)
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
    made = [f"  {number} on {where}" for where, number in hardware.most_common()]
    found = (len(paths), "record"), (len(seen), "run"), (len(problems), "problem")
    return problems, ["{} of {}, {}".format(*(counted(*each) for each in found)), *made]


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``"1 run"``, ``"2 runs"``."""
    return f"{number} {noun}{'s' * (number != 1)}"


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
